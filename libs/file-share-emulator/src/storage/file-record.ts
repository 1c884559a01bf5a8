import { type ByteRange, ByteRangeSet } from '#shares';

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
}

/** A change of a file's ranges: written, or cleared. */
export interface RangeChange {
  readonly kind: 'w' | 'c';
  readonly range: ByteRange;
  readonly changedAt: Ticks;
}

/**
 * The record of one file: a snapshot, and the range changes since. On disk: one line of JSON, then one line
 * `w|c OFFSET LENGTH TICKS` a change. Written ranges are whole multiples of 512 bytes; outside them the host file is zero,
 * inside them it may be anything. That is why a written range is recorded before its bytes, and a cleared one after.
 */
export class FileRecord {
  header: RecordHeader;
  changedAt: Ticks;
  readonly written: ByteRangeSet;
  /** Lines behind the snapshot; a new snapshot is due when there are many. */
  changeCount = 0;

  constructor(header: RecordHeader, changedAt: Ticks, written: Iterable<ByteRange> = []) {
    this.header = header;
    this.changedAt = changedAt;
    this.written = new ByteRangeSet(written);
  }

  /** Applies a change to the ranges and the time of the last change. */
  apply(change: RangeChange): void {
    const { kind, range } = change;
    if (kind === 'w') this.written.add(widened(range));
    else this.written.remove(narrowed(range));
    if (change.changedAt > this.changedAt) this.changedAt = change.changedAt;
  }

  /** Forgets every written unit behind the end of a file of `sizeBytes`. */
  clip(sizeBytes: number): void {
    const end = Math.ceil(sizeBytes / GRANULARITY_BYTES) * GRANULARITY_BYTES;
    this.written.remove({ offset: end, length: Number.MAX_SAFE_INTEGER - end });
  }

  /** The snapshot line. */
  toText(): string {
    const { header, changedAt } = this;
    const ranges = this.written.toArray().map(({ offset, length }) => [offset, length]);
    return `${JSON.stringify({ version: 1, ...header, createdAt: header.createdAt.toString(), changedAt: changedAt.toString(), ranges })}\n`;
  }
}

/** The line of one change. */
export function changeLine(change: RangeChange): string {
  return `${change.kind} ${change.range.offset} ${change.range.length} ${change.changedAt}\n`;
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
    const match = /^([wc]) (\d+) (\d+) (\d+)$/.exec(line);
    if (match === null) continue;
    const range = { offset: Number(match[2]), length: Number(match[3]) };
    record.apply({ kind: match[1] === 'w' ? 'w' : 'c', range, changedAt: BigInt(match[4]!) });
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
    const { version, createdAt, changedAt, ranges, name, fileId, content, metadata } = JSON.parse(line) as SnapshotFields;
    if (version !== 1) return undefined;
    const header = { name, fileId, createdAt: BigInt(createdAt), content, metadata };
    return new FileRecord(header, BigInt(changedAt), ranges.map(([offset, length]) => ({ offset, length })));
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return undefined;
    throw error;
  }
}

interface SnapshotFields extends Omit<RecordHeader, 'createdAt'> {
  readonly version: number;
  readonly createdAt: string;
  readonly changedAt: string;
  readonly ranges: readonly (readonly [number, number])[];
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
