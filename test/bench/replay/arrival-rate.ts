import type { ReplayImage } from '#placement';
import { HOUR_MS, MINUTE_MS } from '#quantities';

import { cumulated } from './chance.js';

/** Shares of the pulls of a repository by the age of the image: the newest first. */
export const AGE_SHARES = [0.55, 0.16, 0.09, 0.06, 0.045, 0.03, 0.02, 0.015, 0.01, 0.008, 0.007, 0.005];
/** Of the oldest image that there is: its own share, and those of all ages that there are no images of. */
const OLDEST_SHARES = AGE_SHARES.map((_, age) => AGE_SHARES.slice(age).reduce((sum, each) => sum + each, 0));
/** How many more nodes pull the same at the same time, as when a deployment is scaled. */
export const TOGETHER = { mean: 0.4, withinMs: MINUTE_MS };

/** How what is drawn for a time spreads over its hours. */
export class HourlyProfile {
  readonly beginMs: number;
  readonly endMs: number;
  /** Running sums of what the hours weigh. */
  readonly hours: readonly number[];

  /** @param weights of each hour. */
  constructor(beginMs: number, weights: readonly number[]) {
    this.beginMs = beginMs;
    this.endMs = beginMs + weights.length * HOUR_MS;
    this.hours = cumulated(weights);
  }

  /** What part of all comes before an instant: 0..1. */
  partBefore(atMs: number): number {
    const hour = Math.floor((atMs - this.beginMs) / HOUR_MS);
    if (hour < 0) return 0;
    if (hour >= this.hours.length) return 1;
    const before = this.hours[hour - 1] ?? 0;
    return (before + (this.hours[hour]! - before) * ((atMs - this.beginMs) / HOUR_MS - hour)) / this.hours.at(-1)!;
  }
}

/** Pulls that a push is followed by besides the usual ones: evenly over a time, and those that would come after the end at the end. */
export interface Burst {
  readonly fromMs: number;
  readonly untilMs: number;
  readonly pulls: number;
}

/** An image of a repository, as it is pulled in one region. */
export interface RatedImage {
  readonly image: ReplayImage;
  readonly pushedAtMs: number;
  /** From when on it is the region's newest. */
  readonly takenUpAtMs: number;
  readonly burst?: Burst;
}

/** What the pulls of one repository in one region are drawn from. */
export interface ArrivalRate {
  /** Oldest first. */
  readonly images: readonly RatedImage[];
  /** Pulls that come by themselves, over the whole time: each brings others along (`TOGETHER`). Poisson. */
  readonly visits: number;
  readonly profile: HourlyProfile;
}

/** What is to be expected of an image. */
export interface ExpectedPulls {
  readonly expectedPulls: number;
  /** That it is pulled at least once. */
  readonly probability: number;
}

/**
 * What is to be expected of an image from one instant to another, by whoever knows all that pulls are drawn from, and the pushes until the first instant, but none after it. Exact but for what is brought along: it is taken to
 * come at once, and comes up to a minute later. Nothing comes after the end of the profile.
 * @param n the number of the image.
 */
export function expectedOf({ images, visits, profile }: ArrivalRate, n: number, fromMs: number, toMs: number): ExpectedPulls {
  const { pushedAtMs, burst } = images[n]!;
  if (pushedAtMs > fromMs) return { expectedPulls: 0, probability: 0 };
  let own = 0;
  for (let age = 0; age < AGE_SHARES.length; age += 1) {
    const newest = images[n + age];
    if (newest === undefined || newest.pushedAtMs > fromMs) break;
    const next = images[n + age + 1];
    const beginMs = Math.max(fromMs, newest.takenUpAtMs);
    const endMs = Math.min(toMs, next === undefined || next.pushedAtMs > fromMs ? toMs : next.takenUpAtMs);
    if (endMs > beginMs) own += visits * (n === 0 ? OLDEST_SHARES : AGE_SHARES)[age]! * (profile.partBefore(endMs) - profile.partBefore(beginMs));
  }
  const ofBurst = burst === undefined ? 0 : burst.pulls * (partOfBurst(burst, profile, toMs) - partOfBurst(burst, profile, fromMs));
  // Visits and the pulls of a burst are Poisson; what comes along comes with one of them.
  return { expectedPulls: own * (1 + TOGETHER.mean) + ofBurst, probability: -Math.expm1(-own - ofBurst) };
}

function partOfBurst({ fromMs, untilMs }: Burst, { endMs }: HourlyProfile, atMs: number): number {
  return atMs >= endMs ? 1 : Math.min(1, Math.max(0, (atMs - fromMs) / (untilMs - fromMs)));
}
