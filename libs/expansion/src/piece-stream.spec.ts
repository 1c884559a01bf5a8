import { randomBytes } from 'node:crypto';

import { describe, expect, it } from 'vitest';

import { type ByteRange, crc64Of, PIECE_BYTES } from '#shares';

import { ExpansionTarget } from './expansion-target.js';
import { PieceStream } from './piece-stream.js';

/** A file in memory that notes where it was written, in order. */
class MemoryTarget extends ExpansionTarget {
  readonly name = 'memory';
  readonly bytes: Buffer;
  readonly writes: ByteRange[] = [];

  constructor(bytes: Buffer) {
    super();
    this.bytes = bytes;
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    this.writes.push({ offset, length: bytes.length });
    this.bytes.set(bytes, offset);
  }

  async setSize(): Promise<void> {}

  async *readBack(): AsyncGenerator<Buffer> {}
}

describe('PieceStream', () => {
  it('sends the first piece after all others', async () => {
    const contents = randomBytes(3 * PIECE_BYTES + 4096);
    const target = new MemoryTarget(Buffer.alloc(contents.length));
    const stream = new PieceStream(target);
    stream.append(contents);
    const written = await stream.finish(() => {});
    expect(target.writes.at(-1)).toEqual({ offset: 0, length: PIECE_BYTES });
    expect(target.bytes.equals(contents)).toBe(true);
    expect(written).toMatchObject({ offset: 0, endOffset: contents.length, dataBytes: contents.length });
  });

  it.each([
    ['inside one piece', 4096, 8192, 3 * PIECE_BYTES],
    ['up to the end of a piece', PIECE_BYTES - 4096, PIECE_BYTES, 2 * PIECE_BYTES + 512],
    ['over several pieces', 5 * PIECE_BYTES + 12_288, 8 * PIECE_BYTES + 4096, 10 * PIECE_BYTES + 4096 + 512],
    ['over several pieces, up to the end of one', PIECE_BYTES, 4 * PIECE_BYTES, 4 * PIECE_BYTES + 512],
    ['and ends there', 4096, 16_384, 16_384],
  ])('begins behind what is there already, and keeps back what lies %s', async (_, offset, keptUpTo, endOffset) => {
    const contents = randomBytes(endOffset);
    const start = offset - (offset % PIECE_BYTES);
    const target = new MemoryTarget(Buffer.concat([contents.subarray(0, offset), Buffer.alloc(endOffset - offset)]));
    const stream = new PieceStream(target, { offset, keptUpTo });
    stream.appendZerosUpTo(keptUpTo);
    expect(stream.position).toBe(keptUpTo);
    stream.append(contents.subarray(keptUpTo));
    const written = await stream.finish((kept) => contents.copy(kept, 0, start, keptUpTo));
    expect(target.bytes.equals(contents)).toBe(true);
    expect(Math.min(...target.writes.map((range) => range.offset))).toBe(offset);
    const pieces = Array.from({ length: Math.ceil((endOffset - start) / PIECE_BYTES) }, (__, index) => contents.subarray(start + index * PIECE_BYTES, start + (index + 1) * PIECE_BYTES));
    expect(written).toEqual({ offset, endOffset, dataBytes: endOffset - offset, crc64s: pieces.map(crc64Of) });
  });
});
