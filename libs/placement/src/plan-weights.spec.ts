import { describe, expect, it } from 'vitest';

import { MiB } from '#quantities';

import { worthOf } from './image-worth.js';
import { planRegion } from './plan-region.js';
import { type HeldReplica, imageKey, PLACEMENT_PARAMETERS_DEFAULT, type PlacementImage, type PlacementParameters, type RegionFacts } from './region-facts.js';
import { isEmptyPlan, type PlacementDecision, type RegionPlan } from './region-plan.js';
import { aForecast, aLayer, anImage, applyOrders, aRegion, expecting, replicasOf } from './testing/region-scene.js';

const of = (plan: RegionPlan, image: PlacementImage): PlacementDecision | undefined => plan.decisions.find((decision) => imageKey(decision) === imageKey(image));
const parameters = (changes: Partial<PlacementParameters> = {}): PlacementParameters => ({
  ...PLACEMENT_PARAMETERS_DEFAULT, smallLayersRatio: 0, ...changes,
});
/** Forecasts of some images, and how often they were pulled lately. */
const recently = (pulled: readonly (readonly [PlacementImage, recentPulls: number, expected?: number])[]): RegionFacts['forecasts'] =>
  new Map(pulled.map(([image, recentPulls, expected = 0]) => [imageKey(image), { ...aForecast(expected), recentPulls }]));

describe('what an image must bring back', () => {
  const base = aLayer('base', 90);
  const often = anImage('team/often:v1', [base, aLayer('often', 10)]);
  const seldom = anImage('team/seldom:v1', [base, aLayer('seldom', 10)]);
  const scene = (weights: RegionFacts['forecasts'], changes: Partial<PlacementParameters> = {}): RegionPlan => planRegion(aRegion({ images: [often, seldom], forecasts: weights, parameters: parameters(changes) }));

  it('is what it adds: a tenth of the pulls are enough for a tenth of its bytes', () => {
    expect(of(scene(expecting({ 'team/often:v1': 5, 'team/seldom:v1': 0.3 })), seldom)).toMatchObject({ verdict: 'placed', reason: 'FEW_NEW_BYTES', marginalBytes: 10 * MiB });
    expect(of(scene(expecting({ 'team/seldom:v1': 0.3 })), seldom)).toMatchObject({ verdict: 'refused', reason: 'DEMAND_TOO_SMALL' });
    expect(of(scene(expecting({ 'team/seldom:v1': 0.3 })), seldom)?.missingPulls).toBeCloseTo(0.7, 9);
  });

  it('is never less than the least pulls, however little it adds', () => {
    const plan = scene(expecting({ 'team/often:v1': 5, 'team/seldom:v1': 0.15 }));
    expect(of(plan, seldom)).toMatchObject({ verdict: 'refused', reason: 'DEMAND_TOO_SMALL' });
    expect(of(plan, seldom)?.missingPulls).toBeCloseTo(0.05, 9);
    expect(of(scene(expecting({ 'team/often:v1': 5, 'team/seldom:v1': 0.3 }), { leastExpectedPulls: 1 }), seldom)).toMatchObject({ reason: 'DEMAND_TOO_SMALL' });
  });

  it('asks less of a small image than of a large one where a hit is worth bytes by itself', () => {
    const [small, large] = [anImage('team/small:v1', [aLayer('few', 10)]), anImage('team/large:v1', [aLayer('many', 1000)])];
    const facts = (hitGigabytes: number): RegionFacts => aRegion({ capacityBytes: 2000 * MiB, images: [small, large], forecasts: expecting({ 'team/small:v1': 0.4, 'team/large:v1': 0.4 }), parameters: parameters({ hitGigabytes }) });
    const [none, some, much] = [0, 0.1, 10].map((hitGigabytes) => planRegion(facts(hitGigabytes)));
    expect([of(none!, small)?.reason, of(none!, large)?.reason]).toEqual(['DEMAND_TOO_SMALL', 'DEMAND_TOO_SMALL']);
    expect([of(some!, small)?.verdict, of(some!, large)?.reason]).toEqual(['placed', 'DEMAND_TOO_SMALL']);
    expect(of(some!, large)?.missingPulls).toBeCloseTo((1000 * MiB) / (1000 * MiB + 1e8) - 0.4, 9);
    expect([of(much!, small)?.verdict, of(much!, large)?.verdict]).toEqual(['placed', 'placed']);
  });

  it('goes with the image that brought the rest: what then lacks pulls for all of its bytes goes, too', () => {
    const facts = aRegion({ images: [often, seldom], forecasts: expecting({ 'team/often:v1': 5, 'team/seldom:v1': 0.3 }), parameters: parameters() });
    const there = applyOrders(facts, planRegion(facts));
    const later = planRegion({ ...there, replicas: there.replicas.map((replica) => ({ ...replica, state: 'ready' })), forecasts: expecting({ 'team/seldom:v1': 0.3 }) });
    expect(later.drains.map((drain) => drain.layer).toSorted()).toEqual([...often.layers, ...seldom.layers.slice(1)].map((layer) => layer.digest).toSorted());
  });
});

describe('the worth of an image', () => {
  const weights = { gigabyteWeight: 2, firstPullWeight: 3 };

  it('is its pulls, and more for each gigabyte', () => {
    expect(worthOf({ expectedPulls: 5, ownPulls: 5, probability: 1 }, 5e8, { gigabyteWeight: 0, firstPullWeight: 0 })).toBe(5);
    expect(worthOf({ expectedPulls: 5, ownPulls: 5, probability: 1 }, 5e8, weights)).toBe(10);
  });

  it('has the chance of a first pull besides where it was never pulled, and nothing where nothing is expected', () => {
    expect(worthOf({ expectedPulls: 1, ownPulls: 0, probability: 0.5 }, 0, weights)).toBe(2.5);
    expect(worthOf({ expectedPulls: 0, ownPulls: 0, probability: 0.5 }, 1e9, weights)).toBe(0);
  });
});

describe('small layers', () => {
  const small = aLayer('small', 0.5);
  const idle = anImage('team/idle:v1', [aLayer('large', 50), small]);

  it('are wanted of images that nobody pulls, after everything else', () => {
    const pulled = anImage('team/app:v1', [aLayer('app', 20)]);
    const plan = planRegion(aRegion({ images: [idle, pulled], forecasts: expecting({ 'team/app:v1': 3 }), parameters: parameters({ smallLayersRatio: 0.01 }) }));
    expect(plan.wants.map((want) => want.layer)).toEqual([...pulled.layers, small].map((layer) => layer.digest));
    expect([plan.smallLayerBytes, of(plan, idle)?.verdict]).toEqual([MiB / 2, 'refused']);
  });

  it('take no more than their share of the capacity, those of pulled images first', () => {
    const flood = Array.from({ length: 100 }, (_, n) => anImage(`flood/a${n}:v1`, [aLayer(`flood ${n}`, 0.9)]));
    const plan = planRegion(aRegion({ capacityBytes: 100 * MiB, images: [...flood, idle], forecasts: expecting({ 'team/idle:v1': 0.5 }), parameters: parameters({ smallLayersRatio: 0.02 }) }));
    expect([plan.wants.some((want) => want.layer === small.digest), plan.smallLayerBytes]).toEqual([true, small.sizeBytes + flood[0]!.layers[0]!.sizeBytes]);
  });
});

describe('the reactive window', () => {
  const planned = anImage('team/planned:v1', [aLayer('planned', 60)]);
  const burst = anImage('team/burst:v1', [aLayer('burst', 15)]);
  const small = anImage('team/small:v1', [aLayer('small one', 10)]);
  const passed = (...images: readonly PlacementImage[]): HeldReplica[] => images.flatMap(({ layers }) => replicasOf(layers)).map((replica) => ({ ...replica, passed: true }));
  const scene = (forecasts: RegionFacts['forecasts'], changes: Partial<PlacementParameters> = {}, replicas = passed(burst, small)): RegionFacts =>
    aRegion({ capacityBytes: 100 * MiB, images: [planned, burst, small], forecasts, replicas, parameters: parameters({ reactiveRatio: 0.24, ...changes }) });

  it('has what passed and was pulled most of late stay, whatever is expected of it, in two thirds of it', () => {
    const plan = planRegion(scene(recently([[planned, 0, 9], [burst, 5], [small, 4]])));
    expect(of(plan, burst)).toMatchObject({ verdict: 'kept', reason: 'RECENT_PULLS' });
    expect([of(plan, planned)?.verdict, of(plan, small)?.verdict]).toEqual(['placed', 'refused']);
    expect([plan.wants.map(({ layer }) => layer), plan.drains.map(({ layer }) => layer)]).toEqual([planned.layers, small.layers].map((layers) => layers.map(({ digest }) => digest)));
  });

  it('orders nothing, and has nothing stay that was ordered', () => {
    const forecasts = recently([[burst, 5], [small, 4]]);
    expect(planRegion(scene(forecasts, {}, [])).wants).toEqual([]);
    expect(of(planRegion(scene(forecasts, {}, replicasOf(burst.layers))), burst)?.reason).toBe('NO_DEMAND');
  });

  it('is kept from demand, also where nothing passed', () => {
    const verdictOf = (sizeMiB: number): string | undefined => {
      const large = anImage('team/large:v1', [aLayer('large', sizeMiB)]);
      return of(planRegion({ ...scene(recently([[large, 0, 4]]), {}, []), images: [large] }), large)?.verdict;
    };
    expect([verdictOf(76), verdictOf(77)]).toEqual(['placed', 'refused']);
  });

  it('gives room by what is lost least, and copies nothing for it, when more has passed than may stay', () => {
    const held = replicasOf(planned.layers);
    const [first, second] = [anImage('team/first:v1', [aLayer('first', 9)]), anImage('team/second:v1', [aLayer('second', 9)])];
    const plan = planRegion({ ...scene(recently([[planned, 5, 9], [first, 0, 2], [second, 0, 1]]), {}, [...held, ...passed(burst), ...replicasOf([...first.layers, ...second.layers])]), images: [planned, burst, first, second] });
    expect([plan.wants, plan.drains.map(({ layer }) => layer)]).toEqual([[], [...second.layers, ...burst.layers].map(({ digest }) => digest)]);
  });

  it('takes the most recent pulls for each byte first where that is its order', () => {
    const facts = scene(recently([[burst, 5], [small, 4]]), { reactiveOrder: 'density' });
    expect([burst, small].map((image) => of(planRegion(facts), image)?.verdict)).toEqual(['refused', 'kept']);
  });

  it('pushes out nothing that was copied: demand is chosen as if nothing had passed', () => {
    const held = replicasOf(planned.layers);
    const forecasts = recently([[planned, 0, 2], [burst, 9, 9], [small, 9, 9]]);
    const plan = planRegion(scene(forecasts, { reactiveRatio: 0.4, switchGainRatio: 20 }, [...held, ...passed(burst, small)]));
    expect([plan.wants, plan.adoptions, plan.drains]).toEqual([[], [], []]);
    expect([planned, burst, small].map((image) => of(plan, image)?.reason)).toEqual(['DEMAND', 'RECENT_PULLS', 'RECENT_PULLS']);
  });

  it('gives to demand for nothing what it wants of it, which is ordered from then on', () => {
    const facts = scene(recently([[burst, 5, 9], [small, 4]]));
    const plan = planRegion(facts);
    expect([plan.wants, plan.adoptions.map(({ layer }) => layer)]).toEqual([[], burst.layers.map(({ digest }) => digest)]);
    expect(of(plan, burst)).toMatchObject({ verdict: 'kept', reason: 'DEMAND' });
    expect(of(plan, small)?.reason).toBe('RECENT_PULLS');
    const after = applyOrders(facts, plan);
    expect(after.replicas.map((replica) => replica.passed)).toEqual([false, true]);
    expect(isEmptyPlan(planRegion(after))).toBe(true);
  });

  it('takes back as what nobody ordered what drains, and has as much of what cannot go as it has room for', () => {
    const draining = passed(burst).map((replica) => ({ ...replica, state: 'draining' as const }));
    expect(planRegion(scene(recently([[burst, 5], [small, 4]]), {}, draining)).wants).toMatchObject([{ layer: burst.layers[0]!.digest, passed: true }]);
    const leased = passed(burst, small).map((replica) => ({ ...replica, leased: true }));
    const plan = planRegion(scene(recently([]), {}, leased));
    expect([plan.adoptions.map(({ sizeBytes }) => sizeBytes), plan.drains]).toEqual([[10 * MiB], []]);
  });

  it('leaves out what demand would place by itself, and images with fewer pulls than it asks for', () => {
    const plan = planRegion(scene(recently([[planned, 9, 9], [burst, 1], [small, 2]]), { reactivePullsMin: 2 }, passed(planned, burst, small)));
    expect([planned, burst, small].map((image) => of(plan, image)?.reason)).toEqual(['DEMAND', 'NO_DEMAND', 'RECENT_PULLS']);
  });
});
