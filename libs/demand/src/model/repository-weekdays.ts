import { DAY_MS, HOUR_MS } from '#quantities';

import { hourOfWeek } from './week-profile.js';

/** Days of a week, from Monday. */
export const WEEKDAYS = 7;
const HALF_LIFE_MS = 42 * DAY_MS;
/** So many pulls, spread as the region's, stand for what is not known of a repository's weekday. */
const PRIOR_PULLS = 100;
/** Repositories with fewer pulls than that, in weeks, are taken for like all others. */
const PULLS_MIN = 10;
/** Repositories that are kept; beyond it those with the fewest pulls go. */
export const WEEKDAYS_MAX = 20_000;
const EVEN: readonly number[] = Array.from({ length: WEEKDAYS }, () => 1);

/** Pulls of each weekday, and what would have come by its usual part of all; both decayed. */
type Row = Float64Array;

/** What is known of repositories' weekdays, for keeping it. */
export type RepositoryWeekdaysState = readonly (readonly [string, readonly number[]])[];

/** How a repository's week differs from that of all: a nightly build knows no weekend, a training has its day. */
export class RepositoryWeekdays {
  readonly #rows: Map<string, Row>;

  constructor(state: RepositoryWeekdaysState = []) {
    this.#rows = new Map(state.map(([name, row]) => [name, Float64Array.from(row)]));
  }

  get state(): RepositoryWeekdaysState {
    return [...this.#rows].map(([name, row]) => [name, [...row]]);
  }

  /** Learns that between two instants `came` pulls of a repository came, where by its usual part of all pulls it were `expected`. A longer time counts for the weekday of its middle. */
  learn(repository: string, period: { readonly fromMs: number; readonly toMs: number }, { came, expected }: { readonly came: number; readonly expected: number }): void {
    let row = this.#rows.get(repository);
    if (row === undefined) this.#rows.set(repository, (row = new Float64Array(2 * WEEKDAYS)));
    const day = weekdayOf((period.fromMs + period.toMs) / 2);
    row[day] = row[day]! + came;
    row[WEEKDAYS + day] = row[WEEKDAYS + day]! + expected;
  }

  /** Lets what was learned so far count less, and forgets what there is no room for. */
  pass(ms: number): void {
    const kept = 2 ** (-ms / HALF_LIFE_MS);
    for (const [name, row] of this.#rows) {
      for (let n = 0; n < row.length; n += 1) row[n] = row[n]! * kept;
      if (pullsOf(row) < 0.5) this.#rows.delete(name);
    }
    if (this.#rows.size <= WEEKDAYS_MAX) return;
    const least = [...this.#rows].map(([name, row]) => ({ name, pulls: pullsOf(row) })).toSorted((a, b) => a.pulls - b.pulls || (a.name < b.name ? -1 : 1));
    for (const { name } of least.slice(0, this.#rows.size - WEEKDAYS_MAX)) this.#rows.delete(name);
  }

  /** What each weekday of a repository has, against the rhythm of all; their mean is 1. */
  of(repository: string): readonly number[] {
    const row = this.#rows.get(repository);
    if (row === undefined || pullsOf(row) < PULLS_MIN) return EVEN;
    const factors = EVEN.map((_, day) => (row[day]! + PRIOR_PULLS) / (row[WEEKDAYS + day]! + PRIOR_PULLS));
    const mean = factors.reduce((sum, factor) => sum + factor, 0) / WEEKDAYS;
    return factors.map((factor) => factor / mean);
  }
}

/** The weekday of an instant in UTC: 0 for Monday. */
export function weekdayOf(atMs: number): number {
  return Math.floor(hourOfWeek(atMs) / (DAY_MS / HOUR_MS));
}

function pullsOf(row: Row): number {
  let sum = 0;
  for (let day = 0; day < WEEKDAYS; day += 1) sum += row[day]!;
  return sum;
}
