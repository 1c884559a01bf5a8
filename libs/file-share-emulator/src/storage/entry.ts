import { AzureFilesError } from '../azure-error.js';
import { checkLease } from '../lease.js';
import type { ContentHeaders, FileRecord, RecordHeader } from './file-record.js';
import type { OpenHandles } from './open-handles.js';
import { nextTicks, type Ticks } from './ticks.js';

/** A file or folder as it was found; `record` is the live one and may have moved on since. */
export interface Entry {
  readonly kind: 'file' | 'folder';
  /** Where it is, as the host spells it. */
  readonly path: string;
  readonly name: string;
  /** 0 for folders. */
  readonly sizeBytes: number;
  readonly record: FileRecord;
}

/** What a client gives of an entry as SMB sees it; what is absent stays, or gets its default where the entry is new. */
export interface SmbProperties {
  readonly attributes?: string | undefined;
  readonly permissionKey?: string | undefined;
  readonly createdAt?: Ticks | undefined;
  readonly writtenAt?: Ticks | undefined;
  readonly statusChangedAt?: Ticks | undefined;
}

/** What a new folder is made with. */
export interface NewFolder {
  readonly metadata: Readonly<Record<string, string>>;
  readonly smb?: SmbProperties;
}

/** What a new file is made with. */
export interface NewFile extends NewFolder {
  readonly sizeBytes: number;
  readonly content: ContentHeaders;
}

/** What is to change of an entry. */
export interface EntryChanges {
  readonly sizeBytes?: number;
  readonly content?: ContentHeaders;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly smb?: SmbProperties;
  readonly copy?: RecordHeader['copy'];
}

/** On whose behalf something is changed. */
export interface Writer {
  /** The lease that the client says it holds. */
  readonly leaseId?: string | undefined;
  /** True for the copy that an entry waits for: everybody else has to wait for it too. */
  readonly isItsCopy?: boolean;
  /** True where a read-only attribute is to be passed over. */
  readonly ignoresReadOnly?: boolean;
}

/** What a change does to an entry, as leases, attributes and open handles see it. */
export type Use = 'write' | 'delete' | 'describe';

/** @throws {AzureFilesError} when the entry may not be used so by this writer now. */
export function checkUse({ kind, path, record }: Entry, use: Use, { writer, handles }: { readonly writer: Writer; readonly handles: OpenHandles }): void {
  if (record.header.copy?.status === 'pending' && writer.isItsCopy !== true) throw new AzureFilesError('PendingCopyOperation');
  checkLease(record.header.lease, { id: writer.leaseId, writes: true, now: Date.now() });
  if (use === 'describe') return;
  if (kind === 'file' && writer.ignoresReadOnly !== true && isReadOnly(record.header.attributes)) throw new AzureFilesError('ReadOnlyAttribute');
  handles.checkUse(path, use);
}

/** Applies changes of a record's header; the caller saves it. */
export function applyChanges(record: FileRecord, { content, metadata, smb = {}, copy }: EntryChanges): void {
  const { header } = record;
  record.changedAt = nextTicks();
  if (smb.writtenAt !== undefined) record.writtenAt = smb.writtenAt;
  record.header = {
    ...header,
    content: content ?? header.content,
    metadata: metadata ?? header.metadata,
    attributes: smb.attributes ?? header.attributes,
    permissionKey: smb.permissionKey ?? header.permissionKey,
    createdAt: smb.createdAt ?? header.createdAt,
    statusChangedAt: smb.statusChangedAt,
    copy: copy ?? header.copy,
  };
}

function isReadOnly(attributes: string | undefined): boolean {
  return attributes?.split(/\s*\|\s*/).includes('ReadOnly') ?? false;
}
