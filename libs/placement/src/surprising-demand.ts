import type { RegionName } from '#regions';

import type { ForecastLedger } from './forecast-ledger.js';
import type { ForecastOutcomes, PlanOutcome } from './forecast-outcomes.js';

/** From so many deviations on demand is not what was foreseen. */
export const SURPRISE_DEVIATIONS = 3;
/** By how much pulls swing over a day without anything being wrong, in parts of what is expected: the evenness of a forecast is an assumption. */
const SWING_RATIO = 1 / 3;

/** How far demand is off its forecast. */
export interface DemandSurprise {
  readonly region: RegionName;
  /** The plan whose forecast it is. */
  readonly planId: string;
  /** Pulls that came beyond those expected so far, in deviations; negative where fewer came. */
  readonly deviations: number;
}

/** Who knows how far demand is off what was foreseen. */
export abstract class SurprisingDemand {
  /** Of each region with a forecast, at this instant. */
  abstract surprises(regions: readonly RegionName[], now: Date): Promise<readonly DemandSurprise[]>;
}

/** By how many deviations what came is off: of chance, which is the root of what is expected, and of the day's own swing. */
export function deviationsOf({ expectedSoFar, pulls }: Pick<PlanOutcome, 'expectedSoFar' | 'pulls'>): number {
  return (pulls - expectedSoFar) / Math.sqrt(1 + expectedSoFar + (SWING_RATIO * expectedSoFar) ** 2);
}

/** Surprises by the exact pulls since the last plan of each region that is followed. */
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
      if (planId !== undefined && outcome !== undefined) found.push({ region, planId, deviations: deviationsOf(outcome) });
    }
    return found;
  }
}
