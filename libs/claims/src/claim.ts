/**
 * A worker's exclusive hold on one row of work, until it expires. Its id fences: whoever settles the work must show
 * it, so that a worker which lost its hold (paused, partitioned, its clock wrong) changes nothing any more.
 */
export interface Claim {
  /** New with every claim. */
  readonly id: string;
  /** Which worker process holds it. */
  readonly owner: string;
  readonly expiresAt: Date;
  /** How many times this work has been claimed, this time included; from 1. */
  readonly attempt: number;
}

/** A row of work together with the claim under which it may be worked on. */
export interface Claimed<Item> {
  readonly item: Item;
  readonly claim: Claim;
}

/** Who wants how much work. */
export interface ClaimRequest {
  readonly owner: string;
  /** Rows at most; from 1. */
  readonly limit: number;
  readonly now: Date;
  /** How long the claims hold without renewal, in milliseconds. */
  readonly leaseMs: number;
}

/**
 * One kind of work, in the rows of its own table. Work is claimed, renewed while it runs, and settled by the method of
 * its store that says what came of it; each of those takes the claim's id and returns false when the claim was lost.
 */
export abstract class ClaimSource<Item> {
  /** Takes up to `limit` rows that are due: waiting ones, and those whose claim ran out. The most urgent first; two callers never get the same row. */
  abstract claim(request: ClaimRequest): Promise<Claimed<Item>[]>;

  /** Extends claims until `expiresAt`. @returns the ids that are still held; the others are lost. */
  abstract renew(claimIds: readonly string[], expiresAt: Date): Promise<Set<string>>;

  /** Gives unfinished work back at once, as if it had not been tried: for shutdowns. */
  abstract release(claimId: string): Promise<boolean>;

  /** Gives failed work back, to be tried again not before `notBefore`, with the reason for operators. */
  abstract postpone(claimId: string, notBefore: Date, reason: string): Promise<boolean>;
}
