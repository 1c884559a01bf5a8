import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { DAY_MS } from '#quantities';

import { addCounts, type DecayedCounts, weightsAt } from './decayed-counts.js';
import { HALF_LIVES, HALF_LIVES_MS, type Weights } from './model/half-lives.js';

const weight = fc.double({ min: 0.001, max: 1e6, noNaN: true });
const counts = fc.record({
  weights: fc.tuple(weight, weight, weight),
  at: fc.integer({ min: 0, max: 60 }).map((days) => new Date(Date.UTC(2026, 0, 1) + days * DAY_MS)),
});
const end = new Date(Date.UTC(2026, 3, 1));

function sum(all: readonly DecayedCounts[]): Weights {
  return weightsAt(all.reduce(addCounts), end);
}

describe('decayed counts', () => {
  it('halve with every half-life, and are themselves at their own instant', () => {
    const given: DecayedCounts = { weights: [6, 6, 6], at: end };
    expect(weightsAt(given, end)).toEqual([6, 6, 6]);
    for (const halfLife of HALF_LIVES) expect(weightsAt(given, new Date(end.getTime() + 2 * HALF_LIVES_MS[halfLife]))[halfLife]).toBe(1.5);
  });

  it('are worth the same whenever they are written down', () => {
    fc.assert(
      fc.property(counts, fc.integer({ min: -30, max: 30 }), (given, days) => {
        const at = new Date(given.at.getTime() + days * DAY_MS);
        const moved = { weights: weightsAt(given, at), at };
        for (const halfLife of HALF_LIVES) expect(weightsAt(moved, end)[halfLife] / weightsAt(given, end)[halfLife]).toBeCloseTo(1, 9);
      }),
    );
  });

  it('add up to the same in any order and grouping', () => {
    fc.assert(
      fc.property(fc.array(counts, { minLength: 1, maxLength: 12 }), fc.nat(), (all, seed) => {
        const at = seed % all.length;
        const turned = [...all.slice(at), ...all.slice(0, at)].toReversed();
        const grouped = [all.slice(0, at + 1), all.slice(at + 1)].filter((part) => part.length > 0);
        const total = sum(all);
        for (const halfLife of HALF_LIVES) {
          expect(sum(turned)[halfLife] / total[halfLife]).toBeCloseTo(1, 9);
          expect(grouped.reduce((soFar, part) => soFar + sum(part)[halfLife], 0) / total[halfLife]).toBeCloseTo(1, 9);
        }
      }),
    );
  });

  it('stay numbers over any distance in time', () => {
    const [old, young] = [new Date(0), new Date('9999-01-01')];
    for (const halfLife of HALF_LIVES) {
      expect(weightsAt({ weights: [1, 1, 1], at: old }, young)[halfLife]).toBeGreaterThan(0);
      expect(weightsAt({ weights: [1, 1, 1], at: young }, old)[halfLife]).toBeLessThan(Number.POSITIVE_INFINITY);
    }
  });
});
