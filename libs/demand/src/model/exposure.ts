import { HOUR_MS } from '#quantities';

import { HALF_LIVES_MS, type HalfLife } from './half-lives.js';
import { weekdayOf, WEEKDAYS } from './repository-weekdays.js';
import { hourOfWeek } from './week-profile.js';

/** How far back is looked, in hours: twelve weeks, of which the longest half-life keeps a sixtieth. */
const HOURS_MAX = 2016;

/**
 * How much a steady demand of one pull an hour would have left in the counters by now: the hours that passed since an instant, each counted by its share in the week's rhythm and decayed like
 * the counters. A counter divided by its exposure is a rate that knows neither the hour of the day nor when counting began.
 */
export class Exposure {
  readonly #atMs: number;
  readonly #sinceMs: number;
  /** For each half-life, the exposure of so many hours back. */
  readonly #sums: readonly Float64Array[];
  readonly #byWeekday: readonly Float64Array[];

  /** @param sinceMs when counting began: nothing before it is exposure. @param factors of the week's hours. */
  constructor(atMs: number, sinceMs: number, factors: Float64Array) {
    this.#atMs = atMs;
    this.#sinceMs = sinceMs;
    const hours = Math.min(HOURS_MAX, Math.max(1, Math.ceil((atMs - sinceMs) / HOUR_MS)));
    this.#byWeekday = HALF_LIVES_MS.map(() => new Float64Array(WEEKDAYS));
    this.#sums = HALF_LIVES_MS.map((halfLifeMs, n) => {
      const byWeekday = this.#byWeekday[n]!;
      const sums = new Float64Array(hours + 1);
      const perHour = 2 ** (-HOUR_MS / halfLifeMs);
      const whole = ((1 - perHour) * halfLifeMs) / (Math.LN2 * HOUR_MS);
      let kept = 1;
      for (let hour = 0; hour < hours; hour += 1) {
        const middleMs = atMs - (hour + 0.5) * HOUR_MS;
        const exposed = factors[hourOfWeek(middleMs)]! * kept * whole;
        const day = weekdayOf(middleMs);
        byWeekday[day] = byWeekday[day]! + exposed;
        sums[hour + 1] = sums[hour]! + exposed;
        kept *= perHour;
      }
      return sums;
    });
  }

  /** What the whole exposure is multiplied by for something whose weekdays have these factors. */
  weighted(halfLife: HalfLife, weekdays: readonly number[]): number {
    const exposed = this.#byWeekday[halfLife]!;
    let [sum, all] = [0, 0];
    for (let day = 0; day < WEEKDAYS; day += 1) {
      sum += exposed[day]! * weekdays[day]!;
      all += exposed[day]!;
    }
    return sum / all;
  }

  /** The exposure since an instant, in hours; > 0 for instants before now. */
  since(fromMs: number, halfLife: HalfLife): number {
    const sums = this.#sums[halfLife]!;
    const hours = Math.min(sums.length - 1, Math.max(0, this.#atMs - Math.max(fromMs, this.#sinceMs)) / HOUR_MS);
    const whole = Math.floor(hours);
    const below = sums[whole]!;
    return whole === sums.length - 1 ? below : below + (sums[whole + 1]! - below) * (hours - whole);
  }
}
