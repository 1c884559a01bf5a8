import type { RegionName } from '#regions';

import type { ForecastLedger } from './forecast-ledger.js';
import type { ForecastOutcomes } from './forecast-outcomes.js';
import type { ImageName } from './region-facts.js';

/** From so many deviations on demand is not what was foreseen. */
export const SURPRISE_DEVIATIONS = 3;

/** How far demand is off its forecast. */
export interface DemandSurprise {
  readonly region: RegionName;
  /** The plan whose forecast it is. */
  readonly planId: string;
  /** Absent for all of the region together. */
  readonly image?: ImageName;
  /** Pulls that came beyond those expected so far, in deviations; negative where fewer came. */
  readonly deviations: number;
}

/** Who knows how far demand is off what was foreseen. */
export abstract class SurprisingDemand {
  /** Of each region with a forecast at this instant: the whole of it, and those of its images that are {@link SURPRISE_DEVIATIONS} off or more. */
  abstract surprises(regions: readonly RegionName[], now: Date): Promise<readonly DemandSurprise[]>;
}

/** Surprises by the exact pulls since the last plan of each region that is followed, in the deviations that the demand model has learned. */
export class FollowedSurprises extends SurprisingDemand {
  constructor(
    private readonly ledger: Pick<ForecastLedger, 'list'>,
    private readonly outcomes: Pick<ForecastOutcomes, 'of'>,
  ) {
    super();
  }

  async surprises(regions: readonly RegionName[], now: Date): Promise<readonly DemandSurprise[]> {
    const found: DemandSurprise[] = [];
    for (const region of regions) {
      const [planId] = await this.ledger.list(region, 1);
      const outcome = planId === undefined ? undefined : await this.outcomes.of(planId, now);
      if (planId === undefined || outcome === undefined) continue;
      found.push({ region, planId, deviations: outcome.deviations });
      for (const { repository, digest, deviations } of outcome.images) {
        if (Math.abs(deviations) >= SURPRISE_DEVIATIONS) found.push({ region, planId, image: { repository, digest }, deviations });
      }
    }
    return found;
  }
}
