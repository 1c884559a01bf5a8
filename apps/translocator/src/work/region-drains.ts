import { SECOND_MS } from '#quantities';
import { drainShare, type ReplicaStore, type ShareDrain, type ShareDrains } from '#replication';

import type { ShareSet } from '../foundation/share-set.js';
import type { ClockedTask } from './clocked-tasks.js';
import { drainGraceMs } from './drain-grace.js';
import type { WorkSurroundings } from './work-surroundings.js';

/** How often it is looked how far the drains of regions are. */
const LOOK_EVERY_MAX_MS = 5 * SECOND_MS;

/** What draining regions takes. */
export interface RegionDrainTools {
  readonly replicas: ReplicaStore;
  readonly drains: ShareDrains;
  readonly shares: ShareSet;
}

/** Drives the drains of regions on, whichever process ordered them; every process of the role may do it, also at the same time. */
export function drainingRegions(surroundings: WorkSurroundings, tools: RegionDrainTools): ClockedTask {
  return {
    name: 'drain regions',
    everyMs: Math.min(LOOK_EVERY_MAX_MS, surroundings.config.replication.releaseEvery),
    run: async (signal) => {
      for (const drain of await tools.drains.list()) {
        if (drain.state === 'draining') await look(surroundings, tools, drain, signal);
      }
    },
  };
}

async function look({ config, clock, logger, signals }: WorkSurroundings, { replicas, drains, shares }: RegionDrainTools, drain: ShareDrain, signal: AbortSignal): Promise<void> {
  const { share } = drain;
  if (share === shares.home.name) {
    // It became the home region by configuration since: what only it has could go nowhere.
    logger.error({ share }, 'the home region cannot be drained: its drain is ended');
    await drains.end(share);
    return;
  }
  const report = await drainShare({ store: replicas, drains, home: shares.home, clock, graceMs: drainGraceMs(config) }, drain, signal);
  if (report.cancelled + report.drained + report.last > 0) {
    logger.info({ share, ...report }, 'a region is drained');
    signals.replicasOrdered();
  }
  if (report.outcome === 'drained') logger.info({ share, beganAt: drain.beganAt }, 'a region has been drained: nothing is left there');
}
