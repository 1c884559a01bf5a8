import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { DAY_MS } from '#quantities';

import { expectedPulls, type ForecastParameters } from './expected-pulls.js';

const parameters: ForecastParameters = { halfLifeMs: 3 * DAY_MS, horizonMs: 7 * DAY_MS, inheritRatio: 0.5 };

describe('expectedPulls', () => {
  it('expects of a steady rate what that rate brings within the horizon', () => {
    const pullsPerDay = 4;
    let weight = 0;
    for (let pull = 0; pull < 4000; pull += 1) weight += 2 ** -((pull / pullsPerDay) * DAY_MS / parameters.halfLifeMs);
    const expected = expectedPulls({ ownWeight: weight, repositoryWeight: weight, generation: 0 }, parameters);
    expect(expected.total).toBeGreaterThan(0.95 * 7 * pullsPerDay);
    expect(expected.total).toBeLessThan(1.05 * 7 * pullsPerDay);
  });

  it('gives the newest tag a share of what its repository is pulled, and older ones less', () => {
    const of = (generation: number | undefined): number => expectedPulls({ ownWeight: 0, repositoryWeight: 10, generation }, parameters).inherited;
    expect(of(0)).toBeCloseTo(10 * 0.5 * Math.LN2 * (7 / 3), 9);
    expect(of(1)).toBeCloseTo(of(0) / 2, 9);
    expect(of(undefined)).toBe(0);
  });

  it('inherits nothing from itself', () => {
    expect(expectedPulls({ ownWeight: 5, repositoryWeight: 5, generation: 0 }, parameters).inherited).toBe(0);
  });

  it('is never negative and never less than its own part, whatever rounding made of the counts', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1e9, noNaN: true }), fc.double({ min: 0, max: 1e9, noNaN: true }), fc.option(fc.nat(50), { nil: undefined }),
        (ownWeight, repositoryWeight, generation) => {
          const expected = expectedPulls({ ownWeight, repositoryWeight, generation }, parameters);
          expect(expected.inherited).toBeGreaterThanOrEqual(0);
          expect(expected.total).toBe(expected.own + expected.inherited);
        }),
    );
  });
});
