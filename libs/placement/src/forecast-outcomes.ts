import type { WriteFence } from '#claims';
import type { PullHistory } from '#demand';
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
}

/** What came of a plan's forecasts. */
export interface PlanOutcome {
  readonly planId: string;
  readonly region: RegionName;
  readonly madeAt: Date;
  readonly until: Date;
  /** The part of the window that is over; 1 once all of it is. */
  readonly passedRatio: number;
  readonly expectedSoFar: number;
  readonly pulls: number;
  /** By how much the images' forecasts were wrong altogether, in parts of what came: 0 where all were right. Absent where nothing came. */
  readonly weightedError?: number;
  /** The most pulled by expectation first. */
  readonly images: readonly ImageOutcome[];
}

/**
 * Holds forecasts against what comes. Of each region one plan a day is followed, the first that was not made for a push; what is expected is taken to come evenly over the window. Pulls are exact
 * totals, so nothing is lost when nobody looks for long: a window that is closed late counts what came until then.
 */
export class ForecastOutcomes {
  constructor(
    private readonly ledger: ForecastLedger,
    private readonly history: Pick<PullHistory, 'totals'>,
  ) {}

  /** Follows a plan that was just kept, if it is one to be followed. @throws the fence's error once that is lost. */
  async follow(plan: StoredPlan, decisions: readonly PlacementDecision[], fence: WriteFence): Promise<void> {
    const { id, region, madeAt, trigger, repositories, terms } = plan;
    if (trigger === 'push' || repositories !== undefined || terms === undefined) return;
    const latest = await this.ledger.latest(region);
    if (latest !== undefined && dayOf(latest) >= dayOf(madeAt)) return;
    const expected = decisions.filter(({ expectedPulls }) => expectedPulls > 0).toSorted((a, b) => b.expectedPulls - a.expectedPulls).slice(0, FORECASTS_KEPT_MAX);
    if (expected.length === 0) return;
    const before = await this.history.totals(region, expected);
    const forecasts = expected.map(({ repository, digest, expectedPulls }, n) => ({ repository, digest, expectedPulls, pullsBefore: before[n] ?? 0 }));
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
    const passedRatio = Math.max(0, Math.min(1, (now.getTime() - madeAt.getTime()) / (until.getTime() - madeAt.getTime())));
    const images = forecasts.map(({ repository, digest, expectedPulls }, n): ImageOutcome => ({ repository, digest, expectedPulls, expectedSoFar: expectedPulls * passedRatio, pulls: came[n] ?? 0 }));
    const sum = (numberOf: (image: ImageOutcome) => number): number => images.reduce((total, image) => total + numberOf(image), 0);
    const pulls = sum((image) => image.pulls);
    const wrong = sum((image) => Math.abs(image.pulls - image.expectedSoFar));
    return { planId, region, madeAt, until, passedRatio, pulls, expectedSoFar: sum((image) => image.expectedSoFar), ...(pulls === 0 ? {} : { weightedError: wrong / pulls }), images };
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
