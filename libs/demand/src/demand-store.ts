import type { Digest } from '#oci';
import { DAY_MS, HOUR_MS } from '#quantities';
import type { RegionName } from '#regions';

import type { DecayedCounts } from './decayed-counts.js';
import type { DemandModelState } from './model/demand-model.js';
import type { DayAheadState } from './model/day-ahead.js';
import type { Weights } from './model/half-lives.js';
import type { DemandKey } from './observation.js';

/** One key's counts. */
export interface CountedDemand extends DemandKey, DecayedCounts {}

/** What one node saw since it last handed over; merged once, however often it is handed over. */
export interface DemandBatch {
  /** A UUID, new with every batch. */
  readonly batchId: string;
  /** When it was closed, by the clock of its node. */
  readonly drainedAt: Date;
  /** Each key once; at most {@link BATCH_COUNTS_MAX}. */
  readonly counts: readonly CountedDemand[];
}

/** Keys in one batch: what a node's buffer may hold. */
export const BATCH_COUNTS_MAX = 50_000;
/** How long after its closing a batch is still taken. Its id is remembered for twice that, so that clocks a day apart still count it once. */
export const BATCH_AGE_MAX_MS = DAY_MS;
/** Counts in a snapshot: ten regions of fifty thousand images. Beyond it the least demanded are left out. */
export const SNAPSHOT_COUNTS_MAX = 500_000;
/** Counts that are kept of one region: twice the images that are expected of a registry. Beyond it the least demanded are forgotten. */
export const REGION_COUNTS_MAX = 100_000;
/** The version of what models learn that is kept now. */
export const MODEL_VERSION: DemandModelState['version'] = 1;
/** The version of what models foretell that is kept now. */
export const FORETOLD_VERSION: DayAheadState['version'] = 1;
/** How far ahead of the clock a model may have learned: clocks differ by seconds, and one that differs by more is wrong. */
export const MODEL_AHEAD_MAX_MS = HOUR_MS;
/** Counts on one page. */
export const DEMAND_PAGE_MAX = 1000;

/** What became of a batch: merged now, merged before, or too old to be told apart from one merged before, and left out. */
export type MergeOutcome = 'merged' | 'repeated' | 'expired';

/** Which counts to list, in the order of region, repository, image. */
export interface DemandQuery {
  readonly region?: RegionName;
  readonly repository?: string;
  /** Only what follows; the last key of the page before. */
  readonly after?: DemandKey;
  /** From 1 to {@link DEMAND_PAGE_MAX}. */
  readonly limit: number;
}

/** Some counts, at one instant. */
export interface DemandPage {
  readonly counts: readonly CountedDemand[];
  /** Present when there may be more. */
  readonly next?: DemandKey;
}

/** All demand worth knowing at one instant. */
export interface DemandSnapshot {
  readonly at: Date;
  /** Each worth at least `WEIGHT_MIN` by the longest half-life, all written down at `at`; the most demanded by that first, ties by key. */
  readonly counts: readonly CountedDemand[];
  /** True when there were more than {@link SNAPSHOT_COUNTS_MAX}. */
  readonly truncated: boolean;
}

/** How a store counts. */
export interface DemandStoreOptions {
  /** {@link REGION_COUNTS_MAX} unless a test says otherwise. */
  readonly regionCountsMax?: number;
}

/** What was forgotten. */
export interface PrunedDemand {
  /** Counts worth nothing any more, and those of regions with too many. */
  readonly counts: number;
  readonly batches: number;
}

/**
 * Keeps the decayed counts of every (region, repository, image), and what was learned from them. Nodes merge what they saw in batches; merging is addition, so that the order of
 * batches, late ones included, makes no difference beyond rounding. A repository's counts are the sum of its images'.
 */
export abstract class DemandStore {
  /**
   * Adds a batch, exactly once by its id, in one transaction. Observations from the future of `now` count as of `now`.
   * Cost: one statement for all counts.
   */
  abstract merge(batch: DemandBatch, now: Date): Promise<MergeOutcome>;

  /** What one image of one repository is worth in one region at `now`; zeros when nothing is known. */
  abstract weightsOfImage(key: DemandKey, now: Date): Promise<Weights>;

  /** What all images of a repository are worth together in one region at `now`. */
  abstract weightsOfRepository(region: RegionName, repository: string, now: Date): Promise<Weights>;

  /** Counts by filters, written down at `now`. */
  abstract list(query: DemandQuery, now: Date): Promise<DemandPage>;

  /** Everything, for planning. */
  abstract snapshot(now: Date): Promise<DemandSnapshot>;

  /**
   * What the model that was kept last has learned. Undefined before the first; when it is of another version of the model, which then begins anew; and when it learned until later than
   * {@link MODEL_AHEAD_MAX_MS} from `now`: whoever kept that had a wrong clock.
   */
  abstract model(now: Date): Promise<DemandModelState | undefined>;

  /**
   * Keeps what a model has learned, unless one that learned until later is kept already, and is not from the future of `now`: whoever lags behind undoes nothing.
   * @returns whether it was kept.
   */
  abstract keepModel(state: DemandModelState, now: Date): Promise<boolean>;

  /** What was foretold last, by whoever kept it; undefined under the same terms as {@link model}. */
  abstract foretold(now: Date): Promise<DayAheadState | undefined>;

  /** Keeps what a model has foretold, under the same terms as {@link keepModel}. Some megabytes at most. @returns whether it was kept. */
  abstract keepForetold(state: DayAheadState, now: Date): Promise<boolean>;

  /**
   * Forgets up to `limit` counts worth less than `WEIGHT_MIN` by the longest half-life, and the least demanded of regions with more than {@link REGION_COUNTS_MAX}; and up to `limit` batch ids
   * that no retry can bring any more.
   */
  abstract prune(now: Date, limit: number): Promise<PrunedDemand>;
}

/** Orders keys by region, repository and image. */
export function compareDemandKeys(a: DemandKey, b: DemandKey): number {
  return compareText(a.region, b.region) || compareText(a.repository, b.repository) || compareText(a.image, b.image);
}

/** One text for one key: none of its parts can hold a space. */
export function demandKeyText(key: DemandKey): `${string} ${string} ${Digest}` {
  return `${key.region} ${key.repository} ${key.image}`;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
