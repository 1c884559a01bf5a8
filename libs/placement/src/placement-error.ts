import { CodedError } from '#errors';

/** What keeps a plan from being made. */
export type PlacementErrorCode = 'FACTS_TOO_MANY' | 'REPLAY_INVALID' | 'REPLAY_OVER_CAPACITY';

/**
 * A plan that was not made. `FACTS_TOO_MANY`: planning on a part of the facts would drain what the other part needs; `details` name the facts
 * and the limit. `REPLAY_INVALID`: a catalogue, regions or an event of a replay break their rules. `REPLAY_OVER_CAPACITY`: a defect of a replayed policy.
 */
export class PlacementError extends CodedError<PlacementErrorCode> {}
