import type { Claim } from './claim.js';

/** Rows that one page of a list looks at beyond those that it shows, when it is filtered. */
export const WORK_PASSED_MAX = 2000;

/**
 * How work stands: `claimed` a worker has it; `blocked` nobody is given it as things are; `waiting` it is left alone until an instant, after a failure or by order; `due` the next free worker takes it;
 * `refused` it was given up.
 */
export type WorkStanding = 'claimed' | 'blocked' | 'waiting' | 'due' | 'refused';

/** What work is about. Kinds of work have some of these each. */
export interface WorkSubject {
  readonly layer?: string;
  /** Whether that is the merged view of an image; only where it is one. */
  readonly isView?: true;
  readonly share?: string;
  readonly repository?: string;
  readonly reference?: string;
}

/** Which work a list shows; every field that is given must match. Work that has no such field does not. */
export interface WorkFilter {
  readonly layer?: string | undefined;
  readonly share?: string | undefined;
  readonly repository?: string | undefined;
  readonly reference?: string | undefined;
  readonly standing?: WorkStanding | undefined;
  /** Only what has failed and not been done since. */
  readonly hasFailed?: boolean | undefined;
}

/** One row of work as a list shows it. Instants are by the clock of who asks. */
export interface WorkEntry {
  /** Names it among the work of its kind, as long as it is open. */
  readonly key: readonly string[];
  readonly subject: WorkSubject;
  readonly standing: WorkStanding;
  /** Present exactly where it is blocked: a code of its kind. */
  readonly blockedBy?: string;
  readonly wantedAt: Date;
  /** Times that it was claimed since it was wanted. */
  readonly attempts: number;
  /** Until when it is left alone; absent where that is over. */
  readonly nextTryAt?: Date;
  /** Why the last try failed, or why it was refused. */
  readonly lastError?: string;
  /** Present exactly where it is claimed. */
  readonly claim?: Pick<Claim, 'owner' | 'expiresAt'>;
}

/** Where a page ended: what the order goes by, of its last row. */
export type WorkMark = readonly (string | number)[];

/** Which page to read. */
export interface WorkQuery {
  readonly after?: WorkMark | undefined;
  /** Entries at most; from 1. */
  readonly limit: number;
  readonly filter?: WorkFilter;
}

/** Some work, and where the next page begins while there may be more. A page may have fewer entries than asked for, or none, and yet a next one. */
export interface WorkPage {
  readonly entries: readonly WorkEntry[];
  readonly next?: WorkMark;
}

/** What became of asking that work be tried at once: `due` it will be; `NOT_FAILED` it does not wait after a failure; `NOT_OPEN` there is no such work. */
export type RetryOutcome = 'due' | 'NOT_FAILED' | 'NOT_OPEN';

/** One kind of work, for operators: what is open, in the order in which workers are given it. What moves in that order between two pages may be shown twice, or not at all. */
export abstract class WorkList {
  /** One page. Cost follows `limit`, and with filters besides `layer` and `hasFailed` {@link WORK_PASSED_MAX}, however much is open. */
  abstract list(query: WorkQuery, now: Date): Promise<WorkPage>;

  /** Ends the wait of work that has failed. A wait by order, such as the grace of a removal, stands: that work has not failed. Idempotent. */
  abstract retry(key: readonly string[], now: Date): Promise<RetryOutcome>;
}
