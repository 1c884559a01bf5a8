import { ClaimSource, type WorkList } from '#claims';

/**
 * How far the examination of the tags that a repository had when it was enabled has come:
 * `none → waiting → listing → examining → done`; enabling it anew begins again at `waiting`, disabling it at `none`.
 */
export interface BackfillProgress {
  readonly state: 'none' | 'waiting' | 'listing' | 'examining' | 'done';
  /** References to examine; while listing, the tags found so far. */
  readonly totalCount: number;
  /** References examined; while listing, the tags whose age is known. */
  readonly doneCount: number;
  readonly startedAt?: Date;
  readonly finishedAt?: Date;
  /** Why the last try to list the tags failed. */
  readonly lastError?: string;
}

/** A repository that somebody enabled or disabled. */
export interface Repository {
  readonly name: string;
  readonly enabled: boolean;
  /** When `enabled` last changed. */
  readonly changedAt: Date;
  readonly backfill: BackfillProgress;
}

/** Repositories of one page at most. */
export const REPOSITORIES_PAGE_MAX = 1000;

/** Which repositories are served. */
export abstract class RepositoryStore {
  /** Serves a repository from now on and wants its backfill. One that is enabled already stays as it is. Its name must follow the grammar. */
  abstract enable(name: string, now: Date): Promise<Repository>;

  /** Serves a repository no longer; its images stay recorded, but nothing refers to them. Its backfill ends. @returns undefined when it is unknown. */
  abstract disable(name: string, now: Date): Promise<Repository | undefined>;

  /** Undefined when nobody ever enabled it. */
  abstract get(name: string): Promise<Repository | undefined>;

  /** In the order of their names, those after `after`; `limit` from 1 to {@link REPOSITORIES_PAGE_MAX}. */
  abstract list(page: { readonly after?: string; readonly limit: number }): Promise<Repository[]>;
}

/** The wish that the tags which a repository has already be examined. */
export interface Backfill {
  readonly repository: string;
}

/** The backfills of enabled repositories, as work: the one that waits longest first. */
export abstract class BackfillStore extends ClaimSource<Backfill> {
  /** Those whose tags are still to be listed, for operators; subject and key are the repository. */
  abstract readonly work: WorkList;

  /** Shows how far listing has come. @returns false when the claim was lost. */
  abstract progress(claimId: string, counts: { readonly totalCount: number; readonly doneCount: number }): Promise<boolean>;

  /**
   * Ends listing: in one transaction wants an examination for each reference (the first one most urgently, all of them less so than any
   * push) and counts them as this backfill's total; without any it is done. A reference that is waiting already is counted too, and keeps
   * its urgency. References must be distinct. @returns false when the claim was lost and nothing was written.
   */
  abstract wantExaminations(claimId: string, references: readonly string[], now: Date): Promise<boolean>;

  /**
   * Wants the backfill of enabled repositories anew whose last one ended before `before`, the longest ago first and at most `limit` of them: events
   * get lost, and registries collect garbage without telling. @returns how many were wanted.
   */
  abstract wantAgain(before: Date, limit: number): Promise<number>;
}
