import fc from 'fast-check';
import { expect, it } from 'vitest';

import { digestOf } from '#oci';
import { DAY_MS } from '#quantities';

import { addCounts, type DecayedCounts } from './decayed-counts.js';
import { RunningCounts } from './running-counts.js';

const KEY = { region: 'eastus', repository: 'team/app', image: digestOf('image') };
const NOON_MS = Date.parse('2026-05-01T12:00:00.000Z');

it('running counts are what counts come to that are added up one by one, whatever their order', () => {
  const anyPulls = fc.array(fc.tuple(fc.constantFrom(1, -1, 2), fc.integer({ min: -90 * DAY_MS, max: 90 * DAY_MS })), { minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(anyPulls, (pulls) => {
      const running = new RunningCounts(KEY, NOON_MS + pulls[0]![1]);
      for (const [count, ms] of pulls) running.add(count, NOON_MS + ms);
      const { weights, at, ...key } = running.counts();
      const added = pulls.map(([count, ms]): DecayedCounts => ({ weights: [count, count, count], at: new Date(NOON_MS + ms) })).reduce(addCounts);
      expect([key, at]).toEqual([KEY, added.at]);
      for (const [place, weight] of weights.entries()) expect(weight).toBeCloseTo(added.weights[place]!, 9);
    }),
  );
});

it('what was read of running counts stays as it was', () => {
  const running = new RunningCounts(KEY, NOON_MS);
  running.add(1, NOON_MS);
  const before = running.counts();
  running.add(1, NOON_MS);
  expect([before.weights, running.counts().weights]).toEqual([[1, 1, 1], [2, 2, 2]]);
});
