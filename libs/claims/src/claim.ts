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
  /** By the claimer's clock. */
  readonly now: Date;
  /** How long the claims hold without renewal, in milliseconds. */
  readonly leaseMs: number;
}

/** Why failed work is given back, and for how long. */
export interface Postponement {
  /** By the clock of who gives it back. */
  readonly now: Date;
  /** How long it is left alone, from `now` on, in milliseconds; not negative. */
  readonly waitMs: number;
  /** For operators. */
  readonly reason: string;
}

/**
 * One kind of work, in the rows of its own table. Work is claimed, renewed while it runs, and settled by the method of
 * its store that says what came of it; each of those takes the claim's id and returns false when the claim was lost.
 *
 * What is due and what has run out is decided by one clock, which a store shares with all processes that use it: what callers call `now` only says from when on they count, and the instants that
 * they are given are by their own clock. So a process whose clock is wrong takes nothing over that is alive, and its own claims hold as long as anybody's.
 */
export abstract class ClaimSource<Item> {
  /** Takes up to `limit` rows that are due: waiting ones, and those whose claim ran out. The most urgent first; two callers never get the same row. */
  abstract claim(request: ClaimRequest): Promise<Claimed<Item>[]>;

  /** Extends claims until `leaseMs` after `now`. @returns the ids that are still held; the others are lost. */
  abstract renew(claimIds: readonly string[], now: Date, leaseMs: number): Promise<Set<string>>;

  /** Gives unfinished work back at once, as if it had not been tried: for shutdowns. */
  abstract release(claimId: string): Promise<boolean>;

  /** Gives failed work back, to be tried again when its wait is over. */
  abstract postpone(claimId: string, postponement: Postponement): Promise<boolean>;
}
