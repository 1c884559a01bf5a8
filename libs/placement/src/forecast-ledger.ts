import type { WriteFence } from '#claims';
import type { RegionName } from '#regions';

import type { ImageName } from './region-facts.js';

/** Images of one plan of which the forecast is kept: the most pulled ones by expectation. */
export const FORECASTS_KEPT_MAX = 1000;

/** What was expected of an image. */
export interface KeptForecast extends ImageName {
  /** Within the whole window. */
  readonly expectedPulls: number;
  /** The part of that which rests on pulls in other regions. */
  readonly elsewherePulls: number;
  /** How often it had been pulled in the region when the window began. */
  readonly pullsBefore: number;
  /** How often it was pulled within the window; absent until that is over. */
  readonly pulls?: number;
}

/** The forecasts of one plan, to be held against what comes. */
export interface ForecastWindow {
  readonly planId: string;
  readonly region: RegionName;
  readonly madeAt: Date;
  /** When the time that was looked ahead is over. */
  readonly until: Date;
  /** The most pulled first; at most {@link FORECASTS_KEPT_MAX}. */
  readonly forecasts: readonly KeptForecast[];
}

/** Keeps what plans expected. Bounded by who opens windows, and by pruning. */
export abstract class ForecastLedger {
  /** Keeps a window; repeating it under its plan's id changes nothing. Once `fence` is lost nothing is kept, and its error is thrown. */
  abstract open(window: ForecastWindow, fence?: WriteFence): Promise<void>;

  /** When a region's latest window began. */
  abstract latest(region: RegionName): Promise<Date | undefined>;

  /** The window of a plan; undefined where it has none, or none any more. */
  abstract get(planId: string): Promise<ForecastWindow | undefined>;

  /** The ids of a region's plans with windows, the newest first; at most `limit`. */
  abstract list(region: RegionName, limit: number): Promise<readonly string[]>;

  /** Windows that are over at `now` and not closed; at most `limit`. */
  abstract due(now: Date, limit: number): Promise<readonly ForecastWindow[]>;

  /** Notes how often each of the window's images was pulled, in the order of its forecasts. The first note stays. */
  abstract close(planId: string, pulls: readonly number[]): Promise<void>;

  /** Forgets windows that were over before. @returns how many forecasts went. */
  abstract prune(before: Date): Promise<number>;
}
