import { createHash } from 'node:crypto';
import { gzipSync, zstdCompressSync } from 'node:zlib';

import { entryOf, type RawTarEntry } from './tar-builder.js';

/** A layer's tar, and a stored form of it from which single files can be read. */
export interface SeekableBlob {
  readonly tar: Buffer;
  readonly blob: Buffer;
}

/** Frames of zstd that decoders skip: this magic number, and the length of what follows (RFC 8878, section 3.1.2). */
const SKIPPABLE_MAGIC = 0x184d_2a50;
const CHUNKED_MAGIC = Buffer.from('GNUlInUx');

/**
 * The entries in eStargz form (stargz-snapshotter, docs/estargz.md): a landmark, a gzip member for each entry, one for the table of contents, which is
 * a tar entry itself, and a footer, which is a member without contents whose extra field says where the table is.
 */
export function estargzOf(...entries: readonly RawTarEntry[]): SeekableBlob {
  const parts: Buffer[] = [];
  const members: Buffer[] = [];
  const listed: object[] = [];
  let offset = 0;
  const add = (part: Buffer): void => {
    const member = gzipSync(part, { level: 9 });
    parts.push(part);
    members.push(member);
    offset += member.length;
  };
  for (const entry of [...entries, { name: '.no.prefetch.landmark', contents: '\x0f' }]) {
    const contents = Buffer.from(entry.contents ?? '');
    listed.push({ name: entry.name, type: entry.type === '5' ? 'dir' : 'reg', size: contents.length, offset, digest: `sha256:${createHash('sha256').update(contents).digest('hex')}` });
    add(entryOf(entry));
  }
  const tableOffset = offset;
  add(Buffer.concat([entryOf({ name: 'stargz.index.json', contents: JSON.stringify({ version: 1, entries: listed }) }), Buffer.alloc(1024)]));
  const footer = Buffer.concat([
    Buffer.from([0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 26, 0]), Buffer.from('SG'), Buffer.from([22, 0]),
    Buffer.from(`${tableOffset.toString(16).padStart(16, '0')}STARGZ`), Buffer.from([1, 0, 0, 0xff, 0xff]), Buffer.alloc(8),
  ]);
  return { tar: Buffer.concat(parts), blob: Buffer.concat([...members, footer]) };
}

/**
 * The entries in zstd:chunked form (containers/storage, pkg/chunked): a frame for each entry, then skippable frames with the compressed
 * table of contents, with what puts the tar together again, and with a footer that says where they are.
 */
export function zstdChunkedOf(...entries: readonly RawTarEntry[]): SeekableBlob {
  const parts = [...entries.map(entryOf), Buffer.alloc(1024)];
  const frames = parts.map((part) => zstdCompressSync(part));
  const table = Buffer.from(JSON.stringify({ version: 1, entries: entries.map(({ name }) => ({ type: 'reg', name })) }));
  const [compressedTable, split] = [zstdCompressSync(table), zstdCompressSync(Buffer.from('tar-split'))];
  const tableOffset = frames.reduce((sum, frame) => sum + frame.length, 0) + 8;
  const footer = Buffer.alloc(64);
  [tableOffset, compressedTable.length, table.length, 1, tableOffset + compressedTable.length + 8, split.length, 9].forEach((number, index) => footer.writeBigUInt64LE(BigInt(number), index * 8));
  CHUNKED_MAGIC.copy(footer, 56);
  return { tar: Buffer.concat(parts), blob: Buffer.concat([...frames, skippable(compressedTable), skippable(split), skippable(footer)]) };
}

/** A frame that a decoder of zstd skips. */
export function skippable(bytes: Uint8Array): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(SKIPPABLE_MAGIC, 0);
  header.writeUInt32LE(bytes.length, 4);
  return Buffer.concat([header, bytes]);
}
