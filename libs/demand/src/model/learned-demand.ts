import { DAY_MS } from '#quantities';
import type { RegionName } from '#regions';

import type { AgeShares } from './age-shares.js';
import type { Calibration } from './calibration.js';
import type { PushEcho } from './push-echo.js';
import type { PushResponse } from './push-response.js';
import type { RepositoryWeekdays } from './repository-weekdays.js';
import type { WeekProfile } from './week-profile.js';

/** What is counted first is taken for what came within so long: the first minutes of a service, or of a region, tell little of a week. */
export const BEGUN_MIN_MS = DAY_MS;

/** What a model has learned, as far as forecasts are made of it. */
export interface LearnedDemand {
  readonly startedMs: number;
  readonly ages: AgeShares;
  readonly pushes: PushResponse;
  readonly weekdays: RepositoryWeekdays;
  readonly echo: PushEcho;
  readonly everywhere: WeekProfile;
  /** When a region was first there to be foretold: `startedMs` for those that were from the beginning, undefined for one that is new now. */
  joinedMs(region: RegionName): number | undefined;
  profileOf(region: RegionName): WeekProfile;
  calibrationOf(region: RegionName): Calibration;
}
