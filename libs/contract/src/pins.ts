import { z } from 'zod';

import { pageOf, pageParameters } from './page.js';
import { Id, Instant, ReferenceText, RegionText, REGIONS_MAX, RepositoryName } from './words.js';

/** Characters of a note. */
const NOTE_LENGTH_MAX = 1000;

const said = {
  repository: RepositoryName,
  reference: ReferenceText.meta({ description: 'A tag, which the pin follows, or a digest, which never moves.' }),
  regions: z.array(RegionText).min(1).max(REGIONS_MAX),
  expiresAt: Instant.optional().meta({ description: 'The pin holds until then; without it, until it is deleted.' }),
  note: z.string().max(NOTE_LENGTH_MAX).optional().meta({ description: 'For people.' }),
};
const priority = z.int().min(-100).max(100).meta({ description: 'Where room is short, the higher one gets it.' });

/** Makes a pin. */
export const PinCreation = z
  .strictObject({ id: Id.optional().meta({ description: 'Chosen by the client, so that a repeated request makes one pin.' }), ...said, priority: priority.default(0) })
  .meta({ description: 'A rule that an image must be in these regions.' });

/** A pin. */
export const PinEntry = z
  .object({ id: Id, ...said, priority, active: z.boolean().meta({ description: 'False once it has expired.' }), createdAt: Instant, createdBy: z.string().max(200) })
  .meta({ description: 'A pin.' });

/** Which pins to list. Filters narrow together. */
export const PinQuery = z.strictObject({ ...pageParameters, repository: RepositoryName.optional(), region: RegionText.optional() });
/** Some pins, the oldest first. */
export const PinPage = pageOf(PinEntry);

/** See {@link PinCreation}. */
export type PinCreation = z.infer<typeof PinCreation>;
/** See {@link PinEntry}. */
export type PinEntry = z.infer<typeof PinEntry>;
/** See {@link PinQuery}. */
export type PinQuery = z.infer<typeof PinQuery>;
