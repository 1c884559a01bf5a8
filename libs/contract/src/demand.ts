import { z } from 'zod';

import { pageOf, pageParameters } from './page.js';
import { DigestText, Instant, RegionText, RepositoryName } from './words.js';

/** Entries that are given with their forecasts on one page: each repository's images are read for it. */
export const FORECASTS_LISTED_MAX = 100;

const Pulls = z.number().min(0);

/** What an image is expected to be pulled in a region. */
export const DemandForecast = z
  .object({
    horizonMs: z.number().min(0).meta({ description: 'How far is looked ahead from now, in milliseconds: as plans do.' }),
    expectedPulls: Pulls.meta({ description: 'Within that time; the sum of the next three.' }),
    ownPulls: Pulls.meta({ description: 'From pulls of this image in this region.' }),
    inheritedPulls: Pulls.meta({ description: "From pulls of its repository's other images here." }),
    elsewherePulls: Pulls.meta({ description: 'From pulls in other regions.' }),
    probability: z.number().min(0).max(1).meta({ description: 'That it is pulled at least once.' }),
    lowPulls: Pulls.meta({ description: 'Nine times of ten as many come at least, and at most `highPulls`.' }),
    highPulls: Pulls,
    regionPullsPerHour: Pulls.meta({ description: 'The level of the region: all of its pulls, of an hour that is like the mean of its week.' }),
  })
  .meta({ description: 'What is expected of an image in a region, by what was counted and learned until now.' });

/** What one image is demanded in one region. */
export const DemandEntry = z
  .object({
    region: RegionText,
    repository: RepositoryName,
    image: DigestText,
    weight: Pulls.meta({ description: 'Pulls, each worth half as much for every three days since.' }),
    weights: z.object({ sixHours: Pulls, threeDays: Pulls, fourteenDays: Pulls }).meta({ description: 'The same pulls by each of the half-lives that they are counted with.' }),
    at: Instant.meta({ description: 'The instant at which the weights are that.' }),
    forecast: DemandForecast.optional().meta({ description: 'Where it is asked for, of images of enabled repositories in regions of this deployment.' }),
  })
  .meta({ description: 'The decayed count of pulls of one image in one region.' });

/** Which demand to list. Filters narrow together. */
export const DemandQuery = z.strictObject({
  ...pageParameters,
  region: RegionText.optional(),
  repository: RepositoryName.optional(),
  forecast: z.enum(['true', 'false']).optional().meta({ description: `Whether to foretell each entry, of which there are ${FORECASTS_LISTED_MAX} on a page then.` }),
});
/** Some demand, by region, repository and image. */
export const DemandPage = pageOf(DemandEntry);

/** See {@link DemandEntry}. */
export type DemandEntry = z.infer<typeof DemandEntry>;
/** See {@link DemandForecast}. */
export type DemandForecast = z.infer<typeof DemandForecast>;
/** See {@link DemandQuery}. */
export type DemandQuery = z.infer<typeof DemandQuery>;
