import { randomUUID } from 'node:crypto';

import type { Clock } from '#clock';
import type { DemandSnapshot, DemandStore } from '#demand';
import type { Digest } from '#oci';
import { listActivePins, type PinStore } from '#pins';
import { SECOND_MS } from '#quantities';
import type { RegionName } from '#regions';

import { crossRegionDemand } from './cross-region-demand.js';
import { PlacementError } from './placement-error.js';
import type { PlacementFacts, PlacementRegion, ReplicaOrders } from './placement-ports.js';
import { planRegion } from './plan-region.js';
import { decidesTheSame, type PlanStore, type PlanSummary, type PlanTriggerKind, type StoredPlan, storedPlan } from './plan-store.js';
import type { PlannerToken, PlannerTurn } from './planner-turn.js';
import { type CatalogueImages, type HeldReplica, type PlacementParameters, type RegionDemand } from './region-facts.js';
import { isEmptyPlan, type RegionPlan } from './region-plan.js';
import { resolvePins, type ResolvedPins } from './resolve-pins.js';

/** Images that one plan may look at: twice the goal of 50,000. */
export const PLACEMENT_IMAGES_MAX = 100_000;
/** Replicas in one region that one plan may look at, and layers referenced. */
export const PLACEMENT_LAYERS_MAX = 1_000_000;
/** Orders handed over under one renewal of the turn: at a third of a second for each, slower than any database, half a lease. */
export const ORDERS_AT_ONCE_MAX = 100;
/** How long a turn holds without renewal; a plan renews it before every region, and before every {@link ORDERS_AT_ONCE_MAX} orders. */
export const TURN_LEASE_DEFAULT_MS = 60 * SECOND_MS;
/** How long a call waits for another planner's turn to end where nothing else is configured. */
export const TURN_WAIT_DEFAULT_MS = 10 * SECOND_MS;
/** How often it looks meanwhile. */
const TURN_POLL_MS = 250;

/** What a {@link Planner} needs. */
export interface PlannerOptions {
  readonly facts: PlacementFacts;
  readonly orders: ReplicaOrders;
  readonly pins: PinStore;
  readonly demand: DemandStore;
  readonly plans: PlanStore;
  readonly turn: PlannerTurn;
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
}

/** What was planned for one region. */
export interface PlannedRegion extends PlanSummary {
  /** False for a plan after a push that ordered nothing and decided as the one kept before: then nothing is stored under its id. */
  readonly kept: boolean;
}

interface Gathered {
  readonly now: Date;
  readonly regions: readonly PlacementRegion[];
  readonly images: CatalogueImages;
  readonly referenced: ReadonlySet<Digest>;
  readonly replicas: ReadonlyMap<RegionName, readonly HeldReplica[]>;
  readonly demand: ReadonlyMap<RegionName, RegionDemand>;
  readonly pins: ResolvedPins;
  /** The pins that the plan knows. */
  readonly pinIds: ReadonlySet<string>;
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
    const report = this.#run(() => {
      this.#waiting = undefined;
      return run.trigger;
    });
    this.#waiting = Object.assign(run, { report });
    return report;
  }

  /** `begin` closes the run for callers to join: from then on facts are read. */
  async #run(begin: () => PlanTriggerKind): Promise<PlanningReport> {
    const { turn } = this.#options;
    let token: PlannerToken | undefined;
    try {
      token = await this.#acquireTurn();
    } catch (error) {
      begin();
      throw error;
    }
    const trigger = begin();
    if (token === undefined) return { outcome: 'busy', trigger, regions: [] };
    try {
      const report = await this.#plan(trigger, token);
      await turn.release(token);
      return report;
    } catch (error) {
      // What went wrong first is what matters; a turn that cannot be given back expires by itself.
      await turn.release(token).catch(() => false);
      throw error;
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

  async #plan(trigger: PlanTriggerKind, token: PlannerToken): Promise<PlanningReport> {
    const { turn, clock, plans, parameters, turnLeaseMs } = this.#options;
    const gathered = await this.#gather();
    const readyCounts = countReady(gathered.replicas);
    const planned: PlannedRegion[] = [];
    for (const { region, home, capacityBytes } of gathered.regions) {
      const replicas = gathered.replicas.get(region) ?? [];
      const plan = planRegion({
        region, home, capacityBytes, replicas, parameters,
        images: gathered.images.placeable,
        unfinished: gathered.images.unfinished,
        referenced: gathered.referenced,
        demand: gathered.demand.get(region) ?? { images: new Map(), repositories: new Map() },
        pins: gathered.pins.byRegion.get(region) ?? [],
        readyElsewhere: home ? readyOutside(region, gathered.replicas) : new Set(),
        mustKeep: lastReady(replicas, readyCounts, gathered.referenced),
      });
      // Renewed right before anything is written: a turn that was lost writes nothing.
      if ((await turn.renew(token, clock.now(), turnLeaseMs)) === undefined) return { outcome: 'turn-lost', trigger, regions: planned };
      const stored = storedPlan(plan, { id: randomUUID(), madeAt: gathered.now, trigger, unresolvedPins: gathered.pins.unresolvedByRegion.get(region) ?? [] });
      const kept = trigger !== 'push' || !isEmptyPlan(plan) || !(await this.#isKnown(stored));
      if (kept) await plans.save(stored);
      if (!(await this.#order(plan, gathered, token))) return { outcome: 'turn-lost', trigger, regions: planned };
      for (const { layer } of plan.drains) readyCounts.set(layer, (readyCounts.get(layer) ?? 0) - 1);
      const { decisions: _decisions, decisionsOmittedCount: _omitted, ...summary } = stored;
      planned.push({ ...summary, kept });
    }
    return { outcome: 'planned', trigger, regions: planned };
  }

  /** Whether the newest plan kept says the same already. */
  async #isKnown(plan: StoredPlan): Promise<boolean> {
    const latest = await this.#options.plans.latest(plan.region);
    return latest !== undefined && decidesTheSame(latest, plan);
  }

  /** Hands a plan's orders over, part by part. @returns false when the turn was lost before the last part: what was not handed over is planned again. */
  async #order(plan: RegionPlan, gathered: Gathered, token: PlannerToken): Promise<boolean> {
    const { turn, clock, orders, turnLeaseMs } = this.#options;
    const renew = async (): Promise<boolean> => (await turn.renew(token, clock.now(), turnLeaseMs)) !== undefined;
    for (const part of parts(plan.drains)) {
      if (!(await renew())) return false;
      const needed = await this.#pinnedSince(plan.region, gathered);
      await orders.drain(plan.region, part.filter(({ layer }) => !needed.has(layer)), []);
    }
    for (const part of parts(plan.withdrawals)) {
      if (!(await renew())) return false;
      await orders.drain(plan.region, [], part);
    }
    for (const part of parts(plan.wants)) {
      if (!(await renew())) return false;
      await orders.want(plan.region, part);
    }
    return true;
  }

  /**
   * The layers of repositories that were pinned in a region after the facts were read: the plan knows nothing of those pins, so it drains nothing of theirs.
   * A pin made even later finds its replicas draining, and the plan that is made for it recalls them.
   */
  async #pinnedSince(region: RegionName, { pinIds, images }: Gathered): Promise<ReadonlySet<Digest>> {
    const { pins, clock } = this.#options;
    const fresh = (await listActivePins(pins, clock.now())).filter((pin) => pin.regions.includes(region) && !pinIds.has(pin.id));
    const repositories = new Set(fresh.map((pin) => pin.repository));
    if (repositories.size === 0) return new Set();
    const ofPlaceable = images.placeable.filter((image) => repositories.has(image.repository)).flatMap(({ layers, view }) => [...layers, ...(view === undefined ? [] : [view])].map((layer) => layer.digest));
    const ofUnfinished = images.unfinished.filter((image) => repositories.has(image.repository)).flatMap((image) => image.layers);
    return new Set([...ofPlaceable, ...ofUnfinished]);
  }

  async #gather(): Promise<Gathered> {
    const { facts, demand, pins, clock, parameters } = this.#options;
    const now = clock.now();
    // Pins before images: a pin made in between is found before anything is drained, and planned next time; an image deleted in between leaves a pin without an image.
    const activePins = await listActivePins(pins, now);
    const regions = (await facts.regions()).toSorted((a, b) => (a.region < b.region ? -1 : 1));
    const images = await facts.images(PLACEMENT_IMAGES_MAX);
    requireFewer('images', images.placeable.length + images.unfinished.length, PLACEMENT_IMAGES_MAX);
    const referenced = await facts.referencedLayers(now, PLACEMENT_LAYERS_MAX);
    requireFewer('referenced layers', referenced.size, PLACEMENT_LAYERS_MAX);
    const replicas = new Map<RegionName, readonly HeldReplica[]>();
    for (const { region } of regions) {
      const held = await facts.replicas(region, now, PLACEMENT_LAYERS_MAX);
      requireFewer(`replicas in ${region}`, held.length, PLACEMENT_LAYERS_MAX);
      replicas.set(region, held);
    }
    const pinIds = new Set(activePins.map((pin) => pin.id));
    return { now, regions, images, referenced, replicas, demand: demandByRegion(await demand.snapshot(now), parameters.crossRegionRatio), pins: resolvePins(activePins, images), pinIds };
  }
}

function* parts<Order>(orders: readonly Order[]): Generator<readonly Order[], void> {
  for (let begin = 0; begin < orders.length; begin += ORDERS_AT_ONCE_MAX) yield orders.slice(begin, begin + ORDERS_AT_ONCE_MAX);
}

function requireFewer(what: string, count: number, max: number): void {
  if (count >= max) throw new PlacementError('FACTS_TOO_MANY', `there are ${max} ${what} or more: no plan is made on a part of them`, { details: { what, max } });
}

function demandByRegion(snapshot: DemandSnapshot, crossRegionRatio: number): Map<RegionName, RegionDemand> {
  const counts = snapshot.counts.map(({ region, repository, image, count }) => ({ region, image: { repository, digest: image }, weight: count.weight }));
  return crossRegionDemand(counts, crossRegionRatio);
}

function countReady(replicas: ReadonlyMap<RegionName, readonly HeldReplica[]>): Map<Digest, number> {
  const counts = new Map<Digest, number>();
  for (const held of replicas.values()) for (const { layer, state } of held) if (state === 'ready') counts.set(layer, (counts.get(layer) ?? 0) + 1);
  return counts;
}

function readyOutside(home: RegionName, replicas: ReadonlyMap<RegionName, readonly HeldReplica[]>): Set<Digest> {
  const elsewhere = [...replicas].filter(([region]) => region !== home).flatMap(([, held]) => held);
  return new Set(elsewhere.filter(({ state }) => state === 'ready').map(({ layer }) => layer));
}

function lastReady(replicas: readonly HeldReplica[], readyCounts: ReadonlyMap<Digest, number>, referenced: ReadonlySet<Digest>): Set<Digest> {
  const isLast = (state: HeldReplica['state'], readyCount: number): boolean => (state === 'ready' && readyCount <= 1) || (state === 'draining' && readyCount === 0);
  const last = replicas.filter(({ layer, state }) => referenced.has(layer) && isLast(state, readyCounts.get(layer) ?? 0));
  return new Set(last.map(({ layer }) => layer));
}
