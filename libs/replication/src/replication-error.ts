import { CodedError } from '#errors';

/**
 * Codes of what keeps a replica from being made or removed, besides the errors of shares and stores, which pass through.
 *
 * Transient:
 * - `NO_SOURCE`: no other share holds the layer ready right now.
 * - `RECORD_MISSING`: the layer has no record at the moment: it is being expanded anew, or it was forgotten.
 * - `COPY_INCOMPLETE`: the file is not what was written to it: another size, or no file; the copy begins anew.
 * - `CLAIM_LOST`: another worker has taken over.
 * - `REPLICA_DRAINING`: the replica that should be noted as ready is being removed; it can be when that is done.
 * - `DRAIN_ENDED`: the share is not drained any more, so nothing is taken from it for that.
 * - `LINK_BUDGET_USED`: the day's bytes of a link are used up; `details.retryAt` says when there are new ones.
 *
 * Final, for an operator to see:
 * - `PIECE_MISMATCH`: the bytes of a piece are not those of the record, in several tries over all sources there are; `details` names piece and sources.
 * - `SHARE_UNKNOWN`: the row names a share that the configuration does not.
 */
export type ReplicationErrorCode =
  | 'NO_SOURCE'
  | 'RECORD_MISSING'
  | 'COPY_INCOMPLETE'
  | 'CLAIM_LOST'
  | 'REPLICA_DRAINING'
  | 'DRAIN_ENDED'
  | 'LINK_BUDGET_USED'
  | 'PIECE_MISMATCH'
  | 'SHARE_UNKNOWN';

/** A replica that could not be made or removed this time. */
export class ReplicationError extends CodedError<ReplicationErrorCode> {}
