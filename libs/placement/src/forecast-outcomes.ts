import type { WriteFence } from '#claims';
import type { PullHistory, StoredForecasts } from '#demand';
import { DAY_MS } from '#quantities';
import type { RegionName } from '#regions';

import { type ForecastLedger, FORECASTS_KEPT_MAX, type ForecastWindow } from './forecast-ledger.js';
import type { StoredPlan } from './plan-store.js';
import type { ImageName } from './region-facts.js';
import type { PlacementDecision } from './region-plan.js';

/** Windows that are closed at a time. */
const CLOSED_AT_ONCE_MAX = 20;

/** What was expected of one image, and what came. */
export interface ImageOutcome extends ImageName {
  /** Within the whole window, and by now. */
  readonly expectedPulls: number;
  readonly expectedSoFar: number;
  /** By now. */
  readonly pulls: number;
  /** By how many deviations more came than expected so far, or fewer, beyond what is chance among so many images. */
  readonly deviations: number;
}

/** What came of a plan's forecasts. */
export interface PlanOutcome {
  readonly planId: string;
  readonly region: RegionName;
  readonly madeAt: Date;
  readonly until: Date;
  /** The part of the window that is over, by the rhythm of the region's week; 1 once all of it is. */
  readonly passedRatio: number;
  readonly expectedSoFar: number;
  readonly pulls: number;
  /** By how many deviations more pulls came of all images together than expected so far, or fewer. */
  readonly deviations: number;
  /** By how much the images' forecasts were wrong altogether, in parts of what came: 0 where all were right. Absent where nothing came. */
  readonly weightedError?: number;
  /** The most pulled by expectation first. */
  readonly images: readonly ImageOutcome[];
}

/**
 * Holds forecasts against what comes. Of each region one plan a day is followed, the first that was not made for a push, and each that was made because demand was off its forecast: from then on that is
 * the forecast. What is expected of the window is taken to come by the rhythm of the region's week. Pulls are exact totals, so nothing is lost when nobody looks for long: a window that is closed late counts what came until then.
 */
export class ForecastOutcomes {
  constructor(
    private readonly ledger: ForecastLedger,
    private readonly history: Pick<PullHistory, 'totals'>,
    private readonly forecasts: Pick<StoredForecasts, 'surprises'>,
  ) {}

  /** Follows a plan that was just kept, if it is one to be followed. @throws the fence's error once that is lost. */
  async follow(plan: StoredPlan, decisions: readonly PlacementDecision[], fence: WriteFence): Promise<void> {
    const { id, region, madeAt, trigger, repositories, terms } = plan;
    if (trigger === 'push' || repositories !== undefined || terms === undefined) return;
    const latest = await this.ledger.latest(region);
    if (trigger !== 'demand' && latest !== undefined && dayOf(latest) >= dayOf(madeAt)) return;
    // Those of which nothing is expected as well: nothing is a surprise as much as they are.
    const expected = decisions.toSorted((a, b) => b.expectedPulls - a.expectedPulls).slice(0, FORECASTS_KEPT_MAX);
    if (expected.length === 0) return;
    const before = await this.history.totals(region, expected);
    const forecasts = expected.map(({ repository, digest, expectedPulls, elsewherePulls }, n) => ({ repository, digest, expectedPulls, elsewherePulls, pullsBefore: before[n] ?? 0 }));
    await this.ledger.open({ planId: id, region, madeAt, until: new Date(madeAt.getTime() + terms.horizonMs), forecasts }, fence);
  }

  /** Closes windows that are over. @returns how many. */
  async close(now: Date): Promise<number> {
    const due = await this.ledger.due(now, CLOSED_AT_ONCE_MAX);
    for (const window of due) await this.ledger.close(window.planId, await this.#came(window));
    return due.length;
  }

  /** What came of a plan's forecasts by now; undefined where it was not followed, or is forgotten. */
  async of(planId: string, now: Date): Promise<PlanOutcome | undefined> {
    const window = await this.ledger.get(planId);
    if (window === undefined) return undefined;
    const { region, madeAt, until, forecasts } = window;
    const came = await this.#came(window);
    const { passedRatio, all: deviations, images: off } = await this.forecasts.surprises(region, { from: madeAt, until, at: now }, forecasts.map(({ expectedPulls, elsewherePulls }, n) => ({ expectedPulls, elsewherePulls, pulls: came[n] ?? 0 })));
    const images = forecasts.map(({ repository, digest, expectedPulls }, n): ImageOutcome => ({
      repository, digest, expectedPulls, expectedSoFar: expectedPulls * passedRatio, pulls: came[n] ?? 0, deviations: off[n] ?? 0,
    }));
    const sum = (numberOf: (image: ImageOutcome) => number): number => images.reduce((total, image) => total + numberOf(image), 0);
    const pulls = sum((image) => image.pulls);
    const wrong = sum((image) => Math.abs(image.pulls - image.expectedSoFar));
    return { planId, region, madeAt, until, passedRatio, pulls, deviations, expectedSoFar: sum((image) => image.expectedSoFar), ...(pulls === 0 ? {} : { weightedError: wrong / pulls }), images };
  }

  async #came({ region, forecasts }: ForecastWindow): Promise<number[]> {
    const isClosed = forecasts.every(({ pulls }) => pulls !== undefined);
    const totals = isClosed ? [] : await this.history.totals(region, forecasts);
    // A total that was forgotten because nobody pulled for long begins anew.
    return forecasts.map(({ pulls, pullsBefore }, n) => pulls ?? Math.max(0, (totals[n] ?? 0) - pullsBefore));
  }
}

function dayOf(at: Date): number {
  return Math.floor(at.getTime() / DAY_MS);
}
