import fc from 'fast-check';
import { expect, it } from 'vitest';

import { atOnce } from '#clock';

import { sortInSteps } from './steps.js';

it('sorts in steps as at once: what is equal keeps its order, and the list itself is left alone', () => {
  fc.assert(fc.property(fc.nat({ max: 30_000 }), fc.integer({ min: 1, max: 50_000 }), fc.integer(), (count, kinds, seed) => {
    let state = seed >>> 0;
    const list = Array.from({ length: count }, (_, at) => ({ key: (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) % kinds, at }));
    const given = [...list];
    const compare = (a: { readonly key: number }, b: { readonly key: number }): number => a.key - b.key;
    expect(atOnce(sortInSteps(list, compare)).every((each, n, sorted) => n === 0 || sorted[n - 1]!.key < each.key || (sorted[n - 1]!.key === each.key && sorted[n - 1]!.at < each.at))).toBe(true);
    expect(atOnce(sortInSteps(list, compare))).toHaveLength(count);
    expect(list.every((each, n) => each === given[n])).toBe(true);
  }), { numRuns: 15 });
});
