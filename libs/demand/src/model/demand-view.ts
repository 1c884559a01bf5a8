import type { Digest } from '#oci';
import type { RegionName } from '#regions';

import type { DemandCounters } from './demand-counters.js';

/** An image whose pulls are to be foretold. */
export interface ForecastImage {
  readonly repository: string;
  readonly digest: Digest;
  readonly pushedAt: Date;
  /** How many newer pushes its repository has had: 0 for the newest. Undefined for an image that no tag names any more. */
  readonly generation: number | undefined;
}

/** What a model learns and foretells from: what was counted until an instant, and the images there are. */
export interface DemandView {
  readonly at: Date;
  /** All regions, also those in which nobody has pulled yet; each once. */
  readonly regions: readonly RegionName[];
  readonly counters: DemandCounters;
  /** Each image once. What was pulled of images that are not here counts for their repositories only. */
  readonly images: readonly ForecastImage[];
}

/** The pulls that one image will see in one region within a horizon, and where the expectation comes from. */
export interface ImageForecast {
  /** Pulls; the sum of the next three. */
  readonly expectedPulls: number;
  /** From pulls of this image in this region. */
  readonly ownPulls: number;
  /** From pulls of its repository here: what an image of its age gets of them. */
  readonly inheritedPulls: number;
  /** From pulls in other regions. */
  readonly elsewherePulls: number;
  /** That it is pulled at least once; 0 to 1. */
  readonly probability: number;
  /** Between these two the pulls come to lie nine times of ten. */
  readonly low: number;
  readonly high: number;
}

/** One text for one image, as counters name it. */
export function forecastKey(image: Pick<ForecastImage, 'repository' | 'digest'>): string {
  return `${image.repository} ${image.digest}`;
}
