import type { RegionName } from '#regions';

import { type DemandView, forecastKey } from './demand-view.js';
import { STEPS_AT_ONCE } from './forecast.js';
import { HALF_LIVES } from './half-lives.js';
import { type PushResponse, RESPONSE_MS } from './push-response.js';

/** Pushes that are followed at a time; beyond it the oldest are taken for not pulled where they were not yet. */
export const FOLLOWED_PUSHES_MAX = 10_000;
const LASTING = HALF_LIVES.at(-1)!;

/** Pushes that are followed, for keeping them: some hundred bytes each. */
export interface FollowedPushesState {
  /** The latest push that is known, in milliseconds since the epoch. */
  readonly latestMs: number | null;
  /** By `repository image`: when it was pushed, and how soon it was pulled in each region in which it was. */
  readonly pushes: readonly (readonly [string, number, readonly (readonly [RegionName, number])[]])[];
}

interface FollowedPush {
  readonly pushedMs: number;
  /** When it was first seen pulled, by region, in milliseconds after the push. */
  readonly delays: Map<RegionName, number>;
}

/** Looks for a day after each push whether it is pulled, and how soon. */
export class FollowedPushes {
  readonly #pushes: Map<string, FollowedPush>;
  #latestMs: number;

  constructor(state?: FollowedPushesState) {
    this.#pushes = new Map((state?.pushes ?? []).map(([key, pushedMs, delays]) => [key, { pushedMs, delays: new Map(delays) }]));
    this.#latestMs = state?.latestMs ?? Number.NEGATIVE_INFINITY;
  }

  get state(): FollowedPushesState {
    return {
      latestMs: Number.isFinite(this.#latestMs) ? this.#latestMs : null,
      pushes: [...this.#pushes].map(([key, { pushedMs, delays }]) => [key, pushedMs, [...delays]]),
    };
  }

  /** Follows pushes that are new since `sinceMs`, and has `response` learn from those whose day is over; halts now and then. */
  *follow(view: DemandView, sinceMs: number, response: PushResponse): Generator<void, void> {
    const atMs = view.at.getTime();
    const latestMs = Math.max(this.#latestMs, sinceMs);
    for (const image of view.images) {
      const pushedMs = image.pushedAt.getTime();
      if (pushedMs <= latestMs || pushedMs > atMs) continue;
      this.#latestMs = Math.max(this.#latestMs, pushedMs);
      this.#pushes.set(forecastKey(image), { pushedMs, delays: new Map() });
    }
    let steps = 0;
    for (const [key, push] of this.#pushes) {
      if ((steps += view.regions.length) >= STEPS_AT_ONCE) {
        steps = 0;
        yield;
      }
      for (const region of view.regions) {
        if (!push.delays.has(region) && view.counters.in(region).image(key, atMs)[LASTING] > 0) push.delays.set(region, Math.min(RESPONSE_MS, atMs - push.pushedMs));
      }
      const isOver = atMs - push.pushedMs >= RESPONSE_MS || this.#pushes.size > FOLLOWED_PUSHES_MAX;
      if (!isOver) continue;
      this.#pushes.delete(key);
      for (const region of view.regions) response.learn(region, key.slice(0, key.indexOf(' ')), push.delays.get(region));
    }
  }
}
