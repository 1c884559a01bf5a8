import type { DailyCounts } from './daily-downloads.js';

/** Foretells a day of one name from the days before it. @returns not a number where it cannot. */
export type SimpleForecast = (counts: Float64Array, day: number) => number;

const WEEK = 7;
/** What smoothing takes of the latest day. */
const SMOOTHING = 0.7;

/** As yesterday. */
export const lastValue: SimpleForecast = (counts, day) => counts[day - 1] ?? Number.NaN;

/** As a week ago. */
export const seasonalNaive: SimpleForecast = (counts, day) => counts[day - WEEK] ?? Number.NaN;

/** As these four weekdays on average. */
export const weekdayMean: SimpleForecast = (counts, day) => [1, 2, 3, 4].reduce((sum, weeks) => sum + (counts[day - weeks * WEEK] ?? Number.NaN), 0) / 4;

/** The best of the simple ones: a weekday's part of the week, of all names together, times the smoothed count without its weekday. */
export function profileTimesSmoothed({ counts }: DailyCounts): SimpleForecast {
  const days = counts[0]!.length;
  const totals = Array.from({ length: days }, (_, day) => counts.reduce((sum, each) => sum + each[day]!, 0));
  /** By day: the weekdays' factors as far as they are known before it. */
  const factors = Array.from({ length: days }, (_, day) => factorsBefore(totals, day));
  const smoothed = new Map<Float64Array, Float64Array>();
  const levelsOf = (of: Float64Array): Float64Array => {
    let levels = smoothed.get(of);
    if (levels !== undefined) return levels;
    levels = new Float64Array(days).fill(Number.NaN);
    for (let day = 2 * WEEK; day < days; day += 1) {
      const yesterday = of[day - 1]! / factors[day]![(day - 1) % WEEK]!;
      levels[day] = Number.isNaN(levels[day - 1]!) ? yesterday : levels[day - 1]! + SMOOTHING * (yesterday - levels[day - 1]!);
    }
    smoothed.set(of, levels);
    return levels;
  };
  return (of, day) => levelsOf(of)[day]! * factors[day]![day % WEEK]!;
}

function factorsBefore(totals: readonly number[], day: number): readonly number[] {
  const weeks = Math.floor(day / WEEK);
  const sums = Array.from({ length: WEEK }, () => 0);
  for (let week = 1; week <= weeks; week += 1) {
    const past = totals.slice(day - week * WEEK, day - (week - 1) * WEEK);
    const mean = past.reduce((sum, total) => sum + total, 0) / WEEK;
    past.forEach((total, n) => {
      const weekday = (day - week * WEEK + n) % WEEK;
      sums[weekday] = sums[weekday]! + total / mean / weeks;
    });
  }
  return sums;
}
