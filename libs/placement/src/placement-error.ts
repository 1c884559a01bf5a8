import { CodedError } from '#errors';

/** What keeps a plan from being made. */
export type PlacementErrorCode = 'FACTS_TOO_MANY' | 'TURN_LOST' | 'REPLAY_INVALID' | 'REPLAY_OVER_CAPACITY';

/**
 * A plan that was not made. `FACTS_TOO_MANY`: planning on a part of the facts would drain what the other part needs; `details` name the facts
 * and the limit. `TURN_LOST`: another planner has taken over, and nothing of this one is written any more; it passes, for that one plans. `REPLAY_INVALID`: a catalogue, regions or an event of a replay break their rules. `REPLAY_OVER_CAPACITY`: a defect of a replayed policy.
 */
export class PlacementError extends CodedError<PlacementErrorCode> {}

/** The error of a planner that writes after its turn, of that fence, was lost. */
export function turnLost(fence: string): PlacementError {
  return new PlacementError('TURN_LOST', `the turn ${fence} at planning was lost: another planner has it, or it was given back`, { details: { fence }, transient: true });
}
