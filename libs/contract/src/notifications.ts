import { z } from 'zod';

import { Count } from './words.js';

/** What a notification that was stored is answered with. */
export const NotificationTaken = z
  .object({
    accepted: Count.meta({ description: 'Events that are new.' }),
    repeated: Count.meta({ description: 'Events that were taken before.' }),
    skipped: Count.meta({ description: 'Events that cannot be read, or name nothing that could be asked for.' }),
  })
  .meta({ description: 'What became of the events of a notification.' });

/** See {@link NotificationTaken}. */
export type NotificationTaken = z.infer<typeof NotificationTaken>;
