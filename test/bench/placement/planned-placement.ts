import { giveWay, inSlices } from '#clock';
import type { ImageForecast } from '#demand';
import type { Digest } from '#oci';
import { imageKey, type HeldReplica, PLACEMENT_PARAMETERS_DEFAULT, type PlacementParameters, planRegion, planRegionInSteps, planRound, planRoundInSteps, type RegionFacts, type RegionPlan } from '#placement';

import { hitsOf, type PlacementCase } from './placement-case.js';

/** Pulls of all images together: so many that none counts for nothing. */
const PULLS = 1e6;

/** Everything that is pulled may be placed, hits alone are worth something, and all of the room is demand's: what is left is what to choose for the room that there is. */
const HITS_ALONE: PlacementParameters = {
  ...PLACEMENT_PARAMETERS_DEFAULT,
  minimumExpectedPulls: 0, leastExpectedPulls: 0.2, hitImages: 0, keepRatio: 0.5, heldBytesRatio: 0.5, switchGainRatio: 0.1, gigabyteWeight: 0, firstPullWeight: 0, reactiveRatio: 0,
};

/** An empty region, as the planner sees it, in which everything that is pulled may be placed. */
export function emptyRegion({ images, demand }: PlacementCase, capacityBytes: number): RegionFacts {
  const forecasts = new Map(images.map((image, n) => [imageKey(image), ownForecast(demand[n]! * PULLS)]));
  return {
    region: 'eastus', home: false, capacityBytes, images, forecasts,
    unfinished: [], pins: [], replicas: [], referenced: new Set(), mustKeep: new Set(), readyElsewhere: new Set(),
    parameters: HITS_ALONE,
  };
}

/** The same facts under the planner's own weights, by which what images share competes with them. Of its images nothing is known from plans before. */
export function withShared(facts: RegionFacts): RegionFacts {
  return { ...facts, images: facts.images.map((image) => ({ ...image })), parameters: PLACEMENT_PARAMETERS_DEFAULT };
}

function ownForecast(pulls: number): ImageForecast {
  return { expectedPulls: pulls, ownPulls: pulls, inheritedPulls: 0, elsewherePulls: 0, probability: -Math.expm1(-pulls), low: pulls, high: pulls };
}

/** A plan by the product's own planner, and how long it took. */
export function timedPlan(facts: RegionFacts): { readonly plan: RegionPlan; readonly tookMs: number } {
  const beganMs = performance.now();
  const plan = planRegion(facts);
  return { plan, tookMs: performance.now() - beganMs };
}

/** How long a calculation takes in slices, and the longest time that everything else waits for its turn meanwhile; both in milliseconds. */
export async function turnsOf(steps: Generator<unknown, unknown, void>): Promise<{ readonly tookMs: number; readonly longestTurnMs: number }> {
  const beganMs = performance.now();
  let isDone = false;
  const watching = (async () => {
    let longestTurnMs = 0;
    for (let lastMs = performance.now(); !isDone;) {
      await giveWay();
      const nowMs = performance.now();
      longestTurnMs = Math.max(longestTurnMs, nowMs - lastMs);
      lastMs = nowMs;
    }
    return longestTurnMs;
  })();
  await inSlices(steps).finally(() => (isDone = true));
  return { tookMs: performance.now() - beganMs, longestTurnMs: await watching };
}

/** One region, decided as the planner does it. */
export function regionSteps(facts: RegionFacts): Generator<unknown, unknown, void> {
  return planRegionInSteps(facts);
}

/** A whole round, decided as the planner does it: home, where every layer is, and so many regions like one, under a day's budget that carries a tenth of what their shares hold. */
export function roundSteps(facts: RegionFacts, regionCount: number): Generator<unknown, unknown, void> {
  const { images, capacityBytes, forecasts, parameters, replicas } = facts;
  const away = Array.from({ length: regionCount }, (_, n) => `region-${n}`);
  const expanded = new Map(images.flatMap(({ layers }) => layers.map(({ digest, sizeBytes }) => [digest, sizeBytes] as const)));
  const atHome = [...expanded].map(([layer, sizeBytes]): HeldReplica => ({ layer, sizeBytes, state: 'ready', leased: false }));
  const link = { usdPerGb: 0.05, bytesPerDay: capacityBytes / 10, carriedBytes: 0, pendingBytes: 0 };
  return planRoundInSteps({
    ...ROUND,
    regions: [{ region: 'home', home: true, capacityBytes: Number.MAX_SAFE_INTEGER }, ...away.map((region) => ({ region, home: false, capacityBytes }))],
    images: { placeable: images, unfinished: [] },
    referenced: new Set(expanded.keys()),
    replicas: new Map([['home', atHome], ...away.map((region) => [region, replicas.map((replica) => ({ ...replica }))] as const)]),
    forecasts: new Map(away.map((region) => [region, forecasts])),
    budget: { regions: new Map(away.map((region) => [region, link])), spentUsd: 0, pushReserveRatio: 0.2 },
  }, parameters);
}

/** The region once a plan is carried out. */
export function carriedOut(facts: RegionFacts, plan: RegionPlan): RegionFacts {
  const gone = new Set([...plan.drains, ...plan.withdrawals].map(({ layer }) => layer));
  const wanted = plan.wants.map(({ layer, sizeBytes }): HeldReplica => ({ layer, sizeBytes, state: 'ready', leased: false }));
  return { ...facts, replicas: [...facts.replicas.filter(({ layer }) => !gone.has(layer)), ...wanted] };
}

/** The demand of the images that are whole in a region. */
export function hitsIn(of: PlacementCase, { replicas }: Pick<RegionFacts, 'replicas'>): number {
  const there = new Set<Digest>(replicas.map(({ layer }) => layer));
  const numbered = new Map(of.images.flatMap((image, n) => image.layers.map(({ digest }, at) => [of.layersOf[n]![at]!, digest] as const)));
  return hitsOf(of, (layer) => there.has(numbered.get(layer)!));
}

/** The region once what a budget of bytes admits of its plan is carried out: whole images, and what gives way to them. */
export function admittedOrders(facts: RegionFacts, bytesPerDay: number): RegionFacts {
  const { region, capacityBytes, images, forecasts, replicas, parameters } = facts;
  const [plan] = planRound({
    ...ROUND,
    regions: [{ region, home: false, capacityBytes }],
    images: { placeable: images, unfinished: [] },
    replicas: new Map([[region, replicas]]),
    forecasts: new Map([[region, forecasts]]),
    budget: { regions: new Map([[region, { usdPerGb: 0, bytesPerDay, carriedBytes: 0, pendingBytes: 0 }]]), spentUsd: 0, pushReserveRatio: 0 },
  }, parameters);
  return carriedOut(facts, plan!);
}

/** Long after every push, and without pins. */
const ROUND = { now: new Date('2030-01-01T00:00:00.000Z'), referenced: new Set<Digest>(), pins: { byRegion: new Map(), unresolvedByRegion: new Map() }, pinIds: new Set<string>() };
