import { DAY_MS } from '#quantities';
import type { RegionName } from '#regions';

import type { Calibration } from './calibration.js';
import type { RegionCounters } from './demand-counters.js';
import type { DemandView } from './demand-view.js';
import { Exposure } from './exposure.js';
import type { Weights } from './half-lives.js';
import { BEGUN_MIN_MS, type LearnedDemand } from './learned-demand.js';

/** So many pulls stand against the noise of a region's last hours. */
const LEVEL_PULLS = 20;
/** A region's last hours move its forecast by this factor at most, up or down. */
const LEVEL_RATIO_MAX = 4;
/** How long a region that is busier than usual stays so. */
const LEVEL_KEPT_MS = 7 * DAY_MS;

/** What is the same for all of a region's forecasts of one instant. */
export interface RegionBasis {
  readonly region: RegionName;
  readonly counters: Pick<RegionCounters, 'image' | 'repository' | 'all'>;
  readonly exposure: Exposure;
  /** Pulls an hour of the whole region. */
  readonly level: number;
  /** What is left of its pulls of the last days: below 1 hardly anybody pulls there any more. */
  readonly latePulls: number;
  /** By which each half-life's rates are to be multiplied to be at the level of the last hours. */
  readonly ratios: Weights;
  readonly mix: readonly number[];
  /** Hours of the horizon, counted by the week's rhythm. */
  readonly hours: number;
  readonly calibration: Calibration;
}

/** What a region's forecasts of one instant are made of. @param horizonMs how far ahead they look. */
export function regionBasis({ at, counters: counted }: DemandView, learned: LearnedDemand, region: RegionName, horizonMs: number): RegionBasis {
  const atMs = at.getTime();
  const profile = learned.profileOf(region);
  const calibration = learned.calibrationOf(region);
  const exposure = exposureOf(region, learned, atMs);
  const counters = counted.in(region);
  const all = counters.all(atMs);
  const kept = (LEVEL_KEPT_MS / horizonMs) * (1 - Math.exp(-horizonMs / LEVEL_KEPT_MS));
  const ratio = (halfLife: 0 | 1 | 2): number => {
    const now = all[0] + LEVEL_PULLS;
    const before = (all[halfLife] * exposure.since(0, 0)) / exposure.since(0, halfLife) + LEVEL_PULLS;
    return Math.min(LEVEL_RATIO_MAX, Math.max(1 / LEVEL_RATIO_MAX, now / before)) ** kept;
  };
  return {
    region, counters, exposure, calibration,
    level: all[1] / exposure.since(0, 1),
    latePulls: all[1],
    ratios: [1, ratio(1), ratio(2)],
    mix: calibration.mix,
    hours: profile.between(atMs, atMs + horizonMs),
  };
}

/** Pulls an hour of a region by its last days, of an hour that is like the mean of its week. */
export function levelOf({ at, counters }: DemandView, learned: Pick<LearnedDemand, 'startedMs' | 'joinedMs' | 'profileOf'>, region: RegionName): number {
  return counters.in(region).all(at.getTime())[1] / exposureOf(region, learned, at.getTime()).since(0, 1);
}

/** What a region could have shown since it joined: a new one is not one in which nobody wanted anything. Its first day is taken to be over, as that of counting is. */
function exposureOf(region: RegionName, learned: Pick<LearnedDemand, 'startedMs' | 'joinedMs' | 'profileOf'>, atMs: number): Exposure {
  const joinedMs = learned.joinedMs(region) ?? atMs;
  return new Exposure(atMs, Math.max(learned.startedMs, joinedMs - BEGUN_MIN_MS), learned.profileOf(region).factors);
}
