import { crc32 } from 'node:zlib';

import { KiB, MiB } from '#quantities';

import { type SnapshotMemory, SnapshotText } from './snapshot-text.js';
import { readRow, writeRow } from './snapshot-rows.js';
import type { ReplicaMap } from './replica-map.js';

/** The version of the form; a snapshot of another one is not read. */
export const SNAPSHOT_VERSION = 2;
/** Rows are written until a frame has this many bytes: the writer's turn between two answers. */
const FRAME_BYTES = 32 * KiB;
/** A frame is never longer: one row more than {@link FRAME_BYTES}, and the longest row is an image of a thousand layers. */
const FRAME_BYTES_MAX = MiB;

/** What a snapshot says of itself. */
export interface SnapshotHeader {
  /** Which deployment's map it is: whoever reads it compares. */
  readonly origin: string;
  /** As in the map. */
  readonly asOf: Date;
  /** Where in the feed to read on: what changed after it may be in the snapshot or not. JSON. */
  readonly position: unknown;
}

/** Why a snapshot is of no use. */
export type SnapshotFault = 'SNAPSHOT_TORN' | 'SNAPSHOT_VERSION' | 'SNAPSHOT_FOREIGN' | 'SNAPSHOT_STALE';

/** A snapshot that cannot be used, and why. */
export class SnapshotError extends Error {
  override readonly name = 'SnapshotError';
  readonly code: SnapshotFault;

  constructor(code: SnapshotFault, message: string) {
    super(message);
    this.code = code;
  }
}

/**
 * A map as bytes, frame by frame, each a turn of bounded length. The map may change between two frames: each row is then told as it was at some instant since the header, and
 * following the feed from the header's position makes it right.
 *
 * | bytes | |
 * |---|---|
 * | 8 | `TLMAP`, 0, and the version as two bytes |
 * | frames | 4: length, 4: CRC32 of the content, content. The first is the header as JSON; the others are rows |
 * | 8 | the last frame: length 0, and the CRC32 of all contents in a row |
 *
 * Numbers are little-endian.
 */
export function* writeSnapshot(map: ReplicaMap, { origin, asOf, position }: SnapshotHeader): Generator<Buffer, void> {
  const magic = Buffer.from('TLMAP\0\0\0');
  magic.writeUInt16LE(SNAPSHOT_VERSION, 6);
  yield magic;
  let all = 0;
  const framed = (content: Buffer): Buffer => {
    const head = Buffer.alloc(8);
    head.writeUInt32LE(content.length, 0);
    head.writeUInt32LE(crc32(content), 4);
    all = crc32(content, all);
    return Buffer.concat([head, content]);
  };
  yield framed(Buffer.from(JSON.stringify({ origin, asOf: asOf.toISOString(), position })));
  const text = new SnapshotText();
  for (const row of map.rows()) {
    writeRow(text, row);
    if (text.length >= FRAME_BYTES) yield framed(text.take());
  }
  if (text.length > 0) yield framed(text.take());
  const end = Buffer.alloc(8);
  end.writeUInt32LE(all, 4);
  yield end;
}

/** Reads exactly so many bytes; fewer only at the end. */
export type SnapshotBytes = (length: number) => Promise<Buffer>;

/** What a reader expects of a snapshot. */
export interface SnapshotWanted {
  readonly origin: string;
  readonly now: Date;
  /** A map that is older answers nothing any more. */
  readonly ageMaxMs: number;
}

/**
 * Reads a snapshot into a map that is empty. What it gives was whole: every byte was as it was written.
 * @throws {SnapshotError} and the map is then of no use.
 */
export async function readSnapshot(bytes: SnapshotBytes, map: ReplicaMap, wanted: SnapshotWanted): Promise<SnapshotHeader> {
  const magic = await bytes(8);
  if (magic.length < 8 || magic.toString('latin1', 0, 6) !== 'TLMAP\0') throw new SnapshotError('SNAPSHOT_FOREIGN', 'the file is no snapshot of a map');
  const version = magic.readUInt16LE(6);
  if (version !== SNAPSHOT_VERSION) throw new SnapshotError('SNAPSHOT_VERSION', `the snapshot has the form ${version}, and ${SNAPSHOT_VERSION} is read here`);
  let all = 0;
  let header: SnapshotHeader | undefined;
  const memory: SnapshotMemory = { names: [], numbers: new Map() };
  for (;;) {
    const content = await frame(bytes, all);
    if (content === undefined) break;
    all = crc32(content, all);
    if (header === undefined) header = headerOf(content, wanted);
    else for (const text = new SnapshotText(content, memory); !text.ended; ) map.put(readRow(text));
  }
  if (header === undefined) throw torn('it ends before its header');
  map.asOf = header.asOf;
  return header;
}

/** The content of the next frame; undefined for the last one. */
async function frame(bytes: SnapshotBytes, all: number): Promise<Buffer | undefined> {
  const head = await bytes(8);
  if (head.length < 8) throw torn('it ends without its last frame');
  const [length, check] = [head.readUInt32LE(0), head.readUInt32LE(4)];
  if (length === 0) {
    if (check !== all) throw torn('a frame is missing');
    return undefined;
  }
  if (length > FRAME_BYTES_MAX) throw torn(`a frame of ${length} bytes`);
  const content = await bytes(length);
  if (content.length < length || crc32(content) !== check) throw torn('a frame is not as it was written');
  return content;
}

function headerOf(content: Buffer, { origin, now, ageMaxMs }: SnapshotWanted): SnapshotHeader {
  const read = JSON.parse(content.toString()) as { readonly origin: string; readonly asOf: string; readonly position: unknown };
  if (read.origin !== origin) throw new SnapshotError('SNAPSHOT_FOREIGN', 'the snapshot is of another deployment, or of another database');
  const asOf = new Date(read.asOf);
  const ageMs = now.getTime() - asOf.getTime();
  // One from the future was written by a clock that went wrong: its age is not known.
  if (!(ageMs >= 0 && ageMs <= ageMaxMs)) throw new SnapshotError('SNAPSHOT_STALE', `the snapshot is as of ${read.asOf}, and may be at most ${ageMaxMs / 1000} s old`);
  return { origin, asOf, position: read.position };
}

function torn(how: string): SnapshotError {
  return new SnapshotError('SNAPSHOT_TORN', `the snapshot is damaged: ${how}`);
}
