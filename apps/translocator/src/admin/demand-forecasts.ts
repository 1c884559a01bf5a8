import type { DemandForecast } from '#contract';
import type { CountedDemand, StoredForecasts } from '#demand';
import { forecastKey } from '#demand';
import { forecastImages, PLACEMENT_IMAGES_MAX, type PlacementFacts } from '#placement';

import { HttpProblem } from '../http/http-problem.js';

/** How long whoever found others being foretold should wait, in seconds. */
const RETRY_SECONDS = 1;

/** Foretells some counts by what their repositories hold now. One request at a time: each reads these repositories, and at worst all counts, in the process that plans. */
export class DemandForecasts {
  readonly #forecasts: Pick<StoredForecasts, 'ofSome' | 'levels'>;
  readonly #facts: Pick<PlacementFacts, 'ofRepositories' | 'regions'>;
  readonly #horizonMs: number;
  #isForetelling = false;

  constructor(parts: { readonly forecasts: Pick<StoredForecasts, 'ofSome' | 'levels'>; readonly facts: Pick<PlacementFacts, 'ofRepositories' | 'regions'>; readonly horizonMs: number }) {
    this.#forecasts = parts.forecasts;
    this.#facts = parts.facts;
    this.#horizonMs = parts.horizonMs;
  }

  /** @returns in the order given; undefined for what is in no region, or of no enabled repository. @throws {HttpProblem} 503 while another request is foretold. */
  async of(counts: readonly CountedDemand[], at: Date): Promise<(DemandForecast | undefined)[]> {
    if (this.#isForetelling) throw new HttpProblem(503, { code: 'UNAVAILABLE', title: 'Not now', detail: 'another request is being foretold', headers: { 'retry-after': String(RETRY_SECONDS) } });
    this.#isForetelling = true;
    try {
      return await this.#foretell(counts, at);
    } finally {
      this.#isForetelling = false;
    }
  }

  async #foretell(counts: readonly CountedDemand[], at: Date): Promise<(DemandForecast | undefined)[]> {
    const regions = (await this.#facts.regions()).map(({ region }) => region);
    const repositories = [...new Set(counts.map(({ repository }) => repository))];
    const { images } = await this.#facts.ofRepositories(repositories, PLACEMENT_IMAGES_MAX);
    const foretold = await this.#forecasts.ofSome({ at, regions, images: forecastImages(images) }, this.#horizonMs);
    const levels = await this.#forecasts.levels({ at, regions });
    return counts.map(({ region, repository, image }): DemandForecast | undefined => {
      const forecast = foretold.get(region)?.get(forecastKey({ repository, digest: image }));
      const regionPullsPerHour = levels.get(region);
      if (forecast === undefined || regionPullsPerHour === undefined) return undefined;
      const { expectedPulls, ownPulls, inheritedPulls, elsewherePulls, probability, low: lowPulls, high: highPulls } = forecast;
      return { horizonMs: this.#horizonMs, expectedPulls, ownPulls, inheritedPulls, elsewherePulls, probability, lowPulls, highPulls, regionPullsPerHour };
    });
  }
}
