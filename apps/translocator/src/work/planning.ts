import type { OnApplicationBootstrap, OnApplicationShutdown } from '@nestjs/common';

import type { Change, ChangeFeed } from '#database';
import type { Planner, PlanningReport, PlanTriggerKind } from '#placement';
import { SECOND_MS } from '#quantities';
import type { CatalogueReader } from '#registry';

import type { ClockedTask } from './clocked-tasks.js';
import { FeedFollower } from './feed-follower.js';
import { PushedRepositories } from './pushed-repositories.js';
import type { WorkSurroundings } from './work-surroundings.js';

/** Plans that are asked for are at least this far apart: a push is several changes, and so is a busy registry. */
const PLANS_APART_MS = SECOND_MS;
/** That doubles with every plan that fails, so many times at most: about a minute. */
const FAILED_DOUBLINGS_MAX = 6;
/** And so many times while another planner is at work, which may have died: then its turn is taken within eight seconds of its end. */
const BUSY_DOUBLINGS_MAX = 3;

/** What asks for plans, the weightiest last. */
const WEIGHTS: readonly PlanTriggerKind[] = ['schedule', 'push', 'demand', 'operator', 'pin'];

/** What planning hears of. */
export interface PlanningSources {
  readonly feed: Pick<ChangeFeed, 'end' | 'readAfter'>;
  /** Tells whose an expanded layer is. */
  readonly catalogue: Pick<CatalogueReader, 'repositoriesOfLayers'>;
}

/**
 * Has plans made: by the clock, when demand is not what was foreseen, when an operator changes a rule, and at once for a repository that was pushed to, wherever its image was examined or
 * expanded. Such a plan is for that repository alone, and one for all follows only where it found no room.
 */
export class Planning implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #surroundings: WorkSurroundings;
  readonly #planner: Pick<Planner, 'planAll' | 'planRepositories'>;
  readonly #pushed: PushedRepositories;
  readonly #feed: FeedFollower;
  readonly #stopping = new AbortController();
  /** What asks for a plan of everything that has not begun yet. */
  #asked: PlanTriggerKind | undefined;
  #planning: Promise<void> | undefined;

  constructor(surroundings: WorkSurroundings, planner: Pick<Planner, 'planAll' | 'planRepositories'>, { feed, catalogue }: PlanningSources) {
    const { clock, config, logger } = surroundings;
    this.#surroundings = surroundings;
    this.#planner = planner;
    this.#pushed = new PushedRepositories(catalogue);
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
    this.#begin();
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

  #begin(): void {
    this.#planning ??= this.#planWhatIsAsked().finally(() => {
      this.#planning = undefined;
      if (this.#isAsked() && !this.#stopping.signal.aborted) this.#begin();
    });
  }

  #isAsked(): boolean {
    return this.#asked !== undefined || !this.#pushed.isEmpty;
  }

  #changed(changes: readonly Change[], gap: boolean): void {
    this.#pushed.note(changes, gap);
    if (this.#isAsked()) this.#begin();
  }

  /** Plans until nothing has been asked for during the last plan. One that failed, or found another planner at work, which may not have seen what asked for it, is made again. */
  async #planWhatIsAsked(): Promise<void> {
    const { clock } = this.#surroundings;
    const { signal } = this.#stopping;
    for (let failedCount = 0; this.#isAsked() && !signal.aborted; ) {
      const outcome = await this.#planNext();
      failedCount = outcome === 'planned' ? 0 : failedCount + 1;
      const doublings = Math.min(failedCount, outcome === 'busy' ? BUSY_DOUBLINGS_MAX : FAILED_DOUBLINGS_MAX);
      try {
        await clock.sleep(PLANS_APART_MS * 2 ** doublings, signal);
      } catch (error) {
        if (!signal.aborted) throw error;
      }
    }
  }

  /** Makes the next plan: of everything where that is asked for, else of what was pushed to. */
  async #planNext(): Promise<PlanningReport['outcome'] | 'failed'> {
    const names = this.#asked === undefined ? await this.#takePushed() : 'everything';
    if (names === undefined) return 'failed';
    if (names.length === 0) return 'planned';
    if (names === 'everything') {
      const kind = this.#asked ?? 'push';
      this.#asked = undefined;
      this.#pushed.clear();
      const report = await this.#plan(kind, () => this.#planner.planAll(kind));
      if (report?.outcome !== 'planned') this.#asked ??= kind;
      return report?.outcome ?? 'failed';
    }
    const report = await this.#plan('push', () => this.#planner.planRepositories(names));
    if (report?.outcome !== 'planned') this.#pushed.noteNames(names);
    else if (report.cramped) this.#asked ??= 'push';
    return report?.outcome ?? 'failed';
  }

  async #takePushed(): Promise<readonly string[] | 'everything' | undefined> {
    try {
      return await this.#pushed.take();
    } catch (error) {
      this.#surroundings.logger.warn({ error }, 'it could not be told which repositories have what was expanded; it is tried again');
      return undefined;
    }
  }

  /** @returns undefined when it failed, which is logged. */
  async #plan(kind: PlanTriggerKind, plan: () => Promise<PlanningReport>): Promise<PlanningReport | undefined> {
    const { metrics, logger } = this.#surroundings;
    const startedAt = performance.now();
    try {
      const report = await plan();
      metrics.plans.inc({ trigger: kind, outcome: report.outcome });
      metrics.planSeconds.observe((performance.now() - startedAt) / 1000);
      for (const { region, counts, usedBytes, capacityBytes } of report.regions) {
        if (counts.wants + counts.drains + counts.withdrawals > 0) logger.info({ trigger: kind, region, ...counts, usedBytes, capacityBytes }, 'a plan orders changes');
      }
      return report;
    } catch (error) {
      metrics.plans.inc({ trigger: kind, outcome: 'failed' });
      logger.error({ error, trigger: kind }, 'no plan could be made; it is tried again');
      return undefined;
    }
  }
}
