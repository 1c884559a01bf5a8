import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { DAY_MS } from '#quantities';

import { add, type DecayedCount, decayTo, HALF_LIFE_DEFAULT_MS, weightAt } from './decayed-count.js';

const counts = fc.record({
  weight: fc.double({ min: 0.001, max: 1e6, noNaN: true }),
  at: fc.integer({ min: 0, max: 60 }).map((days) => new Date(Date.UTC(2026, 0, 1) + days * DAY_MS)),
});
const end = new Date(Date.UTC(2026, 3, 1));

function sum(all: readonly DecayedCount[]): number {
  return weightAt(all.reduce((a, b) => add(a, b, HALF_LIFE_DEFAULT_MS)), end, HALF_LIFE_DEFAULT_MS);
}

describe('a decayed count', () => {
  it('halves with every half-life, and is itself at its own instant', () => {
    const count = { weight: 6, at: end };
    expect(weightAt(count, end, DAY_MS)).toBe(6);
    expect(weightAt(count, new Date(end.getTime() + 2 * DAY_MS), DAY_MS)).toBe(1.5);
  });

  it('is worth the same whenever it is written down', () => {
    fc.assert(
      fc.property(counts, fc.integer({ min: -100, max: 100 }), (count, days) => {
        const moved = decayTo(count, new Date(count.at.getTime() + days * DAY_MS), HALF_LIFE_DEFAULT_MS);
        expect(weightAt(moved, end, HALF_LIFE_DEFAULT_MS) / weightAt(count, end, HALF_LIFE_DEFAULT_MS)).toBeCloseTo(1, 9);
      }),
    );
  });

  it('adds up to the same in any order and grouping', () => {
    fc.assert(
      fc.property(fc.array(counts, { minLength: 1, maxLength: 12 }), fc.nat(), (all, seed) => {
        const at = seed % all.length;
        const turned = [...all.slice(at), ...all.slice(0, at)].toReversed();
        const grouped = [all.slice(0, at + 1), all.slice(at + 1)].filter((part) => part.length > 0);
        const total = sum(all);
        expect(sum(turned) / total).toBeCloseTo(1, 9);
        expect(grouped.reduce((soFar, part) => soFar + sum(part), 0) / total).toBeCloseTo(1, 9);
      }),
    );
  });

  it('stays a number over any distance in time', () => {
    const old = { weight: 1, at: new Date(0) };
    expect(weightAt(old, new Date('9999-01-01'), 1)).toBeGreaterThan(0);
    expect(weightAt({ weight: 1, at: new Date('9999-01-01') }, new Date(0), 1)).toBeLessThan(Number.POSITIVE_INFINITY);
  });
});
