import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { digestOf } from '#oci';
import { MiB } from '#quantities';

import { planRegion } from './plan-region.js';
import { imageKey, type PlacementImage, type RegionFacts } from './region-facts.js';
import { isEmptyPlan, type PlacementDecision, type RegionPlan } from './region-plan.js';
import { aForecast, aLayer, anImage, applyOrders, aRegion, aRegionPin, expecting, completeOrders, replicasOf, SCENE_NOW, unfinished } from './testing/region-scene.js';

const of = (plan: RegionPlan, image: PlacementImage): PlacementDecision | undefined => plan.decisions.find((decision) => imageKey(decision) === imageKey(image));
const digests = (orders: readonly { readonly layer: string }[]): string[] => orders.map((order) => order.layer).toSorted();
const layerDigests = (...layers: readonly { readonly digest: string }[]): string[] => layers.map((layer) => layer.digest).toSorted();

describe('a plan for a region', () => {
  const base = aLayer('base', 100);
  const code = aLayer('code', 20);
  const app = anImage('team/app:v1', [base, code]);

  it('places an image that is pulled, and refuses one that is not, saying what it lacks', () => {
    const idle = anImage('team/idle:v1', [aLayer('idle', 5)]);
    const seldom = anImage('team/seldom:v1', [aLayer('seldom', 5)]);
    const plan = planRegion(aRegion({ images: [app, idle, seldom], forecasts: expecting({ 'team/app:v1': 10, 'team/seldom:v1': 0.4 }) }));
    expect(of(plan, app)).toMatchObject({ verdict: 'placed', reason: 'DEMAND', rank: 1, marginalBytes: 120 * MiB, usedBytesAfter: 120 * MiB });
    expect(of(plan, idle)).toMatchObject({ verdict: 'refused', reason: 'NO_DEMAND', missingPulls: 1 });
    expect(of(plan, seldom)).toMatchObject({ verdict: 'refused', reason: 'DEMAND_TOO_SMALL' });
    expect(of(plan, seldom)?.missingPulls).toBeCloseTo(0.6, 9);
    expect(digests(plan.wants)).toEqual(layerDigests(base, code));
  });

  it('wants a new tag before its first pull, because its repository is pulled', () => {
    const old = anImage('team/app:v1', [base, code], 48);
    const fresh = anImage('team/app:v2', [base, aLayer('new code', 20)], 0);
    const plan = planRegion(aRegion({ images: [old, fresh], forecasts: expecting({ 'team/app:v1': 10, 'team/app:v2': { inheritedPulls: 5 } }), replicas: replicasOf(old.layers) }));
    expect(of(plan, fresh)).toMatchObject({ verdict: 'placed', reason: 'REPOSITORY_DEMAND', ownPulls: 0, marginalBytes: 20 * MiB });
    expect(digests(plan.wants)).toEqual(layerDigests(aLayer('new code', 20)));
  });

  it('has the merged view follow its image, once there is one, and go with it', () => {
    const view = aLayer('view', 2);
    const viewed = { ...app, view };
    const scene = { images: [viewed], forecasts: expecting({ 'team/app:v1': 10 }), referenced: new Set([...app.layers, view].map((layer) => layer.digest)) };
    expect(digests(planRegion(aRegion(scene)).wants)).toEqual(layerDigests(base, code, view));
    expect(planRegion(aRegion(scene)).wants.map((want) => [want.layer, want.isView]).filter(([, isView]) => isView)).toEqual([[view.digest, true]]);
    const later = planRegion(aRegion({ ...scene, replicas: replicasOf(app.layers) }));
    expect([of(later, viewed)?.verdict, digests(later.wants), later.wants[0]?.image.digest]).toEqual(['kept', layerDigests(view), app.digest]);
    const idle = planRegion(aRegion({ ...scene, forecasts: expecting({}), replicas: replicasOf([...app.layers, view]) }));
    expect(digests(idle.drains)).toEqual(layerDigests(base, code, view));
  });

  it('leaves an image alone that has no room for its merged view, or is kept by less demand than a newcomer needs', () => {
    const view = aLayer('view', 2);
    const scene = { images: [{ ...app, view }], forecasts: expecting({ 'team/app:v1': 0.65 }), replicas: replicasOf(app.layers) };
    const plan = planRegion(aRegion(scene));
    expect([plan.drains, digests(plan.wants)]).toEqual([[], layerDigests(view)]);
    expect(isEmptyPlan(planRegion(aRegion({ ...scene, capacityBytes: 121 * MiB })))).toBe(true);
  });

  it('brings a merged view back to home that another region has', () => {
    const view = aLayer('view', 2);
    const scene = { home: true, images: [{ ...app, view }], replicas: replicasOf(app.layers) };
    expect(isEmptyPlan(planRegion(aRegion(scene)))).toBe(true);
    expect(digests(planRegion(aRegion({ ...scene, readyElsewhere: new Set([view.digest]) })).wants)).toEqual(layerDigests(view));
  });

  it('pays a shared layer once', () => {
    const other = anImage('team/other:v1', [base, aLayer('other', 30)]);
    const plan = planRegion(aRegion({ capacityBytes: 150 * MiB, images: [app, other], forecasts: expecting({ 'team/app:v1': 8, 'team/other:v1': 8 }) }));
    expect([of(plan, app)?.verdict, of(plan, other)?.verdict]).toEqual(['placed', 'placed']);
    expect(plan.usedBytes).toBe(150 * MiB);
  });

  it('reconsiders an image that did not fit once another has brought its layers', () => {
    const huge = anImage('team/huge:v1', [base, aLayer('tiny', 1)]);
    const carrier = anImage('team/carrier:v1', [base, aLayer('carried', 40)]);
    const dense = anImage('team/dense:v1', [aLayer('dense', 9)]);
    const plan = planRegion(aRegion({
      capacityBytes: 150 * MiB, images: [huge, carrier, dense], forecasts: expecting({ 'team/huge:v1': 8, 'team/carrier:v1': 8, 'team/dense:v1': 9 }),
    }));
    expect(plan.decisions.map((decision) => decision.verdict)).toEqual(['placed', 'placed', 'placed']);
  });

  it('keeps what it chose when a newcomer looks denser only because of what is there by then', () => {
    const held = anImage('a/held:v1', [aLayer('a', 10)]);
    const fresh = anImage('b/fresh:v1', [aLayer('s', 8)]);
    const tempting = anImage('c/tempting:v1', [aLayer('s', 8), aLayer('x', 4)]);
    const facts = aRegion({
      capacityBytes: 20 * MiB, images: [held, fresh, tempting], replicas: replicasOf(held.layers),
      forecasts: expecting({ 'a/held:v1': 10, 'b/fresh:v1': 12, 'c/tempting:v1': 9 }),
    });
    const plan = planRegion(facts);
    expect([held, fresh, tempting].map((image) => of(plan, image)?.verdict)).toEqual(['kept', 'placed', 'refused']);
    expect(of(plan, tempting)).toMatchObject({ reason: 'OVER_CAPACITY', missingBytes: 2 * MiB });
    expect(isEmptyPlan(planRegion(applyOrders(facts, plan)))).toBe(true);
  });

  it('lets what is there give way only to what is clearly worth more', () => {
    const held = anImage('a/held:v1', [aLayer('a', 100)]);
    const rival = anImage('b/rival:v1', [aLayer('b', 100)]);
    const verdicts = (weight: number): unknown[] => {
      const plan = planRegion(aRegion({
        capacityBytes: 150 * MiB, images: [held, rival], replicas: replicasOf(held.layers), forecasts: expecting({ 'a/held:v1': 10, 'b/rival:v1': weight }),
      }));
      return [of(plan, held)?.verdict, of(plan, rival)?.verdict, plan.drains.length];
    };
    expect(verdicts(10.5)).toEqual(['kept', 'refused', 0]);
    expect(verdicts(30)).toEqual(['refused', 'placed', 1]);
  });

  it('keeps what is there at half of the demand that it takes to come', () => {
    const plan = (weight: number): RegionPlan => planRegion(aRegion({ images: [app], forecasts: expecting({ 'team/app:v1': weight }), replicas: replicasOf(app.layers) }));
    expect(of(plan(0.8), app)).toMatchObject({ verdict: 'kept', reason: 'HELD_DEMAND' });
    expect(of(plan(0.4), app)).toMatchObject({ verdict: 'refused' });
    expect(plan(0.4).drains).toHaveLength(2);
  });

  it('says of a pin that does not fit how much is missing, and still serves the lower one that fits', () => {
    const big = anImage('team/big:v1', [aLayer('big', 900)]);
    const plan = planRegion(aRegion({ capacityBytes: 500 * MiB, images: [big, app], pins: [aRegionPin(big, 9), aRegionPin(app, 1)] }));
    expect(of(plan, big)).toMatchObject({ verdict: 'unmet', reason: 'PIN_OVER_CAPACITY', missingBytes: 400 * MiB });
    expect(of(plan, app)).toMatchObject({ verdict: 'pinned', reason: 'PIN', rank: 1 });
  });

  it('gives short room to the higher pin, among equals to the older one', () => {
    const images = ['a', 'b', 'c'].map((name) => anImage(`team/${name}:v1`, [aLayer(name, 60)]));
    const [a, b, c] = images as [PlacementImage, PlacementImage, PlacementImage];
    const yesterday = new Date(SCENE_NOW.getTime() - 86_400_000);
    const plan = planRegion(aRegion({ capacityBytes: 120 * MiB, images, pins: [aRegionPin(a, 0), aRegionPin(b, 0, yesterday), aRegionPin(c, 5)] }));
    expect([a, b, c].map((image) => of(plan, image)?.verdict)).toEqual(['unmet', 'pinned', 'pinned']);
    expect(plan.wants.map((want) => want.image.repository)).toEqual(['team/c', 'team/b']);
  });

  it('copies image by image: no layer of a less wanted image before the last of a more wanted one', () => {
    const images = [3, 1, 2].map((n) => anImage(`team/n${n}:v1`, [1, 2, 3].map((part) => aLayer(`${n} ${part}`, 10))));
    const plan = planRegion(aRegion({ images, forecasts: expecting({ 'team/n1:v1': 2, 'team/n2:v1': 20, 'team/n3:v1': 200 }) }));
    expect(plan.wants.map((want) => want.image.repository)).toEqual([...Array<string>(3).fill('team/n3'), ...Array<string>(3).fill('team/n2'), ...Array<string>(3).fill('team/n1')]);
  });

  it('orders a wanted replica again when its image has become more urgent', () => {
    const wanted = app.layers.map((layer) => ({ layer: layer.digest, sizeBytes: layer.sizeBytes, state: 'wanted' as const, leased: false, priority: 10 }));
    const plan = planRegion(aRegion({ images: [app], pins: [aRegionPin(app, 3)], replicas: wanted }));
    expect(plan.wants.map((want) => want.priority)).toEqual([1_003_000, 1_003_000]);
  });

  it('takes back what is wanted no more before it is copied, and lets a running copy end', () => {
    const [first, second] = [replicasOf([base], 'wanted'), replicasOf([code], 'copying')];
    const plan = planRegion(aRegion({ images: [app], replicas: [...first, ...second] }));
    expect(digests(plan.withdrawals)).toEqual(layerDigests(base));
    expect(plan.drains).toEqual([]);
    expect(plan.forcedBytes).toBe(code.sizeBytes);
  });

  it('leaves alone what is referenced but cannot be planned yet, and drains what nothing references', () => {
    const [pending, orphan] = [aLayer('pending', 5), aLayer('orphan', 6)];
    const plan = planRegion(aRegion({ replicas: replicasOf([pending, orphan]), referenced: new Set([pending.digest]) }));
    expect(plan.drains).toEqual([{ layer: orphan.digest, sizeBytes: orphan.sizeBytes, reason: 'NOT_REFERENCED' }]);
  });

  it('places nothing new on a share whose capacity was cut below what is leased', () => {
    const leased = anImage('team/leased:v1', [aLayer('leased', 400)]);
    const plan = planRegion(aRegion({
      capacityBytes: 100 * MiB, images: [leased, app], replicas: [...replicasOf(leased.layers, 'ready', true), ...replicasOf(app.layers)], forecasts: expecting({ 'team/app:v1': 50 }),
    }));
    expect(plan.wants).toEqual([]);
    expect(digests(plan.drains)).toEqual(layerDigests(base, code));
    expect(of(plan, leased)).toMatchObject({ verdict: 'kept', reason: 'LAYERS_HELD' });
    expect(of(plan, app)).toMatchObject({ verdict: 'refused', reason: 'OVER_CAPACITY', missingBytes: 420 * MiB });
  });

  it('drains nothing of a pinned tag whose new image is still being expanded', () => {
    const old = { ...app, tags: [] };
    const fresh = unfinished(anImage('team/app:v2', [base, aLayer('new code', 20)]));
    const replicas = replicasOf(old.layers);
    expect(isEmptyPlan(planRegion(aRegion({ images: [old], unfinished: [fresh], pins: [aRegionPin(fresh)], replicas })))).toBe(true);
    expect(planRegion(aRegion({ images: [old], unfinished: [fresh], replicas })).drains).toHaveLength(2);
  });

  it('keeps the other layers of a pinned image while one is expanded again, also those that another image has', () => {
    const other = anImage('team/other:v1', [base]);
    const plan = planRegion(aRegion({ images: [other], unfinished: [unfinished(app)], pins: [aRegionPin(app)], replicas: replicasOf([base]) }));
    expect(plan.drains).toEqual([]);
    expect(plan.forcedBytes).toBe(base.sizeBytes);
  });

  it('keeps what the tag named before until all of the new image is there, as far as both have room', () => {
    const old = { ...app, tags: [] };
    const fresh = anImage('team/app:v2', [base, aLayer('new code', 30)], 0);
    const facts = aRegion({ images: [old, fresh], pins: [aRegionPin(fresh)], replicas: replicasOf(old.layers), capacityBytes: 150 * MiB });
    const plan = planRegion(facts);
    expect([digests(plan.wants), plan.drains]).toEqual([layerDigests(aLayer('new code', 30)), []]);
    expect(digests(planRegion(completeOrders(applyOrders(facts, plan))).drains)).toEqual(layerDigests(code));
    const short = planRegion({ ...facts, capacityBytes: 149 * MiB });
    expect([of(short, fresh)?.verdict, digests(short.wants), digests(short.drains)]).toEqual(['pinned', layerDigests(aLayer('new code', 30)), layerDigests(code)]);
  });

  it('keeps what is pulled while a layer of it is expanded again, and drains what nobody pulls', () => {
    const other = anImage('team/other:v1', [base]);
    const plan = (weight: number): RegionPlan =>
      planRegion(aRegion({ images: [other], unfinished: [unfinished(app)], forecasts: expecting({ 'team/app:v1': weight }), replicas: replicasOf([base]) }));
    expect(plan(5).drains).toEqual([]);
    expect(digests(plan(0.1).drains)).toEqual(layerDigests(base));
  });

  it('goes on keeping what a repository\'s pulls brought when the tag moves to an image that is still being expanded', () => {
    const [past, old] = [anImage('team/app:v0', [aLayer('past', 5)], 48), { ...app, tags: [] }];
    const fresh = unfinished(anImage('team/app:v2', [base, aLayer('new code', 20)]));
    const plan = planRegion(aRegion({ images: [past, old], unfinished: [fresh], forecasts: expecting({ 'team/app:v0': 10, 'team/app:v1': { inheritedPulls: 5 } }), replicas: replicasOf(old.layers) }));
    expect(of(plan, old)).toMatchObject({ verdict: 'kept', reason: 'REPOSITORY_DEMAND' });
    expect(plan.drains).toEqual([]);
  });

  it('counts an image without bytes as there', () => {
    const empty = anImage('team/empty:v1', []);
    expect(of(planRegion(aRegion({ capacityBytes: 0, images: [empty] })), empty)).toMatchObject({ verdict: 'kept', reason: 'NOTHING_TO_STORE' });
  });
});

describe('what a plan is worth', () => {
  /** The best value that any set of whole images can have, found by trying all. */
  function best(facts: RegionFacts, values: readonly number[]): number {
    let most = 0;
    for (let set = 0; set < 2 ** facts.images.length; set += 1) {
      const chosen = facts.images.filter((_, n) => (set >> n) % 2 === 1);
      const bytes = [...new Map(chosen.flatMap((image) => image.layers.map((layer) => [layer.digest, layer.sizeBytes]))).values()].reduce((sum, size) => sum + size, 0);
      if (bytes <= facts.capacityBytes) most = Math.max(most, facts.images.reduce((sum, _, n) => ((set >> n) % 2 === 1 ? sum + (values[n] ?? 0) : sum), 0));
    }
    return most;
  }

  const tiny = fc.record({
    images: fc.array(fc.record({ parts: fc.uniqueArray(fc.nat({ max: 7 }), { maxLength: 4 }), weight: fc.integer({ min: 1, max: 30 }) }), { minLength: 1, maxLength: 7 }),
    sizes: fc.array(fc.integer({ min: 1, max: 10 }), { minLength: 8, maxLength: 8 }),
    capacityMiB: fc.integer({ min: 10, max: 40 }),
  });

  function factsOf(input: { readonly images: readonly { readonly parts: readonly number[]; readonly weight: number }[]; readonly sizes: readonly number[]; readonly capacityMiB: number }): RegionFacts {
    const images = input.images.map(({ parts }, n) => anImage(`r${n}:v1`, parts.map((part) => aLayer(`${part}`, input.sizes[part] ?? 1))));
    const forecasts = expecting(Object.fromEntries(input.images.map(({ weight }, n) => [`r${n}:v1`, weight])));
    return aRegion({ images, forecasts, capacityBytes: input.capacityMiB * MiB });
  }

  it('is the optimum where every image fits, and never more than the optimum', () => {
    fc.assert(
      fc.property(tiny, (input) => {
        const facts = factsOf(input);
        const plan = planRegion(facts);
        const valueOf = new Map(plan.decisions.map((decision) => [imageKey(decision), decision.expectedPulls]));
        const optimum = best(facts, facts.images.map((image) => valueOf.get(imageKey(image)) ?? 0));
        const chosen = plan.decisions.filter((decision) => decision.rank !== undefined).reduce((sum, decision) => sum + decision.expectedPulls, 0);
        expect(chosen).toBeLessThanOrEqual(optimum + 1e-9);
        const all = facts.images.reduce((sum, image) => sum + (valueOf.get(imageKey(image)) ?? 0), 0);
        if (optimum === all) expect(chosen).toBeCloseTo(optimum, 9);
      }),
      { numRuns: 300 },
    );
  });

  it('is on average at least 95 % of the optimum on a thousand tiny regions', () => {
    const ratios = fc.sample(tiny, { numRuns: 1000, seed: 20_260_601 }).map((input) => {
      const facts = factsOf(input);
      const plan = planRegion(facts);
      const valueOf = new Map(plan.decisions.map((decision) => [imageKey(decision), decision.expectedPulls]));
      const optimum = best(facts, facts.images.map((image) => valueOf.get(imageKey(image)) ?? 0));
      const chosen = plan.decisions.filter((decision) => decision.rank !== undefined).reduce((sum, decision) => sum + decision.expectedPulls, 0);
      return optimum === 0 ? 1 : chosen / optimum;
    });
    const mean = ratios.reduce((sum, ratio) => sum + ratio, 0) / ratios.length;
    expect(mean).toBeGreaterThan(0.95);
  });
});

const CATALOG = fileURLToPath(new URL('../../../../shared/traces/image_catalog.jsonl.gz', import.meta.url));

describe.skipIf(!existsSync(CATALOG))('a plan of 1,500 real images', () => {
  /** Every 36th tag of the catalogue, 1,500 in all, with demand by a power law. */
  function realRegion(capacityRatio: number): RegionFacts {
    const [first = '', ...lines] = gunzipSync(readFileSync(CATALOG)).toString().trim().split('\n');
    const sizes = (JSON.parse(first) as { layer_sizes_compressed_bytes: number[] }).layer_sizes_compressed_bytes;
    const repositories = lines.map((line) => JSON.parse(line) as { repo: string; tags: [string, string, number[]][] });
    const all = repositories.flatMap(({ repo, tags }) => tags.map(([tag, created, layers]) => ({ repo, tag, created, layers })));
    const step = Math.floor(all.length / 1500);
    const images = all.filter((_, n) => n % step === 0).slice(0, 1500).map(({ repo, tag, created, layers }): PlacementImage => ({
      repository: repo, digest: digestOf(`${repo}:${tag}`), tags: [tag], pushedAt: new Date(`${created}Z`),
      layers: [...new Set(layers)].map((layer) => ({ digest: digestOf(`${layer}`), sizeBytes: 3 * (sizes[layer] ?? 0) })),
    }));
    const forecasts = new Map(images.map((image, n) => [imageKey(image), aForecast(1000 / (1 + ((n * 7919) % 1500)) ** 0.9)]));
    const bytes = [...new Map(images.flatMap((image) => image.layers.map((layer) => [layer.digest, layer.sizeBytes]))).values()].reduce((sum, size) => sum + size, 0);
    return aRegion({ images, forecasts, capacityBytes: Math.floor(bytes * capacityRatio) });
  }

  it.each([0.02, 0.1, 0.4])('fills %d of the catalogue with whole images within capacity, and nothing moves the second time', (capacityRatio) => {
    const facts = realRegion(capacityRatio);
    const plan = planRegion(facts);
    expect(facts.images).toHaveLength(1500);
    expect(plan.usedBytes).toBeLessThanOrEqual(facts.capacityBytes);
    expect(plan.usedBytes).toBeGreaterThan(0.9 * facts.capacityBytes);
    expect(isEmptyPlan(planRegion(applyOrders(facts, plan)))).toBe(true);
  });
});
