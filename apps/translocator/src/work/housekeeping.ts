import type { DataSource } from 'typeorm';

import { type ServiceTokenStore, TRAIL_ENTRIES_MAX, type TrailStore } from '#access';
import { after } from '#clock';
import { type ChangeFeed, maintainEmbeddedDatabase } from '#database';
import type { DemandStore, PullHistory } from '#demand';
import type { ExpandedLayerStore } from '#expansion';
import type { AnsweringProcesses, LeaseStore } from '#mounts';
import type { PinStore } from '#pins';
import type { ForecastLedger, ForecastOutcomes, PlanStore } from '#placement';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '#quantities';
import { type BackfillStore, EVENT_ID_RETENTION_MS, type ExaminationStore, type ImageStore } from '#registry';
import { auditReplicas, type LinkLedger, releaseLayers, type ReplicaKey, type ReplicaStore, sweepPartialFiles } from '#replication';

import type { ShareSet } from '../foundation/share-set.js';
import type { ClockedTask } from './clocked-tasks.js';
import { drainGraceMs } from './drain-grace.js';
import { CatalogueReferences, ExpandedLayerRecords, ExpandedReleasableLayers } from './ports-between-rooms.js';
import { scrubbing } from './scrubbing.js';
import { measuringShares } from './share-gauges.js';
import type { WorkSurroundings } from './work-surroundings.js';

/** How often what is over is forgotten. */
const PRUNE_EVERY_MS = 10 * MINUTE_MS;
/** Rows that one statement takes from a table: a bound on how long it holds others up. */
const PRUNE_ROWS_MAX = 10_000;
/** Statements on one table in one pruning: together more than any table gains in between. */
const PRUNE_ROUNDS_MAX = 100;
/** How often it is looked whether some repository should be examined anew. */
const REEXAMINE_LOOK_MS = MINUTE_MS;
/** Repositories that are examined anew at a time: each is some requests for every tag. */
const REEXAMINE_AT_ONCE = 10;
/** How often some ready replicas are looked at: with this many at a time, some hundred thousand a day. */
const AUDIT_EVERY_MS = MINUTE_MS;
const AUDIT_REPLICAS_MAX = 200;
/** How long the account of a link's day is kept for operators. */
const LINK_DAYS_KEPT_MS = 30 * DAY_MS;
/** How often the embedded database is tidied; a server does that by itself. */
const MAINTAIN_EVERY_MS = 10 * MINUTE_MS;
/** How long changes stay in the feed: a lookup that was cut off for longer loads everything anew. */
const CHANGES_KEPT_MS = DAY_MS;
/** How long leases and pins that ran out stay visible. */
const EXPIRED_KEPT_MS = HOUR_MS;
/** How long service tokens that ended stay visible: who asks what a leaked one was for asks late. */
const TOKENS_KEPT_MS = 90 * DAY_MS;
/** How long the trail of changes is kept: a year, and the time to look. */
const TRAIL_KEPT_MS = 400 * DAY_MS;

/** How long the total of an image's pulls is kept that nobody pulls any more: longer than any plan looks ahead. */
const TOTALS_KEPT_MS = 90 * DAY_MS;

/** The stores that are kept tidy. */
export interface HousekeepingStores {
  readonly layers: ExpandedLayerStore;
  readonly replicas: ReplicaStore;
  readonly images: ImageStore;
  readonly feed: ChangeFeed;
  readonly examinations: ExaminationStore;
  readonly backfills: BackfillStore;
  readonly leases: LeaseStore;
  readonly answering: AnsweringProcesses;
  readonly pins: PinStore;
  readonly plans: PlanStore;
  readonly forecasts: ForecastLedger;
  readonly outcomes: ForecastOutcomes;
  readonly demand: DemandStore;
  readonly history: PullHistory;
  readonly ledger: LinkLedger;
  readonly shares: ShareSet;
  readonly tokens: ServiceTokenStore;
  readonly trail: TrailStore;
  /** What all of them stand on. */
  readonly dataSource: DataSource;
}

/** Releases layers that nothing refers to, and forgets what is over. */
export function housekeepingTasks(surroundings: WorkSurroundings, stores: HousekeepingStores): ClockedTask[] {
  const { database, replication } = surroundings.config;
  const maintenance: ClockedTask = { name: 'maintain database', everyMs: MAINTAIN_EVERY_MS, run: () => maintain(surroundings, stores) };
  const { reexamineEvery } = surroundings.config.registry;
  return [
    ...(database.kind === 'embedded' ? [maintenance] : []),
    { name: 'release', everyMs: replication.releaseEvery, run: (signal) => release(surroundings, stores, signal) },
    { name: 'sweep', everyMs: replication.releaseEvery, run: (signal) => sweep(surroundings, stores, signal) },
    {
      name: 'reexamine',
      everyMs: REEXAMINE_LOOK_MS,
      run: async () => {
        if ((await stores.backfills.wantAgain(after(surroundings.clock.now(), -reexamineEvery), REEXAMINE_AT_ONCE)) > 0) surroundings.signals.examinationsWanted();
      },
    },
    auditing(surroundings, stores),
    measuringShares(surroundings, stores.shares.byName),
    scrubbing(surroundings, {
      store: stores.replicas, records: new ExpandedLayerRecords(stores.layers), layers: new ExpandedReleasableLayers(stores.layers), shares: stores.shares.byName, ledger: stores.ledger,
    }),
    ...prunings(surroundings, stores),
  ];
}

/** Looks through all ready replicas, a few at a time, and begins again at the end. */
function auditing({ clock, logger }: WorkSurroundings, { replicas, layers, shares }: HousekeepingStores): ClockedTask {
  const ports = { store: replicas, records: new ExpandedLayerRecords(layers), layers: new ExpandedReleasableLayers(layers), shares: shares.byName, clock };
  let after: ReplicaKey | undefined;
  return {
    name: 'audit',
    everyMs: AUDIT_EVERY_MS,
    run: async (signal) => {
      const report = await auditReplicas(ports, { after, limit: AUDIT_REPLICAS_MAX }, signal);
      after = report.next;
      const damaged = report.ordered.length + report.expandedAgain.length;
      if (damaged + report.silentShares.length > 0) logger.warn({ ...report }, 'files of replicas are not as they should be');
    },
  };
}

/** One task for each table, so that what fails in one keeps no other from being tidy. */
function prunings({ clock, config }: WorkSurroundings, stores: HousekeepingStores): ClockedTask[] {
  const before = (ms: number): Date => after(clock.now(), -ms);
  const pruning = (name: string, prune: () => Promise<number>): ClockedTask => ({ name: `prune ${name}`, everyMs: PRUNE_EVERY_MS, run: (signal) => untilFew(prune, signal) });
  return [
    pruning('changes', () => stores.feed.prune(before(CHANGES_KEPT_MS), PRUNE_ROWS_MAX)),
    pruning('events', () => stores.examinations.pruneEvents(before(EVENT_ID_RETENTION_MS), PRUNE_ROWS_MAX)),
    pruning('leases', () => stores.leases.prune(before(EXPIRED_KEPT_MS), PRUNE_ROWS_MAX)),
    pruning('answering processes', () => stores.answering.prune(clock.now(), PRUNE_ROWS_MAX)),
    pruning('pins', () => stores.pins.pruneExpired(before(EXPIRED_KEPT_MS), PRUNE_ROWS_MAX)),
    pruning('tokens', () => stores.tokens.prune(before(TOKENS_KEPT_MS), PRUNE_ROWS_MAX)),
    pruning('trail', () => stores.trail.prune({ before: before(TRAIL_KEPT_MS), keepMax: TRAIL_ENTRIES_MAX, limit: PRUNE_ROWS_MAX })),
    pruning('link days', () => stores.ledger.prune(before(LINK_DAYS_KEPT_MS).toISOString().slice(0, 10), PRUNE_ROWS_MAX)),
    pruning('plans', () => stores.plans.prune(config.placement.plansKept).then(() => 0)),
    pruning('forecasts', () => stores.outcomes.close(clock.now()).then(() => stores.forecasts.prune(before(config.placement.forecastsKeptFor))).then(() => 0)),
    pruning('history', () => stores.history.prune({ before: before(config.history.keptFor), eventsMax: config.history.eventsMax, totalsBefore: before(TOTALS_KEPT_MS), now: clock.now() }, PRUNE_ROWS_MAX)),
    pruning('demand', async () => {
      const { counts, batches } = await stores.demand.prune(clock.now(), PRUNE_ROWS_MAX);
      return Math.max(counts, batches);
    }),
  ];
}

async function untilFew(prune: () => Promise<number>, signal: AbortSignal): Promise<void> {
  for (let round = 0; round < PRUNE_ROUNDS_MAX && !signal.aborted; round += 1) {
    if ((await prune()) < PRUNE_ROWS_MAX) return;
  }
}

async function release({ config, clock, logger }: WorkSurroundings, stores: HousekeepingStores, signal: AbortSignal): Promise<void> {
  const ports = { layers: new ExpandedReleasableLayers(stores.layers), references: new CatalogueReferences(stores.images), replicas: stores.replicas };
  const terms = { now: clock.now(), unreferencedGraceMs: config.replication.unreferencedGrace, drainGraceMs: drainGraceMs(config) };
  const report = await releaseLayers(ports, terms, signal);
  if (report.draining + report.forgotten + report.expandedAgain + report.recalled > 0) logger.info({ ...report }, 'layers were released');
}

async function sweep({ config, logger }: WorkSurroundings, { replicas, shares }: HousekeepingStores, signal: AbortSignal): Promise<void> {
  const report = await sweepPartialFiles({ store: replicas, shares: shares.byName }, config.replication.partialAgeMax, signal);
  if (report.removed.length + report.silentShares.length > 0) logger.warn({ ...report }, 'partial files that nobody goes on with were removed');
}

async function maintain({ logger }: WorkSurroundings, { dataSource }: HousekeepingStores): Promise<void> {
  const done = await maintainEmbeddedDatabase(dataSource);
  logger.debug({ ...done }, 'the embedded database was tidied');
}
