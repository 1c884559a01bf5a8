import { CodedError } from '#errors';

/** What keeps a plan from being made. */
export type PlacementErrorCode = 'FACTS_TOO_MANY';

/**
 * A plan that was not made. `FACTS_TOO_MANY`: planning on a part of the facts would drain what the other part needs; `details` name the facts
 * and the limit.
 */
export class PlacementError extends CodedError<PlacementErrorCode> {}
