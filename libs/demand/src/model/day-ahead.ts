import type { RegionName } from '#regions';

import type { DetailedForecast } from './forecast.js';
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
  static region(keys: readonly string[], forecasts: readonly DetailedForecast[], weights: ReadonlyMap<string, number>): ReadonlyMap<string, ForetoldImage> {
    return new Map(forecasts.map(({ byHalfLife, expectedPulls: expected, undiscountedElsewhere }, n) => [keys[n]!, { byHalfLife, expected, undiscountedElsewhere, weight: weights.get(keys[n]!) ?? 0 }]));
  }

  /** What is kept of it. Cost: a pass over everything that was foretold. */
  get state(): DayAheadState {
    const worth = new Map<string, number>();
    for (const images of this.regions.values()) for (const [key, { expected, weight }] of images) worth.set(key, (worth.get(key) ?? 0) + expected + weight);
    const keys = [...worth].toSorted(([a, one], [b, other]) => other - one || (a < b ? -1 : 1)).slice(0, FORETOLD_KEPT_MAX).map(([key]) => key);
    return {
      version: 1,
      atMs: this.atMs,
      keys,
      regions: [...this.regions].map(([region, images]) => [region, keys.flatMap((key, n): Row[] => {
        const of = images.get(key);
        return of === undefined ? [] : [[n, ...of.byHalfLife, of.expected, of.undiscountedElsewhere, of.weight]];
      })]),
    };
  }
}
