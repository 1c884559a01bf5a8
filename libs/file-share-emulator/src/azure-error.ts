import { CodedError } from '#errors';

import { escapeXml } from './xml.js';

/** HTTP status and first sentence of every error this service gives. Total: a code without an entry does not compile. */
const ERRORS = {
  AuthenticationFailed: [403, 'Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly including the signature.'],
  AuthorizationFailure: [403, 'This request is not authorized to perform this operation.'],
  AuthorizationPermissionMismatch: [403, 'This request is not authorized to perform this operation using this permission.'],
  AuthorizationProtocolMismatch: [403, 'This request is not authorized to perform this operation using this protocol.'],
  AuthorizationResourceTypeMismatch: [403, 'This request is not authorized to perform this operation using this resource type.'],
  AuthorizationServiceMismatch: [403, 'This request is not authorized to perform this operation using this service.'],
  AuthorizationSourceIPMismatch: [403, 'This request is not authorized to perform this operation using this source IP.'],
  NoAuthenticationInformation: [401, 'Server failed to authenticate the request. Please refer to the information in the www-authenticate header.'],
  InvalidAuthenticationInfo: [400, 'Authentication information is not given in the correct format. Check the value of Authorization header.'],
  ShareNotFound: [404, 'The specified share does not exist.'],
  ShareAlreadyExists: [409, 'The specified share already exists.'],
  ShareBeingDeleted: [409, 'The specified share is being deleted. Try operation later.'],
  ShareSizeLimitReached: [409, 'The specified share has reached its size limit.'],
  ParentNotFound: [404, 'The specified parent path does not exist.'],
  ResourceNotFound: [404, 'The specified resource does not exist.'],
  ResourceAlreadyExists: [409, 'The specified resource already exists.'],
  ResourceTypeMismatch: [409, 'The specified resource type does not match the type of the existing resource.'],
  DirectoryNotEmpty: [409, 'The specified directory is not empty.'],
  InvalidRange: [416, 'The range specified is invalid for the current size of the resource.'],
  InvalidHeaderValue: [400, 'The value for one of the HTTP headers is not in the correct format.'],
  MissingRequiredHeader: [400, "An HTTP header that's mandatory for this request is not specified."],
  InvalidMetadata: [400, 'The metadata specified is invalid. It has characters that are not permitted.'],
  MetadataTooLarge: [400, 'The size of the specified metadata exceeds the maximum size permitted.'],
  UnsupportedHeader: [400, 'One of the HTTP headers specified in the request is not supported.'],
  ConditionHeadersNotSupported: [400, 'Condition headers are not supported.'],
  InvalidQueryParameterValue: [400, 'Value for one of the query parameters specified in the request URI is invalid.'],
  UnsupportedQueryParameter: [400, 'One of the query parameters specified in the request URI is not supported.'],
  OutOfRangeQueryParameterValue: [400, 'One of the query parameters specified in the request URI is outside the permissible range.'],
  InvalidUri: [400, 'The requested URI does not represent any resource on the server.'],
  InvalidResourceName: [400, 'The specified resource name contains invalid characters.'],
  InvalidFileOrDirectoryPathName: [400, 'The specified path name is invalid.'],
  OutOfRangeInput: [400, 'One of the request inputs is out of range.'],
  UnsupportedHttpVerb: [405, 'The resource doesn\'t support specified Http Verb.'],
  InvalidMd5: [400, 'The MD5 value specified in the request is invalid. MD5 value must be 128 bits and base64 encoded.'],
  Md5Mismatch: [400, 'The MD5 value specified in the request did not match with the MD5 value calculated by the server.'],
  Crc64Mismatch: [400, 'The CRC64 value specified in the request did not match with the CRC64 value calculated by the server.'],
  MissingContentLengthHeader: [411, 'Content-Length HTTP header is missing.'],
  RequestBodyTooLarge: [413, 'The request body is too large and exceeds the maximum permissible limit.'],
  CannotVerifyCopySource: [400, 'Could not verify the copy source within the specified time.'],
  InvalidXmlDocument: [400, 'XML specified is not syntactically valid.'],
  InvalidXmlNodeValue: [400, 'The value for one of the XML nodes is not in the correct format.'],
  InvalidInput: [400, 'One of the request inputs is not valid.'],
  FeatureVersionMismatch: [400, 'The operation needs a higher version than the one specified.'],
  CannotDeleteFileOrDirectory: [409, 'An attempt has been made to remove a file or directory that cannot be deleted.'],
  ReadOnlyAttribute: [409, 'The specified resource is read-only and cannot be modified at this time.'],
  SharingViolation: [409, 'The specified resource may be in use by an SMB client.'],
  DeletePending: [409, 'The specified resource is marked for deletion by an SMB client.'],
  HandleLimitExceeded: [400, 'The total number of handles opened for the file exceeds the limit.'],
  FileInvalidPermission: [400, 'The specified file permission is invalid.'],
  FileInvalidPermissionKey: [400, 'The specified file permission key does not exist in the share.'],
  FileGenerationMismatch: [409, 'The file has been recreated since the previous snapshot was taken.'],
  ShareSnapshotNotFound: [404, 'The specified share snapshot does not exist.'],
  ShareSnapshotCountExceeded: [409, 'The total number of snapshots for the share is over the limit.'],
  ShareSnapshotOperationNotSupported: [400, 'The operation is not supported on a share snapshot.'],
  ShareHasSnapshots: [409, 'The share has snapshots and the operation requires no snapshots.'],
  DeleteShareWhenSnapshotLeased: [409, 'Unable to delete share because one or more share snapshots have active leases. Release the share snapshot leases or delete the share with the include-leased parameter for x-ms-delete-snapshots.'],
  LeaseIdMissing: [412, 'There is currently a lease on the resource and no lease ID was specified in the request.'],
  LeaseLost: [412, 'A lease ID was specified, but the lease for the resource has expired.'],
  LeaseNotPresentWithFileOperation: [412, 'There is currently no lease on the file.'],
  LeaseIdMismatchWithFileOperation: [412, 'The lease ID specified did not match the lease ID for the file.'],
  LeaseAlreadyPresent: [409, 'There is already a lease present.'],
  LeaseIsBreakingAndCannotBeAcquired: [409, 'The lease ID matched, but the lease is currently in breaking state and cannot be acquired until it is broken.'],
  LeaseIsBreakingAndCannotBeChanged: [409, 'The lease ID matched, but the lease is currently in breaking state and cannot be changed.'],
  LeaseIsBrokenAndCannotBeRenewed: [409, 'The lease ID matched, but the lease has been broken explicitly and cannot be renewed.'],
  LeaseNotPresentWithLeaseOperation: [409, 'There is currently no lease on the resource.'],
  LeaseIdMismatchWithLeaseOperation: [409, 'The lease ID specified did not match the lease ID for the resource.'],
  PendingCopyOperation: [409, 'There is currently a pending copy operation.'],
  NoPendingCopyOperation: [409, 'There is currently no pending copy operation.'],
  CopyIdMismatch: [409, 'The specified copy ID did not match the copy ID for the pending copy operation.'],
  SourceConditionNotMet: [412, 'The source condition specified using HTTP conditional header(s) is not met.'],
  TotalSharesCountExceedsAccountLimit: [400, 'The total number of shares exceeds the limit for the account.'],
  TotalSharesProvisionedCapacityExceedsAccountLimit: [400, 'The total provisioned capacity of the shares exceeds the limit for the account.'],
  TotalSharesProvisionedIopsExceedsAccountLimit: [400, 'The total provisioned IOPS of the shares exceeds the limit for the account.'],
  TotalSharesProvisionedBandwidthExceedsAccountLimit: [400, 'The total provisioned bandwidth of the shares exceeds the limit for the account.'],
  ContainerQuotaDowngradeNotAllowed: [409, 'The quota of the share may not be lowered this soon after it was raised.'],
  FileShareProvisionedIopsDowngradeNotAllowed: [409, 'The provisioned IOPS may not be lowered this soon after they were raised.'],
  FileShareProvisionedBandwidthDowngradeNotAllowed: [409, 'The provisioned bandwidth may not be lowered this soon after it was raised.'],
  FileShareProvisionedIopsInvalid: [400, 'The provisioned IOPS specified is outside the permissible range.'],
  FileShareProvisionedBandwidthInvalid: [400, 'The provisioned bandwidth specified is outside the permissible range.'],
  FileShareProvisionedStorageInvalid: [400, 'The provisioned storage specified is outside the permissible range.'],
  InternalError: [500, 'Server encountered an internal error. Please try again after some time.'],
  OperationTimedOut: [500, 'Operation could not be completed within the permitted time.'],
  ServerBusy: [503, 'The server is busy.'],
} as const satisfies Record<string, readonly [number, string]>;

/** Codes of Azure Files, as its clients expect them. */
export type AzureErrorCode = keyof typeof ERRORS;

/** What an error answer may carry besides its code. */
export interface AzureErrorParts {
  /** Instead of the code's usual status: a failed copy source passes its own on. */
  readonly status?: number;
  /** Instead of the code's usual sentence. */
  readonly message?: string;
  /** Elements behind `Message`, in order; names are safe, values are escaped. */
  readonly elements?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/** An operation that is refused, in the form in which Azure Files refuses it. */
export class AzureFilesError extends CodedError<AzureErrorCode> {
  readonly status: number;
  readonly elements: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: AzureErrorCode, parts: AzureErrorParts = {}) {
    const [status, message] = ERRORS[code];
    super(code, parts.message ?? message, { cause: parts.cause, transient: status >= 500 });
    this.status = parts.status ?? status;
    this.elements = parts.elements ?? {};
    this.headers = parts.headers ?? {};
  }

  /** The XML body, byte order mark included, as the real service writes it. */
  toXml(requestId: string, now: Date): string {
    const message = `${this.message}\nRequestId:${requestId}\nTime:${now.toISOString().replace('Z', '0000Z')}`;
    const elements = Object.entries({ Code: this.code, Message: message, ...this.elements });
    const inner = elements.map(([name, value]) => `<${name}>${escapeXml(value)}</${name}>`).join('');
    return `\uFEFF<?xml version="1.0" encoding="utf-8"?><Error>${inner}</Error>`;
  }
}

/** A header whose value cannot be used. */
export function invalidHeader(name: string, value: string | undefined): AzureFilesError {
  return new AzureFilesError('InvalidHeaderValue', { elements: { HeaderName: name, HeaderValue: (value ?? '').slice(0, 256) } });
}

/** A query parameter whose value cannot be used. */
export function invalidQuery(name: string, value: string | undefined): AzureFilesError {
  return new AzureFilesError('InvalidQueryParameterValue', { elements: { QueryParameterName: name, QueryParameterValue: (value ?? '').slice(0, 256) } });
}
