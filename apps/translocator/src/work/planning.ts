import type { OnApplicationBootstrap, OnApplicationShutdown } from '@nestjs/common';

import type { Change, ChangeFeed } from '#database';
import type { Planner, PlanningReport, PlanTriggerKind } from '#placement';
import { SECOND_MS } from '#quantities';

import type { ClockedTask } from './clocked-tasks.js';
import { FeedFollower } from './feed-follower.js';
import type { WorkSurroundings } from './work-surroundings.js';

/** Changes after which a plan may be another one: what images there are, and how far they are expanded. Not replicas: those are what plans change. */
const PLANNED_TOPICS: ReadonlySet<string> = new Set(['repository', 'tag', 'image', 'layer']);
/** Plans that pushes ask for are at least this far apart: a push is several changes, and so is a busy registry. */
const PUSH_PLANS_APART_MS = SECOND_MS;

/** Has plans made: by the clock, at once after a push wherever it was examined or expanded, and when an operator changes a rule. */
export class Planning implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #surroundings: WorkSurroundings;
  readonly #planner: Planner;
  readonly #feed: FeedFollower;
  readonly #stopping = new AbortController();
  readonly #asked = new Set<Promise<unknown>>();
  #pushed: Promise<void> | undefined;
  #pushedAgain = false;

  constructor(surroundings: WorkSurroundings, planner: Planner, feed: ChangeFeed) {
    const { clock, config, logger } = surroundings;
    this.#surroundings = surroundings;
    this.#planner = planner;
    this.#feed = new FeedFollower({
      feed,
      clock,
      everyMs: config.lookup.followEvery,
      onChanges: (changes, gap) => this.#changed(changes, gap),
      onFailure: (error) => logger.warn({ error }, 'the planner could not follow the database yet'),
    });
  }

  /** The planning that is done by the clock. */
  scheduled(): ClockedTask {
    return {
      name: 'plan',
      everyMs: this.#surroundings.config.placement.every,
      run: async () => {
        await this.#plan('schedule');
      },
    };
  }

  /** Has a plan made soon, for an operator; it is not waited for. */
  planSoon(kind: PlanTriggerKind): void {
    const asked = this.#plan(kind).finally(() => this.#asked.delete(asked));
    this.#asked.add(asked);
  }

  onApplicationBootstrap(): void {
    this.#feed.start();
    // What changed while no planner was running is in no feed position of ours.
    this.#changed([], true);
  }

  async onApplicationShutdown(): Promise<void> {
    this.#stopping.abort();
    await this.#feed.stop();
    await this.#pushed;
    await Promise.all(this.#asked);
  }

  /** Plans every region. `undefined` when that failed, which is logged: the next plan comes by the clock. */
  async #plan(kind: PlanTriggerKind): Promise<PlanningReport | undefined> {
    const { metrics, logger } = this.#surroundings;
    const startedAt = performance.now();
    try {
      const report = await this.#planner.planAll(kind);
      metrics.plans.inc({ trigger: kind });
      metrics.planSeconds.observe((performance.now() - startedAt) / 1000);
      for (const { region, counts, usedBytes, capacityBytes } of report.regions) {
        if (counts.wants + counts.drains + counts.withdrawals > 0) logger.info({ trigger: kind, region, ...counts, usedBytes, capacityBytes }, 'a plan orders changes');
      }
      return report;
    } catch (error) {
      logger.error({ error, trigger: kind }, 'no plan could be made');
      return undefined;
    }
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
    const { signal } = this.#stopping;
    while (this.#pushedAgain && !signal.aborted) {
      this.#pushedAgain = false;
      await this.#plan('push');
      try {
        await this.#surroundings.clock.sleep(PUSH_PLANS_APART_MS, signal);
      } catch (error) {
        if (!signal.aborted) throw error;
      }
    }
  }
}
