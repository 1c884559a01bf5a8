import type { EventStore } from '#events';
import { FullShares } from '#shares';

import type { WorkSurroundings } from './work-surroundings.js';

/** The shares that turned out full, told to log, metrics and whoever listens to events; one for all loops of a process. */
export function toldFullShares({ config, logger, metrics }: Pick<WorkSurroundings, 'config' | 'logger' | 'metrics'>, events: EventStore): FullShares {
  return new FullShares(({ share, until, usage }) => {
    metrics.shareFull.inc({ region: share });
    logger.error({ share, until, ...usage }, 'a share is full although by plan it has room: nothing new goes there for a while');
    events.append({ type: 'translocator.share.full', subject: share, data: { region: share, until: until.toISOString(), ...usage } }).catch((error: unknown) => logger.warn({ error, share }, 'that a share is full could not be told'));
  }, config.replication.fullPause);
}
