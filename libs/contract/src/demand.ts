import { z } from 'zod';

import { pageOf, pageParameters } from './page.js';
import { DigestText, Instant, RegionText, RepositoryName } from './words.js';

/** What one image is demanded in one region. */
export const DemandEntry = z
  .object({
    region: RegionText,
    repository: RepositoryName,
    image: DigestText,
    weight: z.number().min(0).meta({ description: 'Pulls, each worth less the longer ago it was.' }),
    at: Instant.meta({ description: 'The instant at which the weight is that.' }),
  })
  .meta({ description: 'The decayed count of pulls of one image in one region.' });

/** Which demand to list. Filters narrow together. */
export const DemandQuery = z.strictObject({ ...pageParameters, region: RegionText.optional(), repository: RepositoryName.optional() });
/** Some demand, by region, repository and image. */
export const DemandPage = pageOf(DemandEntry);

/** See {@link DemandEntry}. */
export type DemandEntry = z.infer<typeof DemandEntry>;
/** See {@link DemandQuery}. */
export type DemandQuery = z.infer<typeof DemandQuery>;
