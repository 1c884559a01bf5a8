import { describe, expect, it } from 'vitest';

import { MiB } from '#quantities';

import { worthOf } from './image-worth.js';
import { planRegion } from './plan-region.js';
import { type HeldReplica, imageKey, type PlacementImage, type PlacementParameters, type RegionFacts } from './region-facts.js';
import { isEmptyPlan, type PlacementDecision, type RegionPlan } from './region-plan.js';
import { aForecast, aLayer, anImage, applyOrders, aRegion, expecting, PLAIN_PARAMETERS, replicasOf } from './testing/region-scene.js';

const of = (plan: RegionPlan, image: PlacementImage): PlacementDecision | undefined => plan.decisions.find((decision) => imageKey(decision) === imageKey(image));
const parameters = (changes: Partial<PlacementParameters> = {}): PlacementParameters => ({
  ...PLAIN_PARAMETERS, smallLayersRatio: 0, ...changes,
});

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

  it('asks less of a small image than of a large one where a hit is worth images of the usual size by itself, whatever the unit', () => {
    const [small, large] = [anImage('team/small:v1', [aLayer('few', 10)]), anImage('team/large:v1', [aLayer('many', 1000)])];
    const facts = (hitImages: number): RegionFacts => aRegion({ capacityBytes: 2000 * MiB, images: [small, large], forecasts: expecting({ 'team/small:v1': 0.4, 'team/large:v1': 0.4 }), parameters: parameters({ hitImages }) });
    const [none, some, much] = [0, 0.2, 20].map((hitImages) => planRegion(facts(hitImages)));
    expect([of(none!, small)?.reason, of(none!, large)?.reason]).toEqual(['DEMAND_TOO_SMALL', 'DEMAND_TOO_SMALL']);
    expect([of(some!, small)?.verdict, of(some!, large)?.reason]).toEqual(['placed', 'DEMAND_TOO_SMALL']);
    expect(of(some!, large)?.missingPulls).toBeCloseTo(1000 / (1000 + 0.2 * 505) - 0.4, 9);
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

describe('a part that images share', () => {
  const base = aLayer('shared base', 100);
  const tags = ['v1', 'v2', 'v3'].map((tag) => anImage(`team/large:${tag}`, [base, aLayer(`of ${tag}`, 500)]));
  const [first] = tags;
  const scene = (pulls: number, changes: Partial<PlacementParameters> = {}, facts: Partial<RegionFacts> = {}): RegionFacts =>
    aRegion({ images: tags, forecasts: expecting({ 'team/large:v1': pulls, 'team/large:v2': pulls * 0.9, 'team/large:v3': pulls * 0.8 }), parameters: parameters({ gigabyteWeight: 1, ...changes }), ...facts });

  it('is there for what it saves of the pulls of all of them, where none of them is worth its bytes, in the name of the one that is worth most', () => {
    const facts = scene(0.4);
    const plan = planRegion(facts);
    expect(tags.map((image) => of(plan, image)?.reason)).toEqual(['DEMAND_TOO_SMALL', 'DEMAND_TOO_SMALL', 'DEMAND_TOO_SMALL']);
    expect(plan.wants).toMatchObject([{ layer: base.digest, image: { digest: first!.digest } }]);
    expect([plan.partBytes, plan.usedBytes]).toEqual([base.sizeBytes, base.sizeBytes]);
    expect(of(plan, first!)?.marginalBytes).toBe(500 * MiB);
    expect(isEmptyPlan(planRegion(applyOrders(facts, plan)))).toBe(true);
  });

  it('has to bring back its bytes, and no hit is counted for it', () => {
    expect(planRegion(scene(0.37)).wants.map(({ layer }) => layer)).toEqual([]);
    // A hit worth a tenth of an image would do for 0.9 pulls.
    expect(planRegion(scene(0.36, { hitImages: 0.1 })).wants.map(({ layer }) => layer)).toEqual([]);
  });

  it('is none where bytes have no worth, and goes when nobody pulls what has it', () => {
    expect(planRegion(scene(0.4, { gigabyteWeight: 0 })).wants).toEqual([]);
    expect(planRegion(scene(0.01, {}, { replicas: replicasOf([base]) })).drains.map(({ layer }) => layer)).toEqual([base.digest]);
  });

  it('has an image that lacks the rest need no more pulls than the rest asks', () => {
    const pulled = { ...scene(0.4), forecasts: expecting({ 'team/large:v1': 0.84, 'team/large:v2': 0.1, 'team/large:v3': 0.1 }) };
    expect(of(planRegion(pulled), first!)).toMatchObject({ verdict: 'placed', reason: 'FEW_NEW_BYTES' });
    expect(of(planRegion({ ...pulled, parameters: parameters() }), first!)).toMatchObject({ verdict: 'refused', reason: 'DEMAND_TOO_SMALL' });
  });

  it('gives way to an image that is worth more for each byte, and takes what room images leave', () => {
    const small = anImage('team/small:v1', [aLayer('small image', 60)]);
    const among = (capacityMiB: number): RegionPlan => planRegion(scene(0.4, {}, { images: [...tags, small], capacityBytes: capacityMiB * MiB, forecasts: new Map([...scene(0.4).forecasts, ...expecting({ 'team/small:v1': 5 })]) }));
    expect([among(120), among(160)].map(({ wants }) => wants.map(({ layer }) => layer))).toEqual([[small.layers[0]!.digest], [small.layers[0]!.digest, base.digest]]);
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
  /** In the order in which they passed. */
  const passed = (...images: readonly PlacementImage[]): HeldReplica[] => images.flatMap(({ layers }, n) => replicasOf(layers).map((replica) => ({ ...replica, passedAt: new Date(n) })));
  const scene = (pulled: readonly (readonly [PlacementImage, expected: number])[], changes: Partial<PlacementParameters> = {}, replicas = passed(burst, small)): RegionFacts =>
    aRegion({ capacityBytes: 100 * MiB, images: [planned, burst, small], forecasts: new Map(pulled.map(([image, pulls]) => [imageKey(image), aForecast(pulls)])), replicas, parameters: parameters({ reactiveRatio: 0.24, ...changes }) });

  it('has what passed last stay, whatever is expected of it, as far as there is room in it', () => {
    const plan = planRegion(scene([[planned, 9]]));
    expect([of(plan, small), of(plan, burst), of(plan, planned)]).toMatchObject([{ verdict: 'kept', reason: 'RECENT_PULLS' }, { verdict: 'refused', reason: 'NO_DEMAND' }, { verdict: 'placed' }]);
    expect([plan.wants.map(({ layer }) => layer), plan.drains.map(({ layer }) => layer)]).toEqual([planned.layers, burst.layers].map((layers) => layers.map(({ digest }) => digest)));
  });

  it('keeps layers of images that are not whole, for the rest of them may pass too, and none that no image has', () => {
    const [base, rest, gone] = [aLayer('base', 5), aLayer('rest', 5), aLayer('gone', 5)];
    const image = anImage('team/halved:v1', [base, rest]);
    const replicas = replicasOf([base, gone]).map((replica) => ({ ...replica, passedAt: new Date(0) }));
    const plan = planRegion({ ...scene([], {}, replicas), images: [image], referenced: new Set([base.digest, rest.digest]) });
    expect([of(plan, image)?.verdict, plan.drains.map(({ layer, reason }) => [layer, reason])]).toEqual(['refused', [[gone.digest, 'NOT_REFERENCED']]]);
  });

  it('orders nothing, and has nothing stay that was ordered', () => {
    expect(planRegion(scene([], {}, [])).wants).toEqual([]);
    expect(of(planRegion(scene([], {}, replicasOf(burst.layers))), burst)?.reason).toBe('NO_DEMAND');
  });

  it('is kept from demand, also where nothing passed', () => {
    const verdictOf = (sizeMiB: number): string | undefined => {
      const large = anImage('team/large:v1', [aLayer('large', sizeMiB)]);
      return of(planRegion({ ...scene([[large, 4]], {}, []), images: [large] }), large)?.verdict;
    };
    expect([verdictOf(76), verdictOf(77)]).toEqual(['placed', 'refused']);
  });

  it('pushes out nothing that was copied: demand is chosen as if nothing had passed', () => {
    const held = replicasOf(planned.layers);
    const plan = planRegion(scene([[planned, 2], [burst, 9], [small, 9]], { reactiveRatio: 0.4, switchGainRatio: 20 }, [...held, ...passed(burst, small)]));
    expect([plan.wants, plan.adoptions, plan.drains]).toEqual([[], [], []]);
    expect([planned, burst, small].map((image) => of(plan, image)?.reason)).toEqual(['DEMAND', 'RECENT_PULLS', 'RECENT_PULLS']);
  });

  it('gives to demand for nothing what it wants of it, which is ordered from then on', () => {
    const facts = scene([[burst, 9]]);
    const plan = planRegion(facts);
    expect([plan.wants, plan.adoptions.map(({ layer }) => layer)]).toEqual([[], burst.layers.map(({ digest }) => digest)]);
    expect(of(plan, burst)).toMatchObject({ verdict: 'kept', reason: 'DEMAND' });
    expect(of(plan, small)?.reason).toBe('RECENT_PULLS');
    const after = applyOrders(facts, plan);
    expect(after.replicas.map((replica) => replica.passedAt?.getTime())).toEqual([undefined, 1]);
    expect(isEmptyPlan(planRegion(after))).toBe(true);
  });

  it('takes back nothing that drains, and has as much of what cannot go as it has room for', () => {
    const draining = passed(burst).map((replica) => ({ ...replica, state: 'draining' as const }));
    expect(planRegion(scene([], {}, draining)).wants).toEqual([]);
    const leased = passed(burst, small).map((replica) => ({ ...replica, leased: true }));
    const plan = planRegion(scene([], {}, leased));
    expect([plan.adoptions.map(({ sizeBytes }) => sizeBytes), plan.drains]).toEqual([[10 * MiB], []]);
  });
});
