import { type ByteRange, ByteRangeSet } from '#shares';

import type { Lease } from '../lease.js';
import type { CopyState } from './copy-state.js';
import { type Ticks, ticksAt } from './ticks.js';

/** Azure Files keeps written ranges in units of this many bytes. */
export const GRANULARITY_BYTES = 512;

/** Lines behind a snapshot after which a new snapshot is written: keeps loading a record below a few milliseconds. */
export const CHANGES_MAX = 4096;

/** The headers that Azure keeps with a file and returns with its content. */
export interface ContentHeaders {
  readonly type: string;
  readonly encoding?: string | undefined;
  readonly language?: string | undefined;
  readonly disposition?: string | undefined;
  readonly cacheControl?: string | undefined;
  readonly md5?: string | undefined;
}

/** The headers of a file for which none were given. */
export const DEFAULT_CONTENT: ContentHeaders = { type: 'application/octet-stream' };

/** What is kept of a file or folder beside the host's own. The size is the host's. */
export interface RecordHeader {
  /** The last path component: the record's own name on disk is a hash. */
  readonly name: string;
  /** A decimal 64-bit number, for good. */
  readonly fileId: string;
  readonly createdAt: Ticks;
  readonly content: ContentHeaders;
  readonly metadata: Readonly<Record<string, string>>;
  readonly attributes?: string | undefined;
  readonly permissionKey?: string | undefined;
  /** The change time that a client set; without it, it is that of the last change. */
  readonly statusChangedAt?: Ticks | undefined;
  /** The newest snapshot of the share when this was made; empty or absent where there was none. */
  readonly madeAfter?: string | undefined;
  /** Set until a new file has this size, and nothing of one that it takes the place of. */
  readonly unfinishedBytes?: number | undefined;
  readonly lease?: Lease | undefined;
  /** The last copy that this file was the target of. */
  readonly copy?: CopyState | undefined;
}

/** A change of a file's ranges: written, or cleared. */
export interface RangeChange {
  readonly kind: 'w' | 'c';
  readonly range: ByteRange;
  readonly changedAt: Ticks;
  /** True where the file's last write time stays as it is. */
  readonly keepsWriteTime?: boolean;
  /** The newest snapshot of the share at that time; empty while there is none. */
  readonly epoch?: string;
}

/**
 * The record of one file: a snapshot, and the range changes since. On disk: one line of JSON, then one line
 * `w|c OFFSET LENGTH TICKS [EPOCH]` a change (in capitals where the last write time stays). Written ranges are whole multiples of
 * 512 bytes; outside them the host file is zero, inside them it may be anything. That is why a written range is recorded before
 * its bytes, and a cleared one after.
 */
export class FileRecord {
  header: RecordHeader;
  /** Of anything: the ETag. */
  changedAt: Ticks;
  /** Of the content: the last write time. */
  writtenAt: Ticks;
  readonly written: ByteRangeSet;
  /** Units written or cleared since a snapshot of the share and before the next one, by the name of that snapshot. */
  readonly touched = new Map<string, ByteRangeSet>();
  /** Lines behind the snapshot; a new snapshot is due when there are many. */
  changeCount = 0;

  constructor(header: RecordHeader, changedAt: Ticks, written: Iterable<ByteRange> = []) {
    this.header = header;
    this.changedAt = changedAt;
    this.writtenAt = changedAt;
    this.written = new ByteRangeSet(written);
  }

  /** Applies a change to the ranges and the time of the last change. */
  apply(change: RangeChange): void {
    const { kind, range } = change;
    if (kind === 'w') this.written.add(widened(range));
    else this.written.remove(narrowed(range));
    // Clearing a part of a unit zeroes it there: the unit stays written, and it changed.
    if (change.epoch !== undefined && change.epoch !== '') this.#touch(change.epoch, widened(range));
    if (change.changedAt <= this.changedAt) return;
    this.changedAt = change.changedAt;
    if (change.keepsWriteTime !== true) this.writtenAt = change.changedAt;
  }

  /** Forgets every written unit behind the end of a file of `sizeBytes`. */
  clip(sizeBytes: number, epoch = ''): void {
    const end = Math.ceil(sizeBytes / GRANULARITY_BYTES) * GRANULARITY_BYTES;
    const rest = { offset: end, length: Number.MAX_SAFE_INTEGER - end };
    if (epoch !== '') for (const range of this.written.within(rest)) this.#touch(epoch, range);
    this.written.remove(rest);
  }

  /** A copy that shares nothing with this one, under another header. */
  copyWith(header: RecordHeader, changedAt: Ticks): FileRecord {
    const copy = new FileRecord(header, changedAt, this.written.toArray());
    copy.writtenAt = this.writtenAt;
    for (const [epoch, ranges] of this.touched) copy.touched.set(epoch, new ByteRangeSet(ranges.toArray()));
    return copy;
  }

  #touch(epoch: string, range: ByteRange): void {
    if (range.length <= 0) return;
    const ranges = this.touched.get(epoch) ?? new ByteRangeSet();
    ranges.add(range);
    this.touched.set(epoch, ranges);
  }

  /** The snapshot line. */
  toText(): string {
    const { header, changedAt, writtenAt, written } = this;
    const touched = Object.fromEntries([...this.touched].map(([epoch, ranges]) => [epoch, pairs(ranges)]));
    const times = { createdAt: header.createdAt.toString(), changedAt: changedAt.toString(), writtenAt: writtenAt.toString() };
    const statusChangedAt = header.statusChangedAt?.toString();
    return `${JSON.stringify({ version: 1, ...header, statusChangedAt, ...times, ranges: pairs(written), ...(this.touched.size > 0 ? { touched } : {}) })}\n`;
  }
}

/** The line of one change. */
export function changeLine(change: RangeChange): string {
  const { kind, range, changedAt, keepsWriteTime, epoch } = change;
  const letter = keepsWriteTime === true ? kind.toUpperCase() : kind;
  return `${[letter, range.offset, range.length, changedAt, ...(epoch === undefined || epoch === '' ? [] : [epoch])].join(' ')}\n`;
}

/**
 * Reads a record. A last line that a crash cut off is left out: its change was never acknowledged.
 * @returns undefined when the snapshot itself is unreadable.
 */
export function parseRecord(text: string): FileRecord | undefined {
  const lines = text.split('\n');
  lines.pop();
  const [snapshot, ...changes] = lines;
  const record = parseSnapshot(snapshot ?? '');
  if (record === undefined) return undefined;
  for (const line of changes) {
    const match = /^([wcWC]) (\d+) (\d+) (\d+)(?: (\S+))?$/.exec(line);
    if (match === null) continue;
    const range = { offset: Number(match[2]), length: Number(match[3]) };
    const kind = match[1]?.toLowerCase() === 'w' ? 'w' : 'c';
    record.apply({ kind, range, changedAt: BigInt(match[4]!), keepsWriteTime: match[1] !== kind, epoch: match[5] ?? '' });
    record.changeCount += 1;
  }
  return record;
}

/** The record of a host file that none was written for: made by a program other than this one, all of it counts as written. */
export function recordOfForeignFile(name: string, host: { readonly ino: number; readonly mtimeMs: number; readonly size: number }): FileRecord {
  const changedAt = ticksAt(host.mtimeMs);
  const header = { name, fileId: String(host.ino), createdAt: changedAt, content: DEFAULT_CONTENT, metadata: {} };
  const record = new FileRecord(header, changedAt, [widened({ offset: 0, length: host.size })]);
  record.changeCount = CHANGES_MAX;
  return record;
}

function parseSnapshot(line: string): FileRecord | undefined {
  try {
    const { version, createdAt, changedAt, writtenAt, statusChangedAt, ranges, touched, ...header } = JSON.parse(line) as SnapshotFields;
    if (version !== 1) return undefined;
    const times = { createdAt: BigInt(createdAt), statusChangedAt: statusChangedAt === undefined ? undefined : BigInt(statusChangedAt) };
    const record = new FileRecord({ ...header, ...times }, BigInt(changedAt), ranges.map(toRange));
    if (writtenAt !== undefined) record.writtenAt = BigInt(writtenAt);
    for (const [epoch, list] of Object.entries(touched ?? {})) record.touched.set(epoch, new ByteRangeSet(list.map(toRange)));
    return record;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return undefined;
    throw error;
  }
}

type Pair = readonly [number, number];

interface SnapshotFields extends Omit<RecordHeader, 'createdAt' | 'statusChangedAt'> {
  readonly version: number;
  readonly createdAt: string;
  readonly changedAt: string;
  readonly writtenAt?: string;
  readonly statusChangedAt?: string;
  readonly ranges: readonly Pair[];
  readonly touched?: Readonly<Record<string, readonly Pair[]>>;
}

function toRange([offset, length]: Pair): ByteRange {
  return { offset, length };
}

function pairs(ranges: ByteRangeSet): Pair[] {
  return ranges.toArray().map(({ offset, length }) => [offset, length]);
}

/** The whole units that `range` touches. */
export function widened(range: ByteRange): ByteRange {
  const offset = Math.floor(range.offset / GRANULARITY_BYTES) * GRANULARITY_BYTES;
  const end = Math.ceil((range.offset + range.length) / GRANULARITY_BYTES) * GRANULARITY_BYTES;
  return { offset, length: end - offset };
}

/** The whole units within `range`. */
function narrowed(range: ByteRange): ByteRange {
  const offset = Math.ceil(range.offset / GRANULARITY_BYTES) * GRANULARITY_BYTES;
  const end = Math.floor((range.offset + range.length) / GRANULARITY_BYTES) * GRANULARITY_BYTES;
  return { offset, length: Math.max(0, end - offset) };
}
