import { RestError } from '@azure/storage-file-share';

import { parseRetryAfterMs } from '#clock';

import { ShareError, type ShareErrorCode } from '../share-error.js';

/** What a failed call was about. */
export interface FailedCall {
  readonly share: string;
  readonly path: string;
  readonly now: Date;
}

/** Codes of the service that say more than their HTTP status. */
const CODES: Readonly<Record<string, ShareErrorCode>> = {
  ShareNotFound: 'SHARE_NOT_FOUND',
  ShareBeingDeleted: 'SHARE_UNAVAILABLE',
  ShareDisabled: 'SHARE_DENIED',
  ResourceNotFound: 'FILE_NOT_FOUND',
  ParentNotFound: 'FILE_NOT_FOUND',
  InvalidRange: 'RANGE_INVALID',
  OutOfRangeInput: 'RANGE_INVALID',
  RequestBodyTooLarge: 'RANGE_INVALID',
  ShareSizeLimitReached: 'SHARE_FULL',
  SharingViolation: 'FILE_IN_USE',
  FileLockConflict: 'FILE_IN_USE',
  FileOpenBySmbClient: 'FILE_IN_USE',
  CannotDeleteFileOrDirectory: 'FILE_IN_USE',
  DeletePending: 'FILE_IN_USE',
  LeaseIdMissing: 'FILE_IN_USE',
  CannotVerifyCopySource: 'COPY_SOURCE_FAILED',
  Md5Mismatch: 'INTEGRITY_MISMATCH',
  Crc64Mismatch: 'INTEGRITY_MISMATCH',
  ServerBusy: 'SHARE_BUSY',
  OperationTimedOut: 'SHARE_UNAVAILABLE',
  InternalError: 'SHARE_UNAVAILABLE',
};
const BUSY_STATUSES = new Set([429, 503]);
/** Copy sources that failed with one of these were only busy (what the SDK and azcopy try again). */
const BUSY_SOURCES = new Set(['InternalError', 'OperationTimedOut', 'ServerBusy']);
/** The same, told by the status of the source's answer. */
const BUSY_SOURCE_STATUSES = new Set([408, 429, 500, 502, 503, 504]);
/** How the service says that it is the account that is asked too much, not the share: "Operations per second is over the account limit." */
const OVER_ACCOUNT_LIMIT = /over the account limit/i;
const TRANSIENT: ReadonlySet<ShareErrorCode> = new Set(['SHARE_BUSY', 'SHARE_UNAVAILABLE']);

/**
 * Turns whatever the SDK threw into a {@link ShareError}; an error that is one already is returned as it is. `details` hold the
 * share, the path, and, where the service told them, `azureCode`, `status`, `requestId`, `retryAfterMs`, `sourceCode` and `sourceStatus` of a copy's source, and
 * `limitOf: 'account'` when the whole account is over its limit. The cause is a
 * summary: the SDK's own error holds the request with its signature.
 */
export function shareErrorOf(error: unknown, call: FailedCall): ShareError {
  if (error instanceof ShareError) return error;
  const facts = factsOf(error, call.now);
  const code = codeOf(error, facts);
  const transient = TRANSIENT.has(code) || (code === 'COPY_SOURCE_FAILED' && isBusySource(facts));
  const told = Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined));
  const what = [facts.status, facts.azureCode, facts.sourceCode].filter((part) => part !== undefined).join(' ');
  return new ShareError(code, `${call.share}/${call.path}: ${what === '' ? summaryOf(error) : what}`, {
    cause: new Error(summaryOf(error)),
    transient,
    details: { share: call.share, path: call.path, ...told },
  });
}

interface Facts {
  readonly status: number | undefined;
  readonly azureCode: string | undefined;
  /** Why the copy source could not be read. */
  readonly sourceCode: string | undefined;
  readonly sourceStatus: number | undefined;
  readonly requestId: string | undefined;
  readonly retryAfterMs: number | undefined;
  readonly limitOf: 'account' | undefined;
}

const NO_FACTS: Facts = {
  status: undefined, azureCode: undefined, sourceCode: undefined, sourceStatus: undefined, requestId: undefined, retryAfterMs: undefined, limitOf: undefined,
};

function factsOf(error: unknown, now: Date): Facts {
  if (!(error instanceof RestError)) return NO_FACTS;
  const header = (name: string): string | undefined => error.response?.headers.get(name);
  return {
    status: error.statusCode,
    // Answers to HEAD have no body: their code is in the header only.
    azureCode: error.statusCode === undefined ? undefined : (header('x-ms-error-code') ?? error.code),
    sourceCode: header('x-ms-copy-source-error-code'),
    sourceStatus: numberOf(header('x-ms-copy-source-status-code')),
    requestId: header('x-ms-request-id'),
    retryAfterMs: parseRetryAfterMs(header('retry-after'), now),
    limitOf: OVER_ACCOUNT_LIMIT.test(error.message) ? 'account' : undefined,
  };
}

function numberOf(header: string | undefined): number | undefined {
  return header !== undefined && /^\d{3}$/.test(header) ? Number(header) : undefined;
}

function isBusySource({ sourceCode, sourceStatus }: Facts): boolean {
  return BUSY_SOURCES.has(sourceCode ?? '') || BUSY_SOURCE_STATUSES.has(sourceStatus ?? 0);
}

function codeOf(error: unknown, { status, azureCode, sourceCode, sourceStatus }: Facts): ShareErrorCode {
  if (sourceCode !== undefined || sourceStatus !== undefined) return 'COPY_SOURCE_FAILED';
  const known = azureCode === undefined ? undefined : CODES[azureCode];
  if (known !== undefined) return known;
  if (status === undefined) return isConnectionFailure(error) ? 'SHARE_UNAVAILABLE' : 'SHARE_PROTOCOL';
  if (BUSY_STATUSES.has(status)) return 'SHARE_BUSY';
  if (status === 408 || status >= 500) return 'SHARE_UNAVAILABLE';
  if (status === 401 || status === 403) return 'SHARE_DENIED';
  if (status === 404) return 'FILE_NOT_FOUND';
  return status === 416 ? 'RANGE_INVALID' : 'SHARE_PROTOCOL';
}

/** A cut download reaches us as an `AbortError` that nobody asked for; refused and reset connections have a system code. */
function isConnectionFailure(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error.name === 'AbortError' || error.name === 'TimeoutError') return true;
  const code = 'code' in error ? String(error.code) : '';
  return code === RestError.REQUEST_SEND_ERROR || /^(?:E[A-Z_]{3,}|UND_ERR_.*)$/.test(code) || code === RestError.PARSE_ERROR;
}

/** Name and message of any error, at most 500 characters, without signatures. */
export function summaryOf(error: unknown): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return text.replaceAll(/sig=[^&\s"']+/gi, 'sig=(hidden)').slice(0, 500);
}
