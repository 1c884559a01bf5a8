import { GB } from '#quantities';

import type { PlacementParameters } from './region-facts.js';

/** What is expected of an image in a region, as far as its worth depends on it. */
export interface ExpectedWorth {
  /** Pulls within the horizon. */
  readonly expectedPulls: number;
  /** Those that its own pulls here tell of: 0 for an image that was never pulled here. */
  readonly ownPulls: number;
  /** That it is pulled at least once; 0..1. */
  readonly probability: number;
}

/**
 * What it is worth to have an image in a region, in pulls: each counts one, and more for what a fallback would carry from elsewhere (`gigabyteWeight`); the first one of an image that was never
 * pulled here counts besides (`firstPullWeight`), as nothing but a copy ahead of it can serve it. 0 where nothing is expected.
 * @param ownBytes of its bytes, those that it saves alone: what parts save that it shares with others is theirs ({@link worthOfPart}).
 */
export function worthOf({ expectedPulls, ownPulls, probability }: ExpectedWorth, ownBytes: number, { gigabyteWeight, firstPullWeight }: Pick<PlacementParameters, 'gigabyteWeight' | 'firstPullWeight'>): number {
  if (expectedPulls <= 0) return 0;
  return expectedPulls * (1 + (gigabyteWeight * ownBytes) / GB) + (ownPulls > 0 ? 0 : firstPullWeight * probability);
}

/** What it is worth to have a part that images share, in pulls: what it saves of the pulls of all of them, whether they find the rest there or not. */
export function worthOfPart(expectedPulls: number, partBytes: number, { gigabyteWeight }: Pick<PlacementParameters, 'gigabyteWeight'>): number {
  return (expectedPulls * gigabyteWeight * partBytes) / GB;
}
