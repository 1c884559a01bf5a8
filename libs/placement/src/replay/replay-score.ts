import { DAY_MS, MINUTE_MS } from '#quantities';

/** Pulls of one kind, and how many of them found all they wanted. */
export interface HitCount {
  readonly pulls: number;
  readonly hits: number;
}

/** What one region, or all of them together, came to. */
export interface RegionScore {
  readonly region: string;
  /** All pulls away from home. */
  readonly all: HitCount;
  /** The first pull of each image in a region. */
  readonly first: HitCount;
  /** Pulls within 24 hours after the image's push. */
  readonly fresh: HitCount;
  /** First pulls of an image in a region that pulled its repository before, more than {@link LATE_MS} after a push that the history tells of: those that could be known ahead. */
  readonly late: HitCount;
  readonly replicatedBytes: number;
  readonly fallbackBytes: number;
  /** Replicated bytes that were never read. */
  readonly wastedBytes: number;
  /** Of these, those that were there at the end. */
  readonly unreadHeldBytes: number;
  readonly storedByteHours: number;
  /** What the bytes from home cost. */
  readonly usd: number;
}

/** What a policy came to on a history. */
export interface ReplayScore {
  readonly policy: string;
  readonly total: RegionScore;
  readonly regions: readonly RegionScore[];
  /** The least share of hits of any region that was pulled in. */
  readonly worstHitRatio: number;
  /** How long each plan took, in milliseconds; empty where a policy makes none, or no clock was given. */
  readonly planMs: readonly number[];
}

/** How soon after its push a pull is one of a fresh image. */
export const FRESH_MS = DAY_MS;

/** How long after its push the first pull of an image leaves time to have it there. */
export const LATE_MS = 10 * MINUTE_MS;

/** Hits for each pull; 1 where there was none. */
export function hitRatio({ pulls, hits }: HitCount): number {
  return pulls === 0 ? 1 : hits / pulls;
}

/** Kinds of pulls that are counted besides all. */
export interface PullKinds {
  readonly isFirst: boolean;
  readonly isFresh: boolean;
  readonly isLate: boolean;
}

/** Counts the pulls of one region. */
export class PullCounter {
  readonly #counts = { all: { pulls: 0, hits: 0 }, first: { pulls: 0, hits: 0 }, fresh: { pulls: 0, hits: 0 }, late: { pulls: 0, hits: 0 } };

  /** Counts one pull. */
  count(isHit: boolean, { isFirst, isFresh, isLate }: PullKinds): void {
    const { all, first, fresh, late } = this.#counts;
    for (const counts of [all, ...(isFirst ? [first] : []), ...(isFresh ? [fresh] : []), ...(isLate ? [late] : [])]) {
      counts.pulls += 1;
      if (isHit) counts.hits += 1;
    }
  }

  /** The counts so far. */
  counts(): Pick<RegionScore, 'all' | 'first' | 'fresh' | 'late'> {
    return structuredClone(this.#counts);
  }
}

/** The scores of all regions together. */
export function totalOf(regions: readonly RegionScore[]): RegionScore {
  const hits = (pick: (score: RegionScore) => HitCount): HitCount => ({
    pulls: regions.reduce((sum, score) => sum + pick(score).pulls, 0),
    hits: regions.reduce((sum, score) => sum + pick(score).hits, 0),
  });
  const sum = (pick: (score: RegionScore) => number): number => regions.reduce((all, score) => all + pick(score), 0);
  return {
    region: 'all',
    all: hits((score) => score.all),
    first: hits((score) => score.first),
    fresh: hits((score) => score.fresh),
    late: hits((score) => score.late),
    replicatedBytes: sum((score) => score.replicatedBytes),
    fallbackBytes: sum((score) => score.fallbackBytes),
    wastedBytes: sum((score) => score.wastedBytes),
    unreadHeldBytes: sum((score) => score.unreadHeldBytes),
    storedByteHours: sum((score) => score.storedByteHours),
    usd: sum((score) => score.usd),
  };
}
