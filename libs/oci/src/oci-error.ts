import { CodedError } from '#errors';

/** Codes of everything that can be wrong with OCI words and documents. */
export type OciErrorCode =
  | 'DIGEST_INVALID'
  | 'NAME_INVALID'
  | 'REFERENCE_INVALID'
  | 'PLATFORM_INVALID'
  | 'MANIFEST_INVALID'
  | 'CONFIG_INVALID'
  | 'MEDIA_TYPE_UNSUPPORTED'
  | 'SIZE_MISMATCH'
  | 'DIGEST_MISMATCH';

/** Text or bytes that are not what the OCI specifications, or the descriptor that announced them, say they must be. */
export class OciError extends CodedError<OciErrorCode> {}
