import { DAY_MS, HOUR_MS } from '#quantities';

/** Hours of a week, from Monday 00:00 UTC. */
export const WEEK_HOURS = 168;
const DAY_HOURS = 24;
/** A week's rhythm is learned from about six weeks. */
const HALF_LIFE_MS = 28 * DAY_MS;
/** So many pulls, spread as elsewhere, stand for what is not known of an hour. */
const PRIOR_PULLS = 10;
/** No hour is taken for quieter than this share of the mean: one pull in it would make a flood of the rest. */
const QUIETEST = 0.05;
/** 1970-01-01 was a Thursday. */
const EPOCH_HOUR = 72;

/** The hour of the week at an instant, 0 to 167. */
export function hourOfWeek(atMs: number): number {
  return (((Math.floor(atMs / HOUR_MS) + EPOCH_HOUR) % WEEK_HOURS) + WEEK_HOURS) % WEEK_HOURS;
}

/** What a profile is made of, for keeping it. */
export interface WeekProfileState {
  /** Pulls of each hour of the week against the mean hour of the week that ended with it: decayed sums. */
  readonly shares: readonly number[];
  /** Hours that went into them, decayed alike. */
  readonly hours: readonly number[];
  /** Pulls an hour in the latest of each hour of the week; null for one that was not seen yet. */
  readonly latest: readonly (number | null)[];
}

/**
 * How a region's pulls are spread over the week: learned from counts of periods, of which each hour that passed takes its part. Each hour is held against the week that ended with it, so that a
 * week with more pulls than another counts no more.
 */
export class WeekProfile {
  readonly #shares: Float64Array;
  readonly #hours: Float64Array;
  readonly #latest: Float64Array;
  #factors = new Float64Array(WEEK_HOURS).fill(1);

  constructor(state?: WeekProfileState) {
    this.#shares = Float64Array.from(state?.shares ?? new Float64Array(WEEK_HOURS));
    this.#hours = Float64Array.from(state?.hours ?? new Float64Array(WEEK_HOURS));
    this.#latest = Float64Array.from(state?.latest ?? Array.from({ length: WEEK_HOURS }, () => null), (pulls) => pulls ?? Number.NaN);
  }

  get state(): WeekProfileState {
    return { shares: [...this.#shares], hours: [...this.#hours], latest: Array.from(this.#latest, (pulls) => (Number.isNaN(pulls) ? null : pulls)) };
  }

  /** What an hour of the week has of pulls, against the mean of all hours; the mean of them is 1. */
  get factors(): Float64Array {
    return this.#factors;
  }

  /** Learns that so many pulls came between two instants. Where the period is longer than an hour, they are spread as is known so far. */
  learn(fromMs: number, toMs: number, pulls: number): void {
    const kept = 2 ** ((fromMs - toMs) / HALF_LIFE_MS);
    for (let hour = 0; hour < WEEK_HOURS; hour += 1) {
      this.#shares[hour] = this.#shares[hour]! * kept;
      this.#hours[hour] = this.#hours[hour]! * kept;
    }
    const rate = pulls / Math.max(1e-9, this.between(fromMs, toMs));
    const passed: (readonly [hour: number, hours: number])[] = [];
    eachHour(fromMs, toMs, (hour, hours) => {
      // What is left of the hour keeps what it was last week.
      const before = this.#latest[hour]!;
      const part = Number.isNaN(before) ? 1 : Math.min(1, hours);
      this.#latest[hour] = (part === 1 ? 0 : before * (1 - part)) + rate * this.#factors[hour]! * part;
      passed.push([hour, hours]);
    });
    const mean = sumOf(this.#latest) / WEEK_HOURS;
    if (!(mean > 0)) return;
    for (const [hour, hours] of passed) {
      this.#shares[hour] = this.#shares[hour]! + (rate * this.#factors[hour]! * hours) / mean;
      this.#hours[hour] = this.#hours[hour]! + hours;
    }
  }

  /** Works the factors out anew. @param everywhere the factors of all regions together: what an hour is taken for where little is known of it. */
  settle(everywhere?: Float64Array): void {
    const mean = sumOf(this.#latest) / WEEK_HOURS;
    const pulls = mean > 0 ? mean : 0;
    const usual = this.#byDayAndHour(pulls, everywhere);
    const factors = usual.map((prior, hour) => Math.max(QUIETEST, (this.#shares[hour]! * pulls + PRIOR_PULLS * prior) / (this.#hours[hour]! * pulls + PRIOR_PULLS)));
    const scale = WEEK_HOURS / sumOf(factors);
    this.#factors = factors.map((factor) => factor * scale);
  }

  /** What is usual for each hour of the week by its day and by its hour of the day: each of those is seen more often than the hour of the week itself. */
  #byDayAndHour(pulls: number, everywhere: Float64Array | undefined): Float64Array {
    const prior = (hour: number): number => everywhere?.[hour] ?? 1;
    const ratios = (bins: number, binOf: (hour: number) => number): Float64Array => {
      const [came, usual] = [new Float64Array(bins).fill(PRIOR_PULLS), new Float64Array(bins).fill(PRIOR_PULLS)];
      for (let hour = 0; hour < WEEK_HOURS; hour += 1) {
        const bin = binOf(hour);
        came[bin] = came[bin]! + this.#shares[hour]! * pulls;
        usual[bin] = usual[bin]! + this.#hours[hour]! * pulls * prior(hour);
      }
      return came.map((each, bin) => each / usual[bin]!);
    };
    const days = ratios(WEEK_HOURS / DAY_HOURS, (hour) => Math.floor(hour / DAY_HOURS));
    const hours = ratios(DAY_HOURS, (hour) => hour % DAY_HOURS);
    return new Float64Array(WEEK_HOURS).map((_, hour) => prior(hour) * days[Math.floor(hour / DAY_HOURS)]! * hours[hour % DAY_HOURS]!);
  }

  /** The hours between two instants, each counted by its factor. */
  between(fromMs: number, toMs: number): number {
    let sum = 0;
    eachHour(fromMs, toMs, (hour, hours) => {
      sum += hours * this.#factors[hour]!;
    });
    return sum;
  }
}

/** Calls `visit` with each hour of the week between two instants, and how much of it; whole weeks at once. */
function eachHour(fromMs: number, toMs: number, visit: (hour: number, hours: number) => void): void {
  const weeks = Math.floor((toMs - fromMs) / (WEEK_HOURS * HOUR_MS));
  if (weeks > 0) for (let hour = 0; hour < WEEK_HOURS; hour += 1) visit(hour, weeks);
  for (let atMs = fromMs + weeks * WEEK_HOURS * HOUR_MS; atMs < toMs; ) {
    const endMs = Math.min(toMs, (Math.floor(atMs / HOUR_MS) + 1) * HOUR_MS);
    visit(hourOfWeek(atMs), (endMs - atMs) / HOUR_MS);
    atMs = endMs;
  }
}

function sumOf(numbers: Float64Array): number {
  return numbers.reduce((sum, each) => sum + each, 0);
}
