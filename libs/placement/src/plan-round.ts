import type { Digest } from '#oci';
import { HOUR_MS } from '#quantities';
import type { RegionName } from '#regions';

import { type Admission, admitWants, type RegionTurn } from './admit-wants.js';
import type { PlanningRound } from './gather-round.js';
import { orderRegionInSteps, planRegionInSteps } from './plan-region.js';
import { type HeldReplica, imageKey, type PlacementImage, type PlacementParameters, type RegionFacts } from './region-facts.js';
import type { RegionOrders, RegionPlan } from './region-plan.js';

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
  const admissions = yield* admitRound(round, parameters);
  for (const facts of eachRegion(round, parameters)) {
    const plan = yield* planRegionInSteps(facts);
    const admission = admissions?.get(facts.region);
    yield withOthers(round, admission === undefined ? plan : withAdmitted(plan, admission, facts));
    facts.give(plan);
  }
}

/** What the budgets admit in every region; undefined where there are none. */
function* admitRound(round: PlanningRound, parameters: PlacementParameters): Generator<undefined, ReadonlyMap<RegionName, Admission> | undefined> {
  const { budget, images, now, only } = round;
  if (budget === undefined) return undefined;
  const turns: RegionTurn[] = [];
  for (const facts of eachRegion(round, parameters)) {
    const orders = yield* orderRegionInSteps(facts);
    // A plan for some repositories takes nothing back.
    turns.push({ orders: only === undefined ? orders : { ...orders, withdrawals: [] }, replicas: facts.replicas });
    facts.give(orders);
    yield;
  }
  const isPushed = ({ pushedAt }: PlacementImage): boolean => only !== undefined || now.getTime() - pushedAt.getTime() <= PUSHED_WITHIN_MS;
  const wanted = new Set(turns.flatMap(({ orders }) => orders.wants.map((want) => imageKey(want.image))));
  const byKey = new Map(images.placeable.map((image) => [imageKey(image), image] as const).filter(([key]) => wanted.has(key)));
  return admitWants(turns, { budget, images: byKey, isPushed });
}

/** The facts of each region, and `give`, by which those after it learn what its plan gives up. */
function* eachRegion(round: PlanningRound, parameters: PlacementParameters): Generator<RegionFacts & { give(orders: RegionOrders): void }, void> {
  const { images, referenced, only } = round;
  const readyCounts = countReady(round.replicas);
  for (const { region, home, capacityBytes } of round.regions) {
    const replicas = round.replicas.get(region) ?? [];
    yield {
      region, home, replicas, parameters, referenced,
      capacityBytes: Math.max(0, capacityBytes - (only?.otherBytes.get(region) ?? 0)),
      images: images.placeable,
      unfinished: images.unfinished,
      forecasts: round.forecasts.get(region) ?? new Map(),
      pins: round.pins.byRegion.get(region) ?? [],
      readyElsewhere: home ? readyOutside(region, round.replicas) : new Set(),
      mustKeep: lastReady(replicas, readyCounts, referenced),
      give({ drains }) {
        for (const { layer } of drains) readyCounts.set(layer, (readyCounts.get(layer) ?? 0) - 1);
      },
    };
  }
}

/** The plan with what else is on the share. */
function withOthers({ regions, only }: PlanningRound, plan: RegionPlan): RegionPlan {
  if (only === undefined) return plan;
  const otherBytes = only.otherBytes.get(plan.region) ?? 0;
  const capacityBytes = regions.find(({ region }) => region === plan.region)?.capacityBytes ?? plan.capacityBytes;
  return { ...plan, capacityBytes, usedBytes: plan.usedBytes + otherBytes, forcedBytes: plan.forcedBytes + otherBytes };
}

/** The plan with the orders that were admitted, and of what is there no more taken away than these need room for. */
function withAdmitted(plan: RegionPlan, { layers, waiting }: Admission, { replicas }: RegionFacts): RegionPlan {
  if (waiting.size === 0) return plan;
  const there = new Set(replicas.map(({ layer }) => layer));
  const wants = plan.wants.filter(({ layer }) => layers.has(layer));
  const stays = replicas.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) - plan.withdrawals.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  let excessBytes = stays + wants.reduce((sum, { layer, sizeBytes }) => (there.has(layer) ? sum : sum + sizeBytes), 0) - plan.capacityBytes;
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
