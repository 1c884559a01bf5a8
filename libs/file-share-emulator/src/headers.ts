import { AzureFilesError, invalidHeader } from './azure-error.js';
import type { AnswerHeaders, Exchange } from './exchange.js';
import { type ContentHeaders, DEFAULT_CONTENT } from './storage/file-record.js';
import { defaultAttributes, defaultPermissionKey } from './smb-properties.js';
import type { CopyState } from './storage/copy-state.js';
import type { Entry } from './storage/entry.js';
import { INFINITE, isHeld, type Lease, leaseState } from './lease.js';
import { etagOf, httpDateOf, isoOf, type Ticks } from './storage/ticks.js';

/** Names and values of all metadata together (Azure: 8 KiB). */
const METADATA_BYTES_MAX = 8192;
const METADATA_PREFIX = 'x-ms-meta-';
const METADATA_NAME = /^[a-z_][a-z0-9_]*$/i;
const CONTENT_HEADER_CHARACTERS_MAX = 1024;
/** The `x-ms-meta-…` headers of a request, names in lower case. */
export function metadataOf(exchange: Exchange): Readonly<Record<string, string>> {
  const metadata: Record<string, string> = {};
  let bytes = 0;
  for (const [name, value] of exchange.headers) {
    if (!name.startsWith(METADATA_PREFIX)) continue;
    const key = name.slice(METADATA_PREFIX.length);
    if (!METADATA_NAME.test(key)) throw new AzureFilesError('InvalidMetadata');
    bytes += key.length + Buffer.byteLength(value);
    if (bytes > METADATA_BYTES_MAX) throw new AzureFilesError('MetadataTooLarge');
    metadata[key] = value.trim();
  }
  return metadata;
}

/** Metadata as headers of an answer. */
export function metadataHeaders(metadata: Readonly<Record<string, string>>): AnswerHeaders {
  return Object.fromEntries(Object.entries(metadata).map(([name, value]) => [METADATA_PREFIX + name, value]));
}

/** The content headers that a request sets; those it leaves out are cleared. */
export function contentOf(exchange: Exchange): ContentHeaders {
  const read = (name: string): string | undefined => {
    const value = exchange.header(name);
    if (value !== undefined && value.length > CONTENT_HEADER_CHARACTERS_MAX) throw invalidHeader(name, value);
    return value === '' ? undefined : value;
  };
  return {
    type: read('x-ms-content-type') ?? DEFAULT_CONTENT.type,
    encoding: read('x-ms-content-encoding'),
    language: read('x-ms-content-language'),
    disposition: read('x-ms-content-disposition'),
    cacheControl: read('x-ms-cache-control'),
    md5: read('x-ms-content-md5'),
  };
}

/** ETag and Last-Modified of something last changed at `changedAt`. */
export function changeHeaders(changedAt: Ticks): AnswerHeaders {
  return { etag: etagOf(changedAt), 'last-modified': httpDateOf(changedAt) };
}

/** What the service tells of a file or folder as a file system sees it. */
export function fileSystemHeaders({ kind, record }: Entry, parentId: string): AnswerHeaders {
  return {
    ...changeHeaders(record.changedAt),
    'x-ms-file-id': record.header.fileId,
    'x-ms-file-parent-id': parentId,
    'x-ms-file-attributes': record.header.attributes ?? defaultAttributes(kind),
    'x-ms-file-creation-time': isoOf(record.header.createdAt),
    'x-ms-file-last-write-time': isoOf(record.writtenAt),
    'x-ms-file-change-time': isoOf(record.header.statusChangedAt ?? record.changedAt),
    'x-ms-file-permission-key': record.header.permissionKey ?? defaultPermissionKey(kind),
  };
}

/** The state of a lease, as every answer about what it is on tells it. */
export function leaseHeaders(lease: Lease | undefined): AnswerHeaders {
  const now = Date.now();
  const state = leaseState(lease, now);
  return {
    'x-ms-lease-status': isHeld(lease, now) ? 'locked' : 'unlocked',
    'x-ms-lease-state': state,
    'x-ms-lease-duration': state === 'leased' ? (lease?.seconds === INFINITE ? 'infinite' : 'fixed') : undefined,
  };
}

/** The last copy onto a file, as answers about the file tell it. */
export function copyHeaders(copy: CopyState | undefined): AnswerHeaders {
  if (copy === undefined) return {};
  return {
    'x-ms-copy-id': copy.id,
    'x-ms-copy-source': copy.source,
    'x-ms-copy-status': copy.status,
    'x-ms-copy-progress': `${copy.doneBytes}/${copy.totalBytes}`,
    'x-ms-copy-completion-time': copy.completedAt,
    'x-ms-copy-status-description': copy.description,
  };
}

/** What was kept with a file, as headers of an answer with its content. A ranged answer gives the whole file's MD5 another name. */
export function contentHeaders(content: ContentHeaders, options: { readonly ranged: boolean }): AnswerHeaders {
  return {
    'content-type': content.type,
    'content-encoding': content.encoding,
    'content-language': content.language,
    'content-disposition': content.disposition,
    'cache-control': content.cacheControl,
    [options.ranged ? 'x-ms-content-md5' : 'content-md5']: content.md5,
  };
}

/** A whole number in a header. */
export function numberHeader(exchange: Exchange, name: string, max: number): number {
  const text = exchange.requiredHeader(name);
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value) || value > max) throw invalidHeader(name, text);
  return value;
}
