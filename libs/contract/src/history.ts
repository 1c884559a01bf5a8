import { z } from 'zod';

import { Instant } from './words.js';

/** Events that one export writes at most. */
export const HISTORY_EXPORT_MAX = 5_000_000;
/** And where the caller does not say. */
export const HISTORY_EXPORT_DEFAULT = 1_000_000;

/** Which part of the history to write. */
export const HistoryExportQuery = z.strictObject({
  kind: z.enum(['catalog', 'regions', 'events']).meta({ description: 'The file of a replay: `--catalog`, `--regions` or `--events`.' }),
  since: Instant.optional().meta({ description: 'Events from this instant on.' }),
  until: Instant.optional().meta({ description: 'Events from before this instant; now where it is not given.' }),
  limit: z.coerce.number().int().min(1).max(HISTORY_EXPORT_MAX).default(HISTORY_EXPORT_DEFAULT).meta({ description: 'Events at most.' }),
});

/** See {@link HistoryExportQuery}. */
export type HistoryExportQuery = z.infer<typeof HistoryExportQuery>;
