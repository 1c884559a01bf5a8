import { atOnce } from '#clock';
import type { RegionName } from '#regions';

import { type DetailedForecast, STEPS_AT_ONCE } from './forecast.js';
import type { Weights } from './half-lives.js';

/** Images whose foretold day is kept for a process that goes on: those of which the most is expected. What else was foretold is lost with its process. */
export const FORETOLD_KEPT_MAX = 10_000;

/** What was foretold of an image for a day. */
export interface ForetoldImage {
  readonly byHalfLife: Weights;
  readonly expected: number;
  readonly undiscountedElsewhere: number;
  /** What the lasting counter was worth when it was foretold. */
  readonly weight: number;
}

/** One image of a region: its place among the keys, then its numbers in the order of {@link ForetoldImage}. */
type Row = readonly [number, number, number, number, number, number, number];

/** A foretold day, for keeping it: some 80 bytes for each image and region, at most {@link FORETOLD_KEPT_MAX} images. */
export interface DayAheadState {
  readonly version: 1;
  /** When it was foretold, in milliseconds since the epoch. */
  readonly atMs: number;
  /** `repository image`. */
  readonly keys: readonly string[];
  readonly regions: readonly (readonly [RegionName, readonly Row[]])[];
}

/** What was foretold for a day, to be compared with what comes. */
export class DayAhead {
  constructor(
    /** When it was foretold, in milliseconds since the epoch. */
    readonly atMs: number,
    /** By region, then by `repository image`. */
    readonly regions: ReadonlyMap<RegionName, ReadonlyMap<string, ForetoldImage>>,
  ) {}

  static from({ atMs, keys, regions }: DayAheadState): DayAhead {
    return new DayAhead(atMs, new Map(regions.map(([region, rows]) => [
      region,
      new Map(rows.map(([key, short, middle, long, expected, undiscountedElsewhere, weight]) => [keys[key]!, { byHalfLife: [short, middle, long] as Weights, expected, undiscountedElsewhere, weight }])),
    ])));
  }

  /** @param forecasts in the order of `keys`. @param weights what lasting counters are worth, by key. */
  static *region(keys: readonly string[], forecasts: readonly DetailedForecast[], weights: ReadonlyMap<string, number>): Generator<void, ReadonlyMap<string, ForetoldImage>> {
    const images = new Map<string, ForetoldImage>();
    for (const [n, { byHalfLife, expectedPulls: expected, undiscountedElsewhere }] of forecasts.entries()) {
      const key = keys[n]!;
      images.set(key, { byHalfLife, expected, undiscountedElsewhere, weight: weights.get(key) ?? 0 });
      if (n % STEPS_AT_ONCE === 0) yield;
    }
    return images;
  }

  /** What is kept of it. Cost: a pass over everything that was foretold. */
  get state(): DayAheadState {
    return atOnce(this.keeping());
  }

  /** {@link state} in steps. */
  *keeping(): Generator<void, DayAheadState> {
    const worth = new Map<string, number>();
    let steps = 0;
    for (const images of this.regions.values()) {
      for (const [key, { expected, weight }] of images) {
        worth.set(key, (worth.get(key) ?? 0) + expected + weight);
        if ((steps += 1) % STEPS_AT_ONCE === 0) yield;
      }
    }
    const keys = [...worth].toSorted(([a, one], [b, other]) => other - one || (a < b ? -1 : 1)).slice(0, FORETOLD_KEPT_MAX).map(([key]) => key);
    const regions: [RegionName, Row[]][] = [];
    for (const [region, images] of this.regions) {
      const rows: Row[] = [];
      regions.push([region, rows]);
      for (const [n, key] of keys.entries()) {
        const of = images.get(key);
        if (of !== undefined) rows.push([n, ...of.byHalfLife, of.expected, of.undiscountedElsewhere, of.weight]);
        if (n % STEPS_AT_ONCE === 0) yield;
      }
    }
    return { version: 1, atMs: this.atMs, keys, regions };
  }
}
