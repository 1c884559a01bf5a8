import { CodedError } from '#errors';

/** Codes of everything a share may answer instead of doing what was asked. */
export type ShareErrorCode =
  | 'SHARE_NOT_FOUND'
  | 'FILE_NOT_FOUND'
  | 'RANGE_INVALID'
  | 'SHARE_FULL'
  | 'FILE_IN_USE'
  | 'SHARE_DENIED'
  | 'SHARE_BUSY'
  | 'SHARE_UNAVAILABLE'
  | 'COPY_SOURCE_FAILED'
  | 'INTEGRITY_MISMATCH'
  | 'SHARE_PROTOCOL';

/**
 * A share that did not do what was asked. `transient` is decided here, at the border: busy, unavailable, cut
 * connections and copy sources that were busy are transient; everything else is final. `details` names the share and the path.
 */
export class ShareError extends CodedError<ShareErrorCode> {}
