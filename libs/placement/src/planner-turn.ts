import type { WriteFence } from '#claims';

/** The right to plan, until it expires. */
export interface PlannerToken {
  /** Greater with every turn, as decimal text: an older turn's token is refused everywhere. */
  readonly fence: string;
  readonly owner: string;
  /** By the clock of who has it. */
  readonly expiresAt: Date;
}

/**
 * The one turn at planning that all processes share: a row with an expiry. One planner at a time has it; when that one dies, the next has it once
 * the turn expires; and a planner that was only slow finds its token refused. One that was paused between looking and writing is refused too, by the fence of its token, which everything that it
 * writes carries along. Turns run out by one clock, as claims do; `now` is by the planner's own.
 */
export abstract class PlannerTurn {
  /** Takes the turn when nobody has it, or the one who had it let it expire. @returns undefined when it is taken, also by the same owner. */
  abstract acquire(owner: string, now: Date, leaseMs: number): Promise<PlannerToken | undefined>;

  /** Extends a turn until `leaseMs` after `now`. @returns undefined when it was lost: expired and taken by another, or released. */
  abstract renew(token: PlannerToken, now: Date, leaseMs: number): Promise<PlannerToken | undefined>;

  /** Guards what is written under a token: it holds as long as the turn was not given back or taken by another, and keeps others from taking it until the transaction ends. Its error is `TURN_LOST`. */
  abstract fence(token: PlannerToken): WriteFence;

  /** Gives the turn back. @returns false when it was lost. */
  abstract release(token: PlannerToken): Promise<boolean>;
}
