import { z } from 'zod';

import { pageOf } from './page.js';
import { Count, Instant, Percent, RepositoryName, Sentence } from './words.js';

/** How far the examination of a repository's existing tags is. */
export const BackfillBody = z
  .object({
    state: z.enum(['none', 'waiting', 'listing', 'examining', 'done']),
    totalCount: Count.meta({ description: 'Tags to examine; while listing, those found so far.' }),
    doneCount: Count,
    percent: Percent,
    startedAt: Instant.optional(),
    finishedAt: Instant.optional(),
    lastError: Sentence.optional(),
  })
  .meta({ description: 'How far the examination of the tags that were there before is.' });

/** A repository that was ever enabled. */
export const RepositoryEntry = z
  .object({
    name: RepositoryName,
    teleportEnabled: z.boolean().meta({ description: 'Whether its images are expanded, replicated and mounted.' }),
    changedAt: Instant.meta({ description: 'When that last changed.' }),
    backfill: BackfillBody,
  })
  .meta({ description: 'A repository that was ever enabled.' });

/** Enables or disables a repository. */
export const RepositoryChange = z.strictObject({ teleportEnabled: z.boolean() }).meta({ description: 'What to change of a repository.' });

/** Some repositories, by name. */
export const RepositoryPage = pageOf(RepositoryEntry);

/** See {@link RepositoryEntry}. */
export type RepositoryEntry = z.infer<typeof RepositoryEntry>;
/** See {@link RepositoryChange}. */
export type RepositoryChange = z.infer<typeof RepositoryChange>;
