import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { SchedulerRegistry } from '@nestjs/schedule';

import { Clock } from '#clock';
import { type Change, ChangeFeed } from '#database';
import { Planner, type PlanningReport, type PlanTriggerKind } from '#placement';
import { SECOND_MS } from '#quantities';
import { type Logger, Metrics } from '#telemetry';

import { Settings } from '../foundation/settings.js';
import { LOGGER } from '../foundation/tokens.js';
import { FeedFollower } from './feed-follower.js';

/** Changes after which a plan may be another one: what images there are, and how far they are expanded. Not replicas: those are what plans change. */
const PLANNED_TOPICS: ReadonlySet<string> = new Set(['repository', 'tag', 'image', 'layer']);
/** Plans that pushes ask for are at least this far apart: a push is several changes, and so is a busy registry. */
const PUSH_PLANS_APART_MS = SECOND_MS;

/** Has plans made: by the clock, at once after a push wherever it was examined or expanded, and when an operator changes a rule. */
@Injectable()
export class Planning implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #feed: FeedFollower;
  readonly #stopping = new AbortController();
  #pushed: Promise<void> | undefined;
  #pushedAgain = false;
  #scheduled: Promise<unknown> = Promise.resolve();
  #scheduledRunning = false;

  constructor(
    private readonly planner: Planner,
    private readonly schedules: SchedulerRegistry,
    private readonly settings: Settings,
    private readonly clock: Clock,
    private readonly metrics: Metrics,
    @Inject(LOGGER) private readonly logger: Logger,
    feed: ChangeFeed,
  ) {
    this.#feed = new FeedFollower({
      feed,
      clock,
      everyMs: settings.config.lookup.followEvery,
      onChanges: (changes, gap) => this.#changed(changes, gap),
      onFailure: (error) => logger.warn({ error }, 'the planner could not follow the database yet'),
    });
  }

  /** Plans every region now; `undefined` when that failed, which is logged: the next plan comes by the clock. */
  async plan(kind: PlanTriggerKind): Promise<PlanningReport | undefined> {
    const startedAt = performance.now();
    try {
      const report = await this.planner.planAll(kind);
      this.metrics.plans.inc({ trigger: kind });
      this.metrics.planSeconds.observe((performance.now() - startedAt) / 1000);
      for (const { region, counts, usedBytes, capacityBytes } of report.regions) {
        if (counts.wants + counts.drains + counts.withdrawals > 0) this.logger.info({ trigger: kind, region, ...counts, usedBytes, capacityBytes }, 'a plan orders changes');
      }
      return report;
    } catch (error) {
      this.logger.error({ error, trigger: kind }, 'no plan could be made');
      return undefined;
    }
  }

  onApplicationBootstrap(): void {
    this.#feed.start();
    const { every } = this.settings.config.placement;
    this.schedules.addInterval('plan', setInterval(() => this.#bySchedule(), every));
    // What changed while no planner was running is in no feed position of ours.
    this.#changed([], true);
  }

  async onApplicationShutdown(): Promise<void> {
    this.#stopping.abort();
    await this.#feed.stop();
    await this.#pushed;
    await this.#scheduled;
  }

  #bySchedule(): void {
    if (this.#scheduledRunning) return;
    this.#scheduledRunning = true;
    this.#scheduled = this.plan('schedule').finally(() => {
      this.#scheduledRunning = false;
    });
  }

  #changed(changes: readonly Change[], gap: boolean): void {
    if (!gap && !changes.some((change) => PLANNED_TOPICS.has(change.topic))) return;
    this.#pushedAgain = true;
    this.#pushed ??= this.#planPushes().finally(() => {
      this.#pushed = undefined;
    });
  }

  /** Plans until nothing has changed during the last plan. */
  async #planPushes(): Promise<void> {
    while (this.#pushedAgain && !this.#stopping.signal.aborted) {
      this.#pushedAgain = false;
      await this.plan('push');
      try {
        await this.clock.sleep(PUSH_PLANS_APART_MS, this.#stopping.signal);
      } catch (error) {
        if (!this.#stopping.signal.aborted) throw error;
      }
    }
  }
}
