import { z } from 'zod';

import { pageOf, pageParameters } from './page.js';
import { Bytes, Count, DigestText, Instant, Percent, RegionText, Sentence, ShareText } from './words.js';

/** Where a replica is in its life. One that is gone is not shown. */
export const ReplicaStateName = z.enum(['wanted', 'copying', 'ready', 'draining']).meta({ description: 'Where the replica is in its life.' });

/** One replica. */
export const ReplicaEntry = z
  .object({
    layer: DigestText.meta({ description: 'Of a layer, or of the merged view of an image.' }),
    share: ShareText,
    region: RegionText,
    state: ReplicaStateName,
    sizeBytes: Bytes,
    copiedBytes: Bytes,
    percent: Percent,
    priority: z.number().meta({ description: 'The larger, the sooner it is copied.' }),
    reason: Sentence.meta({ description: 'Why it was ordered or is going.' }),
    wantedAt: Instant,
    readyAt: Instant.optional(),
    drainingSince: Instant.optional(),
    attempts: Count,
    lastError: Sentence.optional(),
  })
  .meta({ description: 'One expanded layer, or merged view, on one share.' });

/** Which replicas to list. Filters narrow together. */
export const ReplicaQuery = z.strictObject({ ...pageParameters, share: ShareText.optional(), layer: DigestText.optional(), state: ReplicaStateName.optional() });
/** Some replicas. */
export const ReplicaPage = pageOf(ReplicaEntry);

/** See {@link ReplicaEntry}. */
export type ReplicaEntry = z.infer<typeof ReplicaEntry>;
/** See {@link ReplicaQuery}. */
export type ReplicaQuery = z.infer<typeof ReplicaQuery>;
