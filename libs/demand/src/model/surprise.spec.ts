import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { Calibration } from './calibration.js';
import { surprisesOf } from './surprise.js';

const anyCalibration = fc.record({ low: fc.double({ min: 0.3, max: 20, noNaN: true }), high: fc.double({ min: 0.3, max: 20, noNaN: true }), perPull: fc.double({ min: 0.5, max: 1000, noNaN: true }), common: fc.double({ min: 0.0004, max: 4, noNaN: true }) })
  .map((state) => new Calibration({ ...new Calibration().state, ...state }));
const pulls = fc.double({ min: 0, max: 1e6, noNaN: true });
const image = (expectedPulls: number, came: number, elsewherePulls = 0) => ({ expectedPulls, elsewherePulls, pulls: came });
/** Poisson, by a sequence that is the same every time. */
function poisson(mean: number, random: () => number): number {
  let [count, left] = [0, Math.exp(-mean)];
  for (let product = random(); product > left; product *= random()) count += 1;
  left = 0;
  return count;
}

describe('a surprise', () => {
  it('is nothing within the interval, however that was learned', () => {
    fc.assert(fc.property(anyCalibration, pulls, fc.double({ min: 0, max: 1, noNaN: true }), (calibration, expected, place) => {
      const { low, high } = calibration.interval(expected);
      const { all, images } = surprisesOf([image(expected, low + place * (high - low))], 1, calibration);
      for (const deviations of [all, ...images]) expect(Math.abs(deviations)).toBeLessThan(1.65);
    }));
  });

  it('grows with what came, is none where all came as expected, and is never no number', () => {
    fc.assert(fc.property(anyCalibration, pulls, pulls, pulls, (calibration, expected, one, other) => {
      const [fewer, more] = [Math.min(one, other), Math.max(one, other)].map((came) => calibration.deviations(expected, came));
      expect(calibration.deviations(expected, expected)).toBeCloseTo(0, 6);
      expect(Number.isFinite(fewer!) && Number.isFinite(more!)).toBe(true);
      expect(more! - fewer!).toBeGreaterThanOrEqual(-1e-6);
    }));
  });

  it('is no two or three pulls of what nobody expected, and some dozen are one', () => {
    const off = (came: number) => surprisesOf([image(0, came)], 1, new Calibration()).all;
    expect([off(3) < 3, off(12) > 3]).toEqual([true, true]);
  });

  it('is of one image among a thousand only where it is rarer than the rarest of a thousand by chance', () => {
    let state = 7;
    const random = (): number => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
    for (let day = 0; day < 20; day += 1) {
      const { all, images } = surprisesOf(Array.from({ length: 1000 }, (_, n) => image(n / 100, poisson(n / 200, random))), 0.5, new Calibration());
      expect(Math.max(...images.map(Math.abs), Math.abs(all))).toBeLessThan(3);
    }
    const flash = surprisesOf(Array.from({ length: 1000 }, (_, n) => image(n / 100, n === 50 ? 40 : poisson(n / 200, random))), 0.5, new Calibration());
    expect(flash.images.flatMap((deviations, n) => (deviations >= 3 ? [n] : []))).toEqual([50]);
  });

  it('is no silence of a region of which nothing is known but what others pull', () => {
    fc.assert(fc.property(anyCalibration, fc.array(pulls, { minLength: 1, maxLength: 20 }), (calibration, expected) => {
      const { all, images } = surprisesOf(expected.map((each) => image(each, 0, each)), 1, calibration);
      for (const deviations of [all, ...images]) expect(deviations).toBeGreaterThan(-3);
    }));
    expect(surprisesOf([image(500, 0, 0)], 1, new Calibration()).all).toBeLessThan(-3);
  });
});
