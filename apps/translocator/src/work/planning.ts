import type { OnApplicationBootstrap, OnApplicationShutdown } from '@nestjs/common';

import type { Change, ChangeFeed } from '#database';
import type { Planner, PlanTriggerKind } from '#placement';
import { SECOND_MS } from '#quantities';

import type { ClockedTask } from './clocked-tasks.js';
import { FeedFollower } from './feed-follower.js';
import type { WorkSurroundings } from './work-surroundings.js';

/** Changes after which a plan may be another one: what images there are, and how far they are expanded. Not replicas: those are what plans change. */
const PLANNED_TOPICS: ReadonlySet<string> = new Set(['repository', 'tag', 'image', 'layer']);
/** Plans that are asked for are at least this far apart: a push is several changes, and so is a busy registry. */
const PLANS_APART_MS = SECOND_MS;
/** That doubles with every plan that fails, so many times at most: about a minute. */
const FAILED_DOUBLINGS_MAX = 6;

/** What asks for plans, the weightiest last. */
const WEIGHTS: readonly PlanTriggerKind[] = ['schedule', 'push', 'operator', 'pin'];

/** Has plans made: by the clock, at once after a push wherever it was examined or expanded, and when an operator changes a rule. */
export class Planning implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #surroundings: WorkSurroundings;
  readonly #planner: Pick<Planner, 'planAll'>;
  readonly #feed: FeedFollower;
  readonly #stopping = new AbortController();
  /** What asks for a plan that has not begun yet. */
  #asked: PlanTriggerKind | undefined;
  #planning: Promise<void> | undefined;

  constructor(surroundings: WorkSurroundings, planner: Pick<Planner, 'planAll'>, feed: Pick<ChangeFeed, 'end' | 'readAfter'>) {
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
      run: () => {
        this.planSoon('schedule');
        return Promise.resolve();
      },
    };
  }

  /** Has a plan made soon; it is not waited for. Asked for by several before it is made, it is one plan, and the weightiest of them is named as what triggered it. */
  planSoon(kind: PlanTriggerKind): void {
    if (this.#asked === undefined || WEIGHTS.indexOf(kind) > WEIGHTS.indexOf(this.#asked)) this.#asked = kind;
    this.#planning ??= this.#planWhatIsAsked().finally(() => {
      this.#planning = undefined;
      if (this.#asked !== undefined && !this.#stopping.signal.aborted) this.planSoon(this.#asked);
    });
  }

  onApplicationBootstrap(): void {
    this.#feed.start();
    // What changed while no planner was running is in no feed position of ours.
    this.planSoon('push');
  }

  async onApplicationShutdown(): Promise<void> {
    this.#stopping.abort();
    await this.#feed.stop();
    await this.#planning;
  }

  /** Plans every region. @returns false when that failed, which is logged, or when another planner had the turn. */
  async #plan(kind: PlanTriggerKind): Promise<boolean> {
    const { metrics, logger } = this.#surroundings;
    const startedAt = performance.now();
    try {
      const report = await this.#planner.planAll(kind);
      metrics.plans.inc({ trigger: kind, outcome: report.outcome });
      metrics.planSeconds.observe((performance.now() - startedAt) / 1000);
      for (const { region, counts, usedBytes, capacityBytes } of report.regions) {
        if (counts.wants + counts.drains + counts.withdrawals > 0) logger.info({ trigger: kind, region, ...counts, usedBytes, capacityBytes }, 'a plan orders changes');
      }
      return report.outcome === 'planned';
    } catch (error) {
      metrics.plans.inc({ trigger: kind, outcome: 'failed' });
      logger.error({ error, trigger: kind }, 'no plan could be made; it is tried again');
      return false;
    }
  }

  #changed(changes: readonly Change[], gap: boolean): void {
    if (gap || changes.some((change) => PLANNED_TOPICS.has(change.topic))) this.planSoon('push');
  }

  /** Plans until nothing has been asked for during the last plan. One that failed, or found another planner at work, which may not have seen what asked for it, is made again. */
  async #planWhatIsAsked(): Promise<void> {
    const { clock } = this.#surroundings;
    const { signal } = this.#stopping;
    for (let failedCount = 0; this.#asked !== undefined && !signal.aborted; ) {
      const kind = this.#asked;
      this.#asked = undefined;
      const planned = await this.#plan(kind);
      failedCount = planned ? 0 : failedCount + 1;
      if (!planned) this.#asked ??= kind;
      try {
        await clock.sleep(PLANS_APART_MS * 2 ** Math.min(failedCount, FAILED_DOUBLINGS_MAX), signal);
      } catch (error) {
        if (!signal.aborted) throw error;
      }
    }
  }
}
