import { after } from '#clock';
import type { ChangeFeed } from '#database';
import type { DemandStore } from '#demand';
import type { ExpandedLayerStore } from '#expansion';
import type { LeaseStore } from '#mounts';
import type { PinStore } from '#pins';
import { PLANS_KEPT_DEFAULT, type PlanStore } from '#placement';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '#quantities';
import { EVENT_ID_RETENTION_MS, type ExaminationStore, type ImageStore } from '#registry';
import { releaseLayers, type ReplicaStore } from '#replication';

import type { ClockedTask } from './clocked-tasks.js';
import { drainGraceMs } from './drain-grace.js';
import { CatalogueReferences, ExpandedReleasableLayers } from './ports-between-rooms.js';
import type { WorkSurroundings } from './work-surroundings.js';

/** How often what is over is forgotten. */
const PRUNE_EVERY_MS = 10 * MINUTE_MS;
/** Rows that one pruning takes from one table: a bound on how long it holds others up. */
const PRUNE_ROWS_MAX = 10_000;
/** How long changes stay in the feed: a lookup that was cut off for longer loads everything anew. */
const CHANGES_KEPT_MS = DAY_MS;
/** How long leases and pins that ran out stay visible. */
const EXPIRED_KEPT_MS = HOUR_MS;

/** The stores that are kept tidy. */
export interface HousekeepingStores {
  readonly layers: ExpandedLayerStore;
  readonly replicas: ReplicaStore;
  readonly images: ImageStore;
  readonly feed: ChangeFeed;
  readonly examinations: ExaminationStore;
  readonly leases: LeaseStore;
  readonly pins: PinStore;
  readonly plans: PlanStore;
  readonly demand: DemandStore;
}

/** Releases layers that nothing refers to, and forgets what is over. */
export function housekeepingTasks(surroundings: WorkSurroundings, stores: HousekeepingStores): ClockedTask[] {
  const { releaseEvery } = surroundings.config.replication;
  return [
    { name: 'release', everyMs: releaseEvery, run: (signal) => release(surroundings, stores, signal) },
    { name: 'prune', everyMs: PRUNE_EVERY_MS, run: () => prune(stores, surroundings.clock.now()) },
  ];
}

async function release({ config, clock, logger }: WorkSurroundings, stores: HousekeepingStores, signal: AbortSignal): Promise<void> {
  const ports = { layers: new ExpandedReleasableLayers(stores.layers), references: new CatalogueReferences(stores.images), replicas: stores.replicas };
  const terms = { now: clock.now(), unreferencedGraceMs: config.replication.unreferencedGrace, drainGraceMs: drainGraceMs(config) };
  const report = await releaseLayers(ports, terms, signal);
  if (report.draining + report.forgotten + report.expandedAgain > 0) logger.info({ ...report }, 'layers were released');
}

async function prune(stores: HousekeepingStores, now: Date): Promise<void> {
  await stores.feed.prune(after(now, -CHANGES_KEPT_MS), PRUNE_ROWS_MAX);
  await stores.examinations.pruneEvents(after(now, -EVENT_ID_RETENTION_MS), PRUNE_ROWS_MAX);
  await stores.leases.prune(after(now, -EXPIRED_KEPT_MS), PRUNE_ROWS_MAX);
  await stores.pins.pruneExpired(after(now, -EXPIRED_KEPT_MS), PRUNE_ROWS_MAX);
  await stores.plans.prune(PLANS_KEPT_DEFAULT);
  await stores.demand.prune(now, PRUNE_ROWS_MAX);
}
