import { type DecayedCounts, keptAfter } from './decayed-counts.js';
import type { CountedDemand } from './demand-store.js';
import { HALF_LIVES_MS } from './model/half-lives.js';
import type { DemandKey } from './observation.js';

/**
 * The counts of one key while they grow, the same as `addCounts` makes of them. They are added to in place: an object made anew for each pull and kept until the next one is copied by every search for
 * garbage among what is young, which answers wait for.
 */
export class RunningCounts {
  /** A copy of its own: what asked for it is not held. */
  readonly key: DemandKey;
  readonly #weights: [number, number, number] = [0, 0, 0];
  #atMs: number;

  /** Nothing yet, at that instant. */
  constructor({ region, repository, image }: DemandKey, atMs: number) {
    this.key = { region, repository, image };
    this.#atMs = atMs;
  }

  /** When the latest pull was, in milliseconds since the epoch. */
  get atMs(): number {
    return this.#atMs;
  }

  /** Adds so many pulls of one instant, or takes them back where that is less than nothing. */
  add(pulls: number, atMs: number): void {
    const laterMs = atMs - this.#atMs;
    for (const [place, halfLifeMs] of HALF_LIVES_MS.entries()) {
      const weight = this.#weights[place]!;
      this.#weights[place] = laterMs > 0 ? weight * keptAfter(laterMs, halfLifeMs) + pulls : weight + pulls * keptAfter(-laterMs, halfLifeMs);
    }
    if (laterMs > 0) this.#atMs = atMs;
  }

  /** As they are now: they do not change with what is added later. */
  counts(): CountedDemand {
    const { region, repository, image } = this.key;
    const [short, middle, long] = this.#weights;
    return { region, repository, image, weights: [short, middle, long], at: new Date(this.#atMs) } satisfies DecayedCounts & DemandKey;
  }
}
