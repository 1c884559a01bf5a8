import type { ImageForecast } from '#demand';

import { type Bench, BenchError, type Figure, measured, ratioAtLeast, ratioAtMost, valueAtMost } from '../bench.js';
import { traceFile } from '../trace-file.js';
import { DAILY_DOWNLOADS, type DailyCounts, readDailyDownloads } from './daily-downloads.js';
import { foretellDays } from './foretell-days.js';
import { lastValue, profileTimesSmoothed, seasonalNaive, type SimpleForecast, weekdayMean } from './simple-forecasts.js';

/** The last so many days of the trace, each looked at by itself. */
const WINDOWS = [28, 60, 90];
/** Of the sum of all pulls, what forecasts of a day may err by in all. */
const ERROR_MAX = 0.09;
/** Of all days of all names, how many must come to lie within the interval, and how many may. */
const [COVERED_MIN, COVERED_MAX] = [0.88, 0.92];

interface Summed {
  readonly error: number;
  readonly covered: number;
  readonly days: number;
  readonly pulls: number;
}

/** The sums of a window's errors. */
function errorIn({ counts }: DailyCounts, window: number, forecast: SimpleForecast): number {
  let [error, pulls] = [0, 0];
  for (const of of counts) {
    for (let day = of.length - window; day < of.length; day += 1) {
      error += Math.abs(forecast(of, day) - of[day]!);
      pulls += of[day]!;
    }
  }
  return error / pulls;
}

function ownIn({ counts }: DailyCounts, window: number, forecasts: readonly (readonly ImageForecast[] | undefined)[]): Summed {
  const sums = { error: 0, covered: 0, days: 0, pulls: 0 };
  for (const [n, of] of counts.entries()) {
    for (let day = of.length - window; day < of.length; day += 1) {
      const { expectedPulls, low, high } = forecasts[day]![n]!;
      const came = of[day]!;
      sums.error += Math.abs(expectedPulls - came);
      sums.pulls += came;
      sums.days += 1;
      if (came >= low && came <= high) sums.covered += 1;
    }
  }
  return sums;
}

/** Measures forecasts of a day on a real trace of daily counts, each made the evening before by the product's own model, and by simple ones beside it. */
export const forecastBench: Bench = {
  question: 'how well is tomorrow foretold, on a real trace of daily downloads?',
  run: async (tell) => {
    const daily = await readDailyDownloads(traceFile(DAILY_DOWNLOADS));
    const days = daily.counts[0]!.length;
    if (days <= Math.max(...WINDOWS) + 28) throw new BenchError(`the trace has ${days} days, which are too few`);
    tell(`${daily.names.length} names over ${days} days: every day of each is foretold on the evening before`);
    const startedAt = performance.now();
    const forecasts = foretellDays(daily);
    const seconds = (performance.now() - startedAt) / 1000;
    const simple: readonly (readonly [string, SimpleForecast])[] = [['last value', lastValue], ['seasonal naive', seasonalNaive], ['mean of four weekdays', weekdayMean], ['weekday profile × EWMA(0.7)', profileTimesSmoothed(daily)]];
    const figures = WINDOWS.flatMap((window): Figure[] => {
      const own = ownIn(daily, window, forecasts);
      const error = own.error / own.pulls;
      const errors = simple.map(([name, forecast]) => [name, errorIn(daily, window, forecast)] as const);
      const naive = errors.find(([name]) => name === 'seasonal naive')![1];
      const covered = own.covered / own.days;
      return [
        valueAtMost(`weighted error, last ${window} days`, error, { unit: 'of all pulls', bound: ERROR_MAX }),
        ...errors.map(([name, each]) => measured(`  by ${name}`, each, 'of all pulls')),
        ratioAtMost(`weighted error, last ${window} days`, error / naive, { against: 'seasonal naive', bound: 1 }),
        ratioAtLeast(`days within the interval, last ${window} days`, covered, { against: 'all days', bound: COVERED_MIN }),
        ratioAtMost(`days within the interval, last ${window} days`, covered, { against: 'all days', bound: COVERED_MAX }),
      ];
    });
    return [...figures, measured('a day of all names, counted, learned and foretold', seconds / days, 's')];
  },
};
