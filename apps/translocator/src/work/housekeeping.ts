import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { SchedulerRegistry } from '@nestjs/schedule';

import { after, Clock } from '#clock';
import { ChangeFeed } from '#database';
import { DemandStore } from '#demand';
import { ExpandedLayerStore } from '#expansion';
import { LeaseStore } from '#mounts';
import { PinStore } from '#pins';
import { PLANS_KEPT_DEFAULT, PlanStore } from '#placement';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '#quantities';
import { ExaminationStore, ImageStore } from '#registry';
import { releaseLayers, ReplicaStore } from '#replication';
import { type Logger, Metrics } from '#telemetry';

import { Settings } from '../foundation/settings.js';
import { LOGGER } from '../foundation/tokens.js';
import { drainGraceMs } from './drain-grace.js';
import { CatalogueReferences, ExpandedReleasableLayers } from './ports-between-rooms.js';

/** How often what is over is forgotten. */
const PRUNE_EVERY_MS = 10 * MINUTE_MS;
/** Rows that one pruning takes from one table: a bound on how long it holds others up. */
const PRUNE_ROWS_MAX = 10_000;
/** How long changes stay in the feed: a lookup that was cut off for longer loads everything anew. */
const CHANGES_KEPT_MS = DAY_MS;
/** How long event ids are remembered: registries repeat for minutes, not days. */
const EVENTS_KEPT_MS = 7 * DAY_MS;
/** How long leases and pins that ran out stay visible. */
const EXPIRED_KEPT_MS = HOUR_MS;

/** Releases layers that nothing refers to, and forgets what is over, by the clock. */
@Injectable()
export class Housekeeping implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #running = new Map<string, Promise<void>>();
  readonly #stopping = new AbortController();

  constructor(
    private readonly schedules: SchedulerRegistry,
    private readonly settings: Settings,
    private readonly clock: Clock,
    @Inject(LOGGER) private readonly logger: Logger,
    private readonly layers: ExpandedLayerStore,
    private readonly replicas: ReplicaStore,
    private readonly images: ImageStore,
    private readonly feed: ChangeFeed,
    private readonly examinations: ExaminationStore,
    private readonly leases: LeaseStore,
    private readonly pins: PinStore,
    private readonly plans: PlanStore,
    private readonly demand: DemandStore,
    metrics: Metrics,
  ) {
    metrics.beforeScrape(() => this.#refreshGauges(metrics));
  }

  onApplicationBootstrap(): void {
    this.#every('release', this.settings.config.replication.releaseEvery, () => this.#release());
    this.#every('prune', PRUNE_EVERY_MS, () => this.#prune());
  }

  async onApplicationShutdown(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#running.values());
  }

  /** Repeats `task`, never two at a time; what fails is logged and tried again the next time. */
  #every(name: string, everyMs: number, task: () => Promise<void>): void {
    const run = (): void => {
      if (this.#running.has(name) || this.#stopping.signal.aborted) return;
      const running = task()
        .catch((error: unknown) => {
          if (!this.#stopping.signal.aborted) this.logger.warn({ error, task: name }, 'housekeeping failed; it is tried again');
        })
        .finally(() => this.#running.delete(name));
      this.#running.set(name, running);
    };
    this.schedules.addInterval(name, setInterval(run, everyMs));
  }

  async #release(): Promise<void> {
    const ports = { layers: new ExpandedReleasableLayers(this.layers), references: new CatalogueReferences(this.images), replicas: this.replicas };
    const terms = { now: this.clock.now(), unreferencedGraceMs: this.settings.config.replication.unreferencedGrace, drainGraceMs: drainGraceMs(this.settings) };
    const report = await releaseLayers(ports, terms, this.#stopping.signal);
    if (report.draining + report.forgotten + report.expandedAgain > 0) this.logger.info({ ...report }, 'layers were released');
  }

  async #prune(): Promise<void> {
    const now = this.clock.now();
    await this.feed.prune(after(now, -CHANGES_KEPT_MS), PRUNE_ROWS_MAX);
    await this.examinations.pruneEvents(after(now, -EVENTS_KEPT_MS), PRUNE_ROWS_MAX);
    await this.leases.prune(after(now, -EXPIRED_KEPT_MS), PRUNE_ROWS_MAX);
    await this.pins.pruneExpired(after(now, -EXPIRED_KEPT_MS), PRUNE_ROWS_MAX);
    await this.plans.prune(PLANS_KEPT_DEFAULT);
    await this.demand.prune(now, PRUNE_ROWS_MAX);
  }

  async #refreshGauges(metrics: Metrics): Promise<void> {
    for (const [state, count] of Object.entries(await this.layers.countByState())) metrics.layers.set({ state }, count);
    metrics.replicas.reset();
    metrics.shareUsedBytes.reset();
    for (const { share, state, count, sizeBytes } of await this.replicas.usage()) {
      metrics.replicas.set({ region: share, state }, count);
      metrics.shareUsedBytes.inc({ region: share }, sizeBytes);
    }
    for (const { name, share } of this.settings.config.regions.list) metrics.shareCapacityBytes.set({ region: name }, share.capacity);
  }
}
