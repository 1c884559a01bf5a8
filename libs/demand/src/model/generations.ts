import { DAY_MS } from '#quantities';

import { type AgeShares, GENERATIONS } from './age-shares.js';
import type { ForecastImage } from './demand-view.js';

/** A repository is taken to be pushed to once in this time until it has shown otherwise. */
const PUSH_EVERY_MS = 30 * DAY_MS;
/** A horizon is looked at in so many parts, at each of which the image may be a generation older. */
const PARTS = 6;

/** The pushes of one repository, and what its images get of its pulls as they age. */
export class Generations {
  /** When each generation was pushed, the newest first, in milliseconds since the epoch. */
  readonly pushedMs: readonly number[];
  /** Of all generations that there could be, the newest first. */
  readonly #shares: readonly number[];
  /** What the generations that there are get together. */
  readonly #existing: number;
  readonly #everyMs: number;
  /** How many generations share what the oldest of those that are told apart gets. */
  readonly #oldest: number;

  constructor(repository: string, images: readonly ForecastImage[], ages: AgeShares, nowMs: number) {
    const pushedMs: number[] = [];
    for (const { generation, pushedAt } of images) {
      if (generation === undefined) continue;
      pushedMs[generation] = Math.min(pushedMs[generation] ?? Number.POSITIVE_INFINITY, pushedAt.getTime());
    }
    // A generation without a tagged image is as old as the next older one; there is none where generations are counted by the images given.
    for (let n = pushedMs.length - 2; n >= 0; n -= 1) pushedMs[n] ??= pushedMs[n + 1]!;
    this.pushedMs = pushedMs;
    this.#shares = ages.of(repository);
    this.#existing = this.#shares.slice(0, Math.max(1, pushedMs.length)).reduce((sum, share) => sum + share, 0);
    this.#oldest = Math.max(1, pushedMs.length - (GENERATIONS - 1));
    const considered = pushedMs.slice(0, GENERATIONS);
    this.#everyMs = considered.length === 0 ? PUSH_EVERY_MS : (nowMs - considered.at(-1)! + PUSH_EVERY_MS) / considered.length;
  }

  /** Whether there are images that one of this generation came after: it is an update, and not the first of its repository. */
  hasOlder(generation: number | undefined): boolean {
    return generation !== undefined && this.pushedMs.length > generation + 1;
  }

  /** What an image so many generations old gets of the repository's pulls now; one that no tag names inherits nothing. */
  share(generation: number | undefined): number {
    if (generation === undefined) return 0;
    return this.#raw(generation) / this.#existing;
  }

  /** How much of what it gets now an image keeps on average over a horizon, in which it is expected to grow older. */
  kept(generation: number | undefined, horizonMs: number): number {
    if (generation === undefined) return 1;
    const now = this.#raw(generation);
    let sum = 0;
    for (let part = 0; part < PARTS; part += 1) sum += this.#shareBetween(generation + ((part + 0.5) / PARTS) * (horizonMs / this.#everyMs)) / now;
    return sum / PARTS;
  }

  /**
   * Calls `visit` with each time in which an image was of one age, the newest time first: from when on, and how many times as much it got then as it gets now.
   */
  eachAge(image: ForecastImage, visit: (sinceMs: number, ratio: number) => void): void {
    const { generation, pushedAt } = image;
    if (generation === undefined) return visit(pushedAt.getTime(), 1);
    const now = this.#raw(generation);
    // It has been of age g since the push that made it so: that of the generation g younger.
    for (let age = Math.min(generation, GENERATIONS - 1); age >= 1; age -= 1) {
      const sinceMs = this.pushedMs[generation - age];
      if (sinceMs !== undefined && sinceMs > pushedAt.getTime()) visit(sinceMs, this.#raw(age) / now);
    }
    visit(pushedAt.getTime(), this.#raw(0) / now);
  }

  #raw(generation: number): number {
    return generation < GENERATIONS - 1 ? this.#shares[generation]! : this.#shares[GENERATIONS - 1]! / this.#oldest;
  }

  #shareBetween(age: number): number {
    const below = Math.floor(age);
    return this.#raw(below) + (this.#raw(below + 1) - this.#raw(below)) * (age - below);
  }
}
