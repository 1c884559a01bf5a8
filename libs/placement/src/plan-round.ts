import type { Digest } from '#oci';
import { HOUR_MS } from '#quantities';
import type { RegionName } from '#regions';

import { type Admission, admitWants, type RegionTurn } from './admit-wants.js';
import type { PlanningRound } from './gather-round.js';
import { explainSettled, orderSettled, type SettledRegion, settleRegion } from './plan-region.js';
import { type HeldReplica, imageKey, type PlacementImage, type PlacementParameters } from './region-facts.js';
import type { RegionOrders, RegionPlan } from './region-plan.js';
import { STEP_COUNT } from './steps.js';

/** How long an image counts as just pushed: what is kept of budgets for pushes is for it. */
const PUSHED_WITHIN_MS = HOUR_MS;

/**
 * Plans the regions of a round one after the other, in the order of their names. A layer that a region gives up counts as gone for those after it, so that together they never give up the last
 * one. What the budgets of the day do not admit of all regions' wants is left for a later plan. Depends on nothing but its arguments; whoever stops in the middle leaves the rest unplanned.
 */
export function* planRound(round: PlanningRound, parameters: PlacementParameters): Generator<RegionPlan, void> {
  for (const plan of planRoundInSteps(round, parameters)) if (plan !== undefined) yield plan;
}

/** {@link planRound}, which also halts, with nothing, after every few milliseconds: for callers that share a thread. Whoever has others go on in between leaves the round as it is. */
export function* planRoundInSteps(round: PlanningRound, parameters: PlacementParameters): Generator<RegionPlan | undefined, void> {
  const turns = yield* settleRound(round, parameters);
  const admissions = yield* admitRound(round, turns);
  // One after the other they are let go.
  for (let turn = turns.shift(); turn !== undefined; turn = turns.shift()) {
    const plan = { ...(yield* explainSettled(turn.settled)), ...turn.orders };
    const admission = admissions?.get(plan.region);
    yield withOthers(round, admission === undefined ? plan : withAdmitted(plan, admission, turn.settled));
  }
}

/** A region, and what its plan would order were there no budgets. */
interface SettledTurn {
  readonly settled: SettledRegion;
  readonly orders: RegionOrders;
}

/** What should be in each region, one after the other: those after it learn what a plan gives up. */
function* settleRound(round: PlanningRound, parameters: PlacementParameters): Generator<undefined, SettledTurn[]> {
  const { images, referenced, only } = round;
  const readyCounts = yield* countReady(round.replicas);
  const turns: SettledTurn[] = [];
  for (const { region, home, capacityBytes } of round.regions) {
    const replicas = round.replicas.get(region) ?? [];
    const settled = yield* settleRegion({
      region, home, replicas, parameters, referenced,
      capacityBytes: Math.max(0, capacityBytes - (only?.otherBytes.get(region) ?? 0)),
      images: images.placeable,
      unfinished: images.unfinished,
      forecasts: round.forecasts.get(region) ?? new Map(),
      pins: round.pins.byRegion.get(region) ?? [],
      readyElsewhere: home ? yield* readyOutside(region, round.replicas) : new Set(),
      mustKeep: yield* lastReady(replicas, readyCounts, referenced),
    });
    const orders = yield* orderSettled(settled);
    for (const { layer } of orders.drains) readyCounts.set(layer, (readyCounts.get(layer) ?? 0) - 1);
    turns.push({ settled, orders });
    yield;
  }
  return turns;
}

/** What the budgets admit in every region; undefined where there are none. */
function* admitRound({ budget, images, now, only }: PlanningRound, turns: readonly SettledTurn[]): Generator<undefined, ReadonlyMap<RegionName, Admission> | undefined> {
  if (budget === undefined) return undefined;
  const wanted = new Set<string>();
  for (const { orders } of turns) {
    for (const { image } of orders.wants) wanted.add(imageKey(image));
    yield;
  }
  const byKey = new Map<string, PlacementImage>();
  for (const [n, image] of images.placeable.entries()) {
    if (n % STEP_COUNT === 0) yield;
    const key = imageKey(image);
    if (wanted.has(key)) byKey.set(key, image);
  }
  // A plan for some repositories takes nothing back.
  const asked = turns.map(({ settled, orders }): RegionTurn => ({ orders: only === undefined ? orders : { ...orders, withdrawals: [] }, isThere: (layer) => isThere(settled, layer) }));
  const isPushed = ({ pushedAt }: PlacementImage): boolean => only !== undefined || now.getTime() - pushedAt.getTime() <= PUSHED_WITHIN_MS;
  return yield* admitWants(asked, { budget, images: byKey, isPushed });
}

/** Whether there is a replica of a layer, in whatever state. */
function isThere({ region: { table, replicaOf } }: SettledRegion, layer: Digest): boolean {
  return replicaOf[table.layerNumber.get(layer) ?? -1] !== undefined;
}

/** The plan with what else is on the share. */
function withOthers({ regions, only }: PlanningRound, plan: RegionPlan): RegionPlan {
  if (only === undefined) return plan;
  const otherBytes = only.otherBytes.get(plan.region) ?? 0;
  const capacityBytes = regions.find(({ region }) => region === plan.region)?.capacityBytes ?? plan.capacityBytes;
  return { ...plan, capacityBytes, usedBytes: plan.usedBytes + otherBytes, forcedBytes: plan.forcedBytes + otherBytes };
}

/** The plan with the orders that were admitted, and of what is there no more taken away than these need room for. */
function withAdmitted(plan: RegionPlan, { layers, waiting }: Admission, settled: SettledRegion): RegionPlan {
  if (waiting.size === 0) return plan;
  const { replicas } = settled.region.facts;
  const wants = plan.wants.filter(({ layer }) => layers.has(layer));
  const stays = replicas.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) - plan.withdrawals.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  let excessBytes = stays + wants.reduce((sum, { layer, sizeBytes }) => (isThere(settled, layer) ? sum : sum + sizeBytes), 0) - plan.capacityBytes;
  const drains = plan.drains.filter(({ sizeBytes, reason }) => {
    const doesGo = reason === 'NOT_REFERENCED' || excessBytes > 0;
    if (doesGo) excessBytes -= sizeBytes;
    return doesGo;
  });
  const decisions = plan.decisions.map((decision) => {
    const wait = waiting.get(imageKey(decision));
    return wait === undefined ? decision : { ...decision, waitsFor: wait.reason, waitsForBytes: wait.missingBytes };
  });
  return { ...plan, wants, drains, decisions };
}

function* countReady(replicas: ReadonlyMap<RegionName, readonly HeldReplica[]>): Generator<undefined, Map<Digest, number>> {
  const counts = new Map<Digest, number>();
  for (const held of replicas.values()) {
    for (const [n, { layer, state }] of held.entries()) {
      if (n % STEP_COUNT === 0) yield;
      if (state === 'ready') counts.set(layer, (counts.get(layer) ?? 0) + 1);
    }
  }
  return counts;
}

function* readyOutside(home: RegionName, replicas: ReadonlyMap<RegionName, readonly HeldReplica[]>): Generator<undefined, Set<Digest>> {
  const outside = new Set<Digest>();
  for (const [region, held] of replicas) {
    if (region === home) continue;
    for (const [n, { layer, state }] of held.entries()) {
      if (n % STEP_COUNT === 0) yield;
      if (state === 'ready') outside.add(layer);
    }
  }
  return outside;
}

function* lastReady(replicas: readonly HeldReplica[], readyCounts: ReadonlyMap<Digest, number>, referenced: ReadonlySet<Digest>): Generator<undefined, Set<Digest>> {
  const last = new Set<Digest>();
  for (const [n, { layer, state }] of replicas.entries()) {
    if (n % STEP_COUNT === 0) yield;
    const readyCount = readyCounts.get(layer) ?? 0;
    if (((state === 'ready' && readyCount <= 1) || (state === 'draining' && readyCount === 0)) && referenced.has(layer)) last.add(layer);
  }
  return last;
}
