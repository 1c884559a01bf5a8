import { endianness } from 'node:os';
import { crc32 } from 'node:zlib';

import { MiB } from '#quantities';

import { MapTables } from './map-tables.js';
import type { MappedImage } from './mapped-image.js';
import { ENTRIES_FRAME, EntryReader, repositoryFrames, shareFrames } from './snapshot-entries.js';
import { layerFrames, LAYERS_FRAME, readLayerFrame } from './snapshot-layers.js';
import { ReplicaMap } from './replica-map.js';

/** The version of the form; a snapshot of another one is not read. */
export const SNAPSHOT_VERSION = 3;
/** A frame is never longer: most have some 100 kB, and the longest entry is an image of a thousand layers. */
const FRAME_BYTES_MAX = MiB;
const FRAME_HEAD_BYTES = 8;

/** What a snapshot says of itself. */
export interface SnapshotHeader {
  /** Which deployment's map it is: whoever reads it compares. */
  readonly origin: string;
  /** As in the map. */
  readonly asOf: Date;
  /** Where in the feed to read on: what changed after it may be in the snapshot or not. JSON. */
  readonly position: unknown;
  /** A place like `position`, or beyond it: up to there nothing else changed. JSON. Undefined in one of an older version. */
  readonly knownTo?: unknown;
  /** The process that speaks for this map among those that answer. Undefined in one of an older version. */
  readonly speaker?: string | undefined;
  /** Names the file that it was written to, so that a copy of it is of no use: nobody speaks for that. Undefined in one of an older version. */
  readonly file?: string | undefined;
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
 * A map as bytes, frame by frame, each a turn of well below a millisecond. The map may change between two frames: what is told of each repository, tag, manifest and layer was so at some instant since the
 * header, and following the feed from the header's position makes it right. Until the last frame was taken, or the generator is ended, the map forgets no layer.
 *
 * | bytes | |
 * |---|---|
 * | 8 | `TLMAP`, 0, and the version as two bytes |
 * | frames | 4: length, 4: CRC32 of the content, content. The first is the header as JSON; then come entries of repositories (`snapshot-entries.ts`), layers (`snapshot-layers.ts`), and entries of shares |
 * | 8 | the last frame: length 0, and the CRC32 of the CRC32s of all frames in a row |
 *
 * Numbers are little-endian; columns are in the order of the machine that wrote them, and only read by one of the same.
 */
export function* writeSnapshot({ tables }: ReplicaMap, { asOf, ...header }: SnapshotHeader): Generator<Buffer, void> {
  const magic = Buffer.from('TLMAP\0\0\0');
  magic.writeUInt16LE(SNAPSHOT_VERSION, 6);
  yield magic;
  let all = 0;
  const framed = (content: Buffer): Buffer => {
    const frame = Buffer.allocUnsafe(FRAME_HEAD_BYTES + content.length);
    frame.writeUInt32LE(content.length, 0);
    frame.writeUInt32LE(crc32(content), 4);
    frame.set(content, FRAME_HEAD_BYTES);
    all = crc32(frame.subarray(4, FRAME_HEAD_BYTES), all);
    return frame;
  };
  yield framed(Buffer.from(JSON.stringify({ ...header, asOf: asOf.toISOString(), byteOrder: endianness() })));
  using _ = tables.layers.hold();
  // In this order: layers are there when they are named, also those that came while repositories were told.
  for (const frames of [repositoryFrames, layerFrames, shareFrames]) for (const content of frames(tables)) yield framed(content);
  const end = Buffer.alloc(FRAME_HEAD_BYTES);
  end.writeUInt32LE(all, 4);
  yield end;
}

/** Reads exactly so many bytes; fewer only at the end. */
export type SnapshotBytes = (length: number) => Promise<Buffer>;

/** What a reader expects of a snapshot. */
export interface SnapshotWanted {
  readonly origin: string;
  /** The file that is read, as the header names it; undefined where that does not matter. */
  readonly file?: string | undefined;
  readonly now: Date;
  /** A map that is older answers nothing any more. */
  readonly ageMaxMs: number;
}

/**
 * Reads a snapshot. What it gives was whole: every byte was as it was written.
 * @throws {SnapshotError}
 */
export async function readSnapshot(bytes: SnapshotBytes, wanted: SnapshotWanted): Promise<{ readonly map: ReplicaMap; readonly header: SnapshotHeader }> {
  const magic = await bytes(8);
  if (magic.length < 8 || magic.toString('latin1', 0, 6) !== 'TLMAP\0') throw new SnapshotError('SNAPSHOT_FOREIGN', 'the file is no snapshot of a map');
  const version = magic.readUInt16LE(6);
  if (version !== SNAPSHOT_VERSION) throw new SnapshotError('SNAPSHOT_VERSION', `the snapshot has the form ${version}, and ${SNAPSHOT_VERSION} is read here`);
  const first = await frame(bytes, 0);
  if (first === undefined) throw torn('it ends before its header');
  const header = headerOf(first.content, wanted);
  const tables = new MapTables();
  const entries = new EntryReader(tables);
  for (let { all } = first; ; ) {
    const next = await frame(bytes, all);
    if (next === undefined) break;
    all = next.all;
    if (next.content[0] === ENTRIES_FRAME) entries.read(next.content);
    else if (next.content[0] === LAYERS_FRAME) readLayerFrame(tables, next.content);
    else throw new Error(`a frame of the kind ${next.content[0]}: the bytes were checked, so their writer is wrong`);
  }
  tables.layers.index(imagesOf(tables));
  const map = new ReplicaMap(tables);
  map.asOf = header.asOf;
  return { map, header };
}

function* imagesOf({ repositories }: MapTables): Generator<MappedImage, void> {
  for (const { images } of repositories.values()) for (const image of images.values()) if (image.kind === 'image') yield image;
}

/** The content of the next frame, and the checksum of all up to it; undefined for the last one. */
async function frame(bytes: SnapshotBytes, all: number): Promise<{ readonly content: Buffer; readonly all: number } | undefined> {
  const head = await bytes(FRAME_HEAD_BYTES);
  if (head.length < FRAME_HEAD_BYTES) throw torn('it ends without its last frame');
  const [length, check] = [head.readUInt32LE(0), head.readUInt32LE(4)];
  if (length === 0) {
    if (check !== all) throw torn('a frame is missing');
    return undefined;
  }
  if (length > FRAME_BYTES_MAX) throw torn(`a frame of ${length} bytes`);
  const content = await bytes(length);
  if (content.length < length || crc32(content) !== check) throw torn('a frame is not as it was written');
  return { content, all: crc32(head.subarray(4), all) };
}

function headerOf(content: Buffer, { origin, file, now, ageMaxMs }: SnapshotWanted): SnapshotHeader {
  const read = JSON.parse(content.toString()) as { readonly origin: string; readonly asOf: string; readonly position: unknown; readonly knownTo?: unknown; readonly byteOrder: string; readonly speaker?: string; readonly file?: string };
  if (read.origin !== origin) throw new SnapshotError('SNAPSHOT_FOREIGN', 'the snapshot is of another deployment, or of another database');
  if (read.byteOrder !== endianness()) throw new SnapshotError('SNAPSHOT_FOREIGN', `the snapshot is of a machine with the byte order ${read.byteOrder}`);
  if (file !== undefined && read.file !== file) throw new SnapshotError('SNAPSHOT_FOREIGN', 'the snapshot is a copy of the file that was written, or of an older version: it may be of another machine');
  const asOf = new Date(read.asOf);
  const ageMs = now.getTime() - asOf.getTime();
  // One from the future was written by a clock that went wrong: its age is not known.
  if (!(ageMs >= 0 && ageMs <= ageMaxMs)) throw new SnapshotError('SNAPSHOT_STALE', `the snapshot is as of ${read.asOf}, and may be at most ${ageMaxMs / 1000} s old`);
  return { origin, asOf, position: read.position, knownTo: read.knownTo, speaker: read.speaker, file: read.file };
}

function torn(how: string): SnapshotError {
  return new SnapshotError('SNAPSHOT_TORN', `the snapshot is damaged: ${how}`);
}
