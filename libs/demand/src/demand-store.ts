import type { Digest } from '#oci';
import { DAY_MS } from '#quantities';
import type { RegionName } from '#regions';

import type { DecayedCount } from './decayed-count.js';
import type { DemandKey } from './observation.js';

/** One key's count. */
export interface CountedDemand extends DemandKey {
  readonly count: DecayedCount;
}

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
  /** Each worth at least `WEIGHT_MIN`, all written down at `at`; the most demanded first, ties by key. */
  readonly counts: readonly CountedDemand[];
  /** True when there were more than {@link SNAPSHOT_COUNTS_MAX}. */
  readonly truncated: boolean;
}

/** How a store counts. */
export interface DemandStoreOptions {
  /** > 0; changing it over stored counts reads them by the new curve from the instant at which each was written down. */
  readonly halfLifeMs: number;
}

/**
 * Keeps the decayed count of every (region, repository, image). Nodes merge what they saw in batches; merging is addition, so that the order of
 * batches, late ones included, makes no difference beyond rounding. A repository's count is the sum of its images'.
 */
export abstract class DemandStore {
  /**
   * Adds a batch, exactly once by its id, in one transaction. Observations from the future of `now` count as of `now`.
   * Cost: one statement for all counts.
   */
  abstract merge(batch: DemandBatch, now: Date): Promise<MergeOutcome>;

  /** What one image of one repository is worth in one region at `now`; 0 when nothing is known. */
  abstract weightOfImage(key: DemandKey, now: Date): Promise<number>;

  /** What all images of a repository are worth together in one region at `now`. */
  abstract weightOfRepository(region: RegionName, repository: string, now: Date): Promise<number>;

  /** Counts by filters, written down at `now`. */
  abstract list(query: DemandQuery, now: Date): Promise<DemandPage>;

  /** Everything, for planning. */
  abstract snapshot(now: Date): Promise<DemandSnapshot>;

  /** Forgets up to `limit` counts worth less than `WEIGHT_MIN`, and up to `limit` batch ids that no retry can bring any more. */
  abstract prune(now: Date, limit: number): Promise<{ readonly counts: number; readonly batches: number }>;
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
