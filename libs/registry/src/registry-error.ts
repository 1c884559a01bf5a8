import { CodedError, type CodedErrorOptions } from '#errors';

/** Codes of everything that can go wrong between us and a registry, or with what a registry sends us. */
export type RegistryErrorCode =
  | 'MANIFEST_UNKNOWN'
  | 'NAME_UNKNOWN'
  | 'BLOB_UNKNOWN'
  | 'UNAUTHORIZED'
  | 'DENIED'
  | 'TOO_MANY_REQUESTS'
  | 'REGISTRY_UNAVAILABLE'
  | 'REGISTRY_PROTOCOL'
  | 'RESPONSE_TOO_LARGE'
  | 'TOKEN_KEYS_INVALID'
  | 'NOTIFICATION_INVALID'
  | 'NOTIFICATION_TOO_LARGE';

/** What a {@link RegistryError} carries besides the fields of every coded error. */
export interface RegistryErrorOptions extends CodedErrorOptions {
  /** Milliseconds that the registry asked to wait. */
  readonly retryAfterMs?: number | undefined;
}

/** A registry did not give what was asked for; `details` names the method and the URL's path, never a credential. */
export class RegistryError extends CodedError<RegistryErrorCode> {
  readonly retryAfterMs: number | undefined;

  constructor(code: RegistryErrorCode, message: string, options: RegistryErrorOptions = {}) {
    super(code, message, options);
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** True when the registry said that what was asked for does not exist: an answer, not a failure. */
export function isUnknown(error: unknown): boolean {
  return error instanceof RegistryError && (error.code === 'MANIFEST_UNKNOWN' || error.code === 'NAME_UNKNOWN' || error.code === 'BLOB_UNKNOWN');
}
