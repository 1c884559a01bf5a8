import { FullShares } from '#shares';

import type { WorkSurroundings } from './work-surroundings.js';

/** The shares that turned out full, told to log and metrics; one for all loops of a process. */
export function toldFullShares({ config, logger, metrics }: Pick<WorkSurroundings, 'config' | 'logger' | 'metrics'>): FullShares {
  return new FullShares(({ share, until, usage }) => {
    metrics.shareFull.inc({ region: share });
    logger.error({ share, until, ...usage }, 'a share is full although by plan it has room: nothing new goes there for a while');
  }, config.replication.fullPause);
}
