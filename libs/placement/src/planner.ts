import { randomUUID } from 'node:crypto';

import type { WriteFence } from '#claims';
import { type Clock, foundInSlices } from '#clock';
import type { StoredForecasts } from '#demand';
import type { Digest } from '#oci';
import { listActivePins, type PinStore } from '#pins';
import { SECOND_MS } from '#quantities';
import type { RegionName } from '#regions';

import type { ForecastOutcomes } from './forecast-outcomes.js';
import { gatherRound, gatherRoundOf, type PlanningRound } from './gather-round.js';
import { PlacementError, turnLost } from './placement-error.js';
import type { PlacementFacts, ReplicaOrders } from './placement-ports.js';
import { planRoundInSteps } from './plan-round.js';
import { decidesTheSame, type PlanStore, type PlanSummary, type PlanTriggerKind, type StoredPlan, storedPlan, termsOf } from './plan-store.js';
import type { PlannerToken, PlannerTurn } from './planner-turn.js';
import type { PlacementParameters } from './region-facts.js';
import { isEmptyPlan, type RegionPlan } from './region-plan.js';
import { type RehearsedChanges, type RehearsedPlan, rehearsePlans } from './rehearse-plans.js';

/** Orders handed over under one renewal of the turn: at a third of a second for each, slower than any database, half a lease. */
export const ORDERS_AT_ONCE_MAX = 100;
/** How long a turn holds without renewal; a planner renews it while it reads and decides, before every region, and before every {@link ORDERS_AT_ONCE_MAX} orders. */
export const TURN_LEASE_DEFAULT_MS = 60 * SECOND_MS;
/** How long a call waits for another planner's turn to end where nothing else is configured. */
export const TURN_WAIT_DEFAULT_MS = 10 * SECOND_MS;
/** How often a turn is renewed in the time that it holds, while facts are read and plans decided. */
const RENEWALS_PER_LEASE = 3;
/** How often it looks meanwhile. */
const TURN_POLL_MS = 250;

/** What a {@link Planner} needs. */
export interface PlannerOptions {
  readonly facts: PlacementFacts;
  readonly orders: ReplicaOrders;
  readonly pins: PinStore;
  readonly forecasts: StoredForecasts;
  readonly plans: PlanStore;
  readonly turn: PlannerTurn;
  /** Holds what kept plans expect against what comes; without it nothing is held against anything. */
  readonly outcomes?: Pick<ForecastOutcomes, 'follow'>;
  readonly clock: Clock;
  /** Names this process. */
  readonly owner: string;
  readonly parameters: PlacementParameters;
  readonly turnLeaseMs: number;
  readonly turnWaitMs: number;
}

/**
 * What came of planning: `planned` in every region; `busy`: another planner had the turn all the while, nothing was done; `turn-lost`: the
 * turn was lost in the middle, the regions listed were planned to the end, and one more perhaps in part.
 */
export interface PlanningReport {
  readonly outcome: 'planned' | 'busy' | 'turn-lost';
  readonly trigger: PlanTriggerKind;
  readonly regions: readonly PlannedRegion[];
  /** True when some image had to be left out for want of room. After a plan for some repositories alone, one for all may make room by what it takes away. */
  readonly cramped: boolean;
}

/** What was planned for one region. */
export interface PlannedRegion extends PlanSummary {
  /** False for a plan for some repositories alone that ordered nothing, and for one for all after a push that ordered nothing and decided as the one kept before: then nothing is stored under its id. */
  readonly kept: boolean;
}

interface WaitingRun {
  trigger: PlanTriggerKind;
  readonly report: Promise<PlanningReport>;
}

/**
 * Makes plans and has them carried out: gathers the facts, plans region by region, keeps each plan that tells something (see `PlanStore`) and gives its orders. One planner at a time across all
 * processes has the turn; calls that arrive while one waits for it join that one. All of it may be repeated: a plan on what is planned already orders nothing.
 */
export class Planner {
  readonly #options: PlannerOptions;
  #waiting: WaitingRun | undefined;

  constructor(options: PlannerOptions) {
    this.#options = options;
  }

  /** Plans every region. @throws {PlacementError} `FACTS_TOO_MANY`; whatever the ports throw: then some regions may have been planned. */
  planAll(trigger: PlanTriggerKind): Promise<PlanningReport> {
    const waiting = this.#waiting;
    if (waiting !== undefined) {
      // A run that somebody asked for is no mere push any more.
      if (waiting.trigger === 'push') waiting.trigger = trigger;
      return waiting.report;
    }
    const run: { trigger: PlanTriggerKind; report?: Promise<PlanningReport> } = { trigger };
    const begin = (): PlanTriggerKind => {
      this.#waiting = undefined;
      return run.trigger;
    };
    const report = this.#run(begin, () => gatherRound(this.#options, this.#options.parameters));
    this.#waiting = Object.assign(run, { report });
    return report;
  }

  /**
   * Plans for some repositories alone, in every region but home, from what belongs to them: at once after a push. It only adds what fits; nothing is taken away.
   * @throws as {@link planAll}.
   */
  planRepositories(names: readonly string[]): Promise<PlanningReport> {
    return this.#run(() => 'push', () => gatherRoundOf(names, this.#options, this.#options.parameters));
  }

  /** What plans would be with some changes; see {@link rehearsePlans}. */
  rehearse(changes: RehearsedChanges): Promise<RehearsedPlan[]> {
    return rehearsePlans(this.#options, this.#options.parameters, changes);
  }

  /** `begin` closes the run for callers to join: from then on facts are read. */
  async #run(begin: () => PlanTriggerKind, gather: () => Promise<PlanningRound>): Promise<PlanningReport> {
    const { turn } = this.#options;
    let token: PlannerToken | undefined;
    try {
      token = await this.#acquireTurn();
    } catch (error) {
      begin();
      throw error;
    }
    const trigger = begin();
    if (token === undefined) return { outcome: 'busy', trigger, regions: [], cramped: false };
    try {
      const report = await this.#plan(trigger, await this.#renewing(token, gather), token);
      await turn.release(token);
      return report;
    } catch (error) {
      // What went wrong first is what matters; a turn that cannot be given back expires by itself.
      await turn.release(token).catch(() => false);
      throw error;
    }
  }

  /** Keeps the turn while facts are read or plans decided, which may take longer than it holds. Once it is lost the first write says so. */
  async #renewing<Result>(token: PlannerToken, act: () => Promise<Result>): Promise<Result> {
    const { turn, clock, turnLeaseMs } = this.#options;
    const done = new AbortController();
    const renewing = (async () => {
      while (!done.signal.aborted) {
        await clock.sleep(turnLeaseMs / RENEWALS_PER_LEASE, done.signal);
        await turn.renew(token, clock.now(), turnLeaseMs);
      }
    })();
    // It ends by the signal; what a renewal could not do, the one before the first write will say.
    const ended = renewing.catch(() => undefined);
    try {
      return await act();
    } finally {
      done.abort();
      await ended;
    }
  }

  async #acquireTurn(): Promise<PlannerToken | undefined> {
    const { turn, clock, owner, turnLeaseMs, turnWaitMs } = this.#options;
    const endsAt = clock.now().getTime() + turnWaitMs;
    for (;;) {
      const token = await turn.acquire(owner, clock.now(), turnLeaseMs);
      if (token !== undefined || clock.now().getTime() >= endsAt) return token;
      await clock.sleep(TURN_POLL_MS);
    }
  }

  async #plan(trigger: PlanTriggerKind, round: PlanningRound, token: PlannerToken): Promise<PlanningReport> {
    const planned: PlannedRegion[] = [];
    let cramped = false;
    try {
      for await (const plan of this.#decided(round, token)) {
        cramped ||= plan.decisions.some(({ reason }) => reason === 'OVER_CAPACITY' || reason === 'PIN_OVER_CAPACITY');
        planned.push(await this.#carryOut(plan, { trigger, round, token }));
      }
    } catch (error) {
      if (error instanceof PlacementError && error.code === 'TURN_LOST') return { outcome: 'turn-lost', trigger, regions: planned, cramped };
      throw error;
    }
    return { outcome: 'planned', trigger, regions: planned, cramped };
  }

  /** The plans of a round, one after the other; to decide them may take longer than the turn holds. */
  async *#decided(round: PlanningRound, token: PlannerToken): AsyncGenerator<RegionPlan, void> {
    const plans = foundInSlices(planRoundInSteps(round, this.#options.parameters));
    for (;;) {
      const next = await this.#renewing(token, () => plans.next());
      if (next.done === true) return;
      yield next.value;
    }
  }

  /** Keeps a plan and hands its orders over. @throws {PlacementError} `TURN_LOST`: what was not handed over is planned again. */
  async #carryOut(plan: RegionPlan, { trigger, round, token }: { readonly trigger: PlanTriggerKind; readonly round: PlanningRound; readonly token: PlannerToken }): Promise<PlannedRegion> {
    const { plans, turn, clock } = this.#options;
    const fence = turn.fence(token);
    // Renewed right before anything is written: a turn that was lost writes nothing.
    await this.#renew(token);
    const made = { id: randomUUID(), madeAt: round.now, trigger, terms: termsOf(this.#options.parameters), unresolvedPins: round.pins.unresolvedByRegion.get(plan.region) ?? [], ...(round.only === undefined ? {} : { repositories: round.only.repositories }) };
    const isEmpty = isEmptyPlan(plan);
    const stored = { ...storedPlan(plan, made), ...(isEmpty ? { orderedAt: clock.now() } : {}) };
    const kept = !isEmpty || (round.only === undefined && (trigger !== 'push' || !(await this.#isKnown(stored))));
    if (kept) await plans.save(stored, clock.now(), fence);
    if (kept) await this.#options.outcomes?.follow(stored, plan.decisions, fence);
    await this.#order(plan, { round, token, fence });
    const { decisions: _decisions, decisionsOmittedCount: _omitted, ...summary } = stored;
    if (isEmpty) return { ...summary, kept };
    const orderedAt = clock.now();
    await plans.ordered(stored.id, orderedAt, fence);
    return { ...summary, orderedAt, kept };
  }

  /** Whether the newest plan kept says the same already. */
  async #isKnown(plan: StoredPlan): Promise<boolean> {
    const latest = await this.#options.plans.latest(plan.region);
    return latest !== undefined && decidesTheSame(latest, plan);
  }

  /** Hands a plan's orders over, part by part. @throws {PlacementError} `TURN_LOST` before the last part: what was not handed over is planned again. */
  async #order(plan: RegionPlan, { round, token, fence }: { readonly round: PlanningRound; readonly token: PlannerToken; readonly fence: WriteFence }): Promise<void> {
    const { orders } = this.#options;
    // Such a plan sees what its images hold as not to be moved.
    const [drains, withdrawals] = round.only === undefined ? [plan.drains, plan.withdrawals] : [[], []];
    for (const part of parts(drains)) {
      await this.#renew(token);
      const needed = await this.#pinnedSince(plan.region, round);
      await orders.drain(plan.region, part.filter(({ layer }) => !needed.has(layer)), [], fence);
    }
    for (const part of parts(withdrawals)) {
      await this.#renew(token);
      await orders.drain(plan.region, [], part, fence);
    }
    for (const part of parts([...plan.adoptions, ...plan.wants])) {
      await this.#renew(token);
      await orders.want(plan.region, part, fence);
    }
  }

  async #renew(token: PlannerToken): Promise<void> {
    const { turn, clock, turnLeaseMs } = this.#options;
    if ((await turn.renew(token, clock.now(), turnLeaseMs)) === undefined) throw turnLost(token.fence);
  }

  /**
   * The layers of repositories that were pinned in a region after the facts were read: the plan knows nothing of those pins, so it drains nothing of theirs.
   * A pin made even later finds its replicas draining, and the plan that is made for it recalls them.
   */
  async #pinnedSince(region: RegionName, { pinIds, images }: PlanningRound): Promise<ReadonlySet<Digest>> {
    const { pins, clock } = this.#options;
    const fresh = (await listActivePins(pins, clock.now())).filter((pin) => pin.regions.includes(region) && !pinIds.has(pin.id));
    const repositories = new Set(fresh.map((pin) => pin.repository));
    if (repositories.size === 0) return new Set();
    const ofPlaceable = images.placeable.filter((image) => repositories.has(image.repository)).flatMap(({ layers, view }) => [...layers, ...(view === undefined ? [] : [view])].map((layer) => layer.digest));
    const ofUnfinished = images.unfinished.filter((image) => repositories.has(image.repository)).flatMap((image) => image.layers);
    return new Set([...ofPlaceable, ...ofUnfinished]);
  }
}

function* parts<Order>(orders: readonly Order[]): Generator<readonly Order[], void> {
  for (let begin = 0; begin < orders.length; begin += ORDERS_AT_ONCE_MAX) yield orders.slice(begin, begin + ORDERS_AT_ONCE_MAX);
}
