import { describe, expect, it } from 'vitest';

import { MiB } from '#quantities';

import { COMPARED_IMAGES_MAX, comparePlans } from './compare-plans.js';
import { planRegion } from './plan-region.js';
import { PARAMETER_NAMES, termsOf } from './plan-store.js';
import { PLACEMENT_PARAMETERS_DEFAULT, type RegionFacts } from './region-facts.js';
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

  it.each(PARAMETER_NAMES)('name %s where they did not go by it alike, and it alone', (name) => {
    const changed = { ...PLACEMENT_PARAMETERS_DEFAULT, [name]: PLACEMENT_PARAMETERS_DEFAULT[name] / 2 + 0.3 };
    const [before, after] = [{ ...planned(), terms: termsOf(PLACEMENT_PARAMETERS_DEFAULT) }, { ...planned(), terms: termsOf(changed) }];
    expect(comparePlans(before, after).parameters).toEqual([{ name, before: PLACEMENT_PARAMETERS_DEFAULT[name], after: changed[name] }]);
    expect(comparePlans(after, after).parameters).toEqual([]);
  });

  it('of earlier versions tell two parameters, or none: the others have one side', () => {
    const now = termsOf(PLACEMENT_PARAMETERS_DEFAULT);
    const { parameters: _parameters, ...earlier } = now;
    const compared = (before: object, after: object) => comparePlans({ ...planned(), ...before }, { ...planned(), ...after }).parameters;
    expect(compared({ terms: earlier }, { terms: now }).map(({ name, ...sides }) => [name, Object.keys(sides)])).toEqual(PARAMETER_NAMES.filter((name) => name !== 'horizonMs' && name !== 'minimumExpectedPulls').map((name) => [name, ['after']]));
    expect(compared({ terms: { ...earlier, breakEvenPulls: 7 } }, { terms: now })).toContainEqual({ name: 'minimumExpectedPulls', before: 7, after: PLACEMENT_PARAMETERS_DEFAULT.minimumExpectedPulls });
    expect(compared({ terms: now }, {}).every((difference) => !('after' in difference))).toBe(true);
    expect(compared({}, {})).toEqual([]);
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
