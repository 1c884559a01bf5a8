import { describe, expect, it } from 'vitest';

import { MiB } from '#quantities';

import { COMPARED_IMAGES_MAX, comparePlans } from './compare-plans.js';
import { planRegion } from './plan-region.js';
import type { RegionFacts } from './region-facts.js';
import { aLayer, anImage, aRegion, aRegionPin, expecting } from './testing/region-scene.js';

const images = ['a', 'b', 'c'].map((name) => anImage(`team/${name}:v1`, [aLayer(name, 40)]));
const forecasts = expecting({ 'team/a:v1': 9, 'team/b:v1': 6, 'team/c:v1': 3 });
const planned = (changes: Partial<RegionFacts> = {}) => planRegion(aRegion({ images, forecasts, capacityBytes: 80 * MiB, ...changes }));

describe('two plans', () => {
  it('are the same whatever their numbers are', () => {
    const comparison = comparePlans(planned(), planned({ forecasts: expecting({ 'team/a:v1': 90, 'team/b:v1': 60, 'team/c:v1': 30 }) }));
    expect(comparison).toMatchObject({ comes: [], goes: [], otherwise: [], counts: { comes: 0, goes: 0, otherwise: 0, same: 3 } });
    expect(comparison.servedPulls.after).toBeCloseTo(10 * comparison.servedPulls.before);
  });

  it('differ in what comes and what goes, and in what they use', () => {
    const comparison = comparePlans(planned(), planned({ capacityBytes: 40 * MiB }));
    expect(comparison.goes).toMatchObject([{ repository: 'team/b', before: { verdict: 'placed' }, after: { verdict: 'refused', reason: 'OVER_CAPACITY' } }]);
    expect(comparison).toMatchObject({ comes: [], otherwise: [], usedBytes: { before: 80 * MiB, after: 40 * MiB }, capacityBytes: { before: 80 * MiB, after: 40 * MiB } });
    const back = comparePlans(planned({ capacityBytes: 40 * MiB }), planned());
    expect(back.comes).toMatchObject([{ repository: 'team/b' }]);
  });

  it('tell apart why an image is there, and what one of them does not know', () => {
    const comparison = comparePlans(planned(), planned({ pins: [aRegionPin(images[0]!)], images: images.slice(0, 2) }));
    expect(comparison.otherwise).toMatchObject([{ repository: 'team/a', before: { reason: 'DEMAND' }, after: { reason: 'PIN' } }, { repository: 'team/c', before: { verdict: 'refused' } }]);
    expect(comparison.otherwise[1]).not.toHaveProperty('after');
  });

  it('name no more images than are of use, and count all', () => {
    const many = Array.from({ length: COMPARED_IMAGES_MAX + 5 }, (_, n) => anImage(`team/many-${n}:v1`, [aLayer(`many ${n}`, 1)]));
    const wanted = expecting(Object.fromEntries(many.map(({ repository }, n) => [`${repository}:v1`, 2 + n])));
    const comparison = comparePlans(planned({ images: many, forecasts: wanted, capacityBytes: 0 }), planned({ images: many, forecasts: wanted, capacityBytes: 5000 * MiB }));
    expect(comparison.counts.comes).toBe(many.length);
    expect(comparison.comes).toHaveLength(COMPARED_IMAGES_MAX);
    expect(comparison.comes[0]?.repository).toBe(`team/many-${many.length - 1}`);
  });
});
