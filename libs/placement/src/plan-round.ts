import type { Digest } from '#oci';
import type { RegionName } from '#regions';

import type { PlanningRound } from './gather-round.js';
import type { PlacementRegion } from './placement-ports.js';
import { planRegion } from './plan-region.js';
import type { HeldReplica, PlacementParameters } from './region-facts.js';
import type { RegionPlan } from './region-plan.js';

/**
 * Plans the regions of a round one after the other, in the order of their names. A layer that a region gives up counts as gone for those after it, so that together they never give up the last
 * one. Depends on nothing but its arguments; whoever stops in the middle leaves the rest unplanned.
 */
export function* planRound(round: PlanningRound, parameters: PlacementParameters): Generator<RegionPlan, void> {
  const readyCounts = countReady(round.replicas);
  for (const place of round.regions) {
    const plan = planPlace(round, place, { parameters, readyCounts });
    yield plan;
    for (const { layer } of plan.drains) readyCounts.set(layer, (readyCounts.get(layer) ?? 0) - 1);
  }
}

function planPlace(round: PlanningRound, place: PlacementRegion, { parameters, readyCounts }: { readonly parameters: PlacementParameters; readonly readyCounts: ReadonlyMap<Digest, number> }): RegionPlan {
  const { region, home, capacityBytes } = place;
  const { images, referenced, only } = round;
  const replicas = round.replicas.get(region) ?? [];
  const otherBytes = only?.otherBytes.get(region) ?? 0;
  const plan = planRegion({
    region, home, replicas, parameters, referenced,
    capacityBytes: Math.max(0, capacityBytes - otherBytes),
    images: images.placeable,
    unfinished: images.unfinished,
    demand: round.demand.get(region) ?? { images: new Map(), repositories: new Map() },
    pins: round.pins.byRegion.get(region) ?? [],
    readyElsewhere: home ? readyOutside(region, round.replicas) : new Set(),
    mustKeep: lastReady(replicas, readyCounts, referenced),
  });
  return only === undefined ? plan : { ...plan, capacityBytes, usedBytes: plan.usedBytes + otherBytes, forcedBytes: plan.forcedBytes + otherBytes };
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
