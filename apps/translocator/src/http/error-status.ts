import type { AccessErrorCode } from '#access';
import type { FolderLockErrorCode } from '#claims';
import type { ConfigErrorCode } from '#config';
import type { DatabaseErrorCode } from '#database';
import type { ExpansionErrorCode } from '#expansion';
import type { EmulatorErrorCode } from '#file-share-emulator';
import type { OciErrorCode } from '#oci';
import type { PinErrorCode } from '#pins';
import type { PlacementErrorCode } from '#placement';
import type { RegistryErrorCode } from '#registry';
import type { ReplicationErrorCode } from '#replication';
import type { ShareErrorCode } from '#shares';

/** Every code of every room. */
export type ServiceErrorCode =
  | AccessErrorCode
  | ConfigErrorCode
  | DatabaseErrorCode
  | EmulatorErrorCode
  | ExpansionErrorCode
  | FolderLockErrorCode
  | OciErrorCode
  | PinErrorCode
  | PlacementErrorCode
  | RegistryErrorCode
  | ReplicationErrorCode
  | ShareErrorCode;

/** What a client is told with which status; total, so that a new code is decided here before it compiles. Described in docs/errors.md. */
export const STATUS_OF_CODE: Readonly<Record<ServiceErrorCode, number>> = {
  // What the client sent.
  DIGEST_INVALID: 400,
  NAME_INVALID: 400,
  REFERENCE_INVALID: 400,
  PLATFORM_INVALID: 400,
  PIN_INVALID: 400,
  TOKEN_INVALID: 400,
  NOTIFICATION_INVALID: 400,
  NOTIFICATION_TOO_LARGE: 413,
  // What the client asks for and the service has not, or has otherwise.
  PIN_CONFLICT: 409,
  PINS_TOO_MANY: 409,
  TOKENS_TOO_MANY: 409,
  // What the registry holds or says.
  MANIFEST_INVALID: 502,
  CONFIG_INVALID: 502,
  MEDIA_TYPE_UNSUPPORTED: 502,
  SIZE_MISMATCH: 502,
  DIGEST_MISMATCH: 502,
  MANIFEST_UNKNOWN: 404,
  NAME_UNKNOWN: 404,
  BLOB_UNKNOWN: 404,
  UNAUTHORIZED: 502,
  DENIED: 502,
  TOO_MANY_REQUESTS: 503,
  REGISTRY_UNAVAILABLE: 503,
  REGISTRY_PROTOCOL: 502,
  RESPONSE_TOO_LARGE: 502,
  TOKEN_KEYS_INVALID: 502,
  // What the service stands on.
  SETTINGS_INVALID: 500,
  DATABASE_START_FAILED: 503,
  DATABASE_UNREACHABLE: 503,
  DATABASE_TOO_OLD: 503,
  EMULATOR_OPTIONS_INVALID: 500,
  EMULATOR_FOLDER_LOCKED: 503,
  EMULATOR_NOT_LISTENING: 503,
  FOLDER_LOCKED: 503,
  SHARE_NOT_FOUND: 503,
  FILE_NOT_FOUND: 503,
  RANGE_INVALID: 500,
  SHARE_FULL: 503,
  FILE_IN_USE: 503,
  SHARE_DENIED: 503,
  SHARE_BUSY: 503,
  SHARE_UNAVAILABLE: 503,
  COPY_SOURCE_FAILED: 503,
  INTEGRITY_MISMATCH: 503,
  SHARE_PROTOCOL: 502,
  // What came of work; such errors stand in records, and rarely reach a client as an answer of their own.
  LAYER_UNSUPPORTED: 422,
  COMPRESSION_INVALID: 422,
  TAR_INVALID: 422,
  ENTRY_UNSUPPORTED: 422,
  LINK_TARGET_MISSING: 422,
  TOO_LARGE: 422,
  BLOB_TRUNCATED: 503,
  READ_BACK_MISMATCH: 503,
  DIGEST_THREAD_FAILED: 503,
  LAYER_FILE_INVALID: 503,
  OTHER_FILE: 503,
  FACTS_TOO_MANY: 503,
  TURN_LOST: 503,
  REPLAY_INVALID: 422,
  REPLAY_OVER_CAPACITY: 500,
  NO_SOURCE: 503,
  RECORD_MISSING: 503,
  COPY_INCOMPLETE: 503,
  CLAIM_LOST: 503,
  REPLICA_DRAINING: 503,
  DRAIN_ENDED: 503,
  LINK_BUDGET_USED: 503,
  PIECE_MISMATCH: 500,
  SHARE_UNKNOWN: 500,
};

/** True when `code` is a code of this service. */
export function isServiceErrorCode(code: string): code is ServiceErrorCode {
  return Object.hasOwn(STATUS_OF_CODE, code);
}
