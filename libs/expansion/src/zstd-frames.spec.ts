import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { ZstdFrames } from './zstd-frames.js';

const SKIPPABLE = (bytes: Uint8Array): Buffer => {
  const header = Buffer.from([0x57, 0x2a, 0x4d, 0x18, 0, 0, 0, 0]);
  header.writeUInt32LE(bytes.length, 4);
  return Buffer.concat([header, bytes]);
};
const part = fc.record({
  bytes: fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.integer({ min: 1, max: 300_000 }).map((length) => new Uint8Array(length).fill(7)), fc.constant(Buffer.from('ab'.repeat(70_000)))),
  skippable: fc.boolean(),
});

/** Cuts a stream that comes in chunks of the given sizes, one after the other and then over again. */
function cut(stream: Buffer, sizes: readonly number[]): { readonly parts: Buffer[]; readonly isAtFrameEnd: boolean } {
  const frames = new ZstdFrames();
  const parts: Buffer[] = [];
  for (let at = 0, turn = 0; at < stream.length; turn += 1) {
    const size = sizes[turn % sizes.length]!;
    for (const bytes of frames.cut(stream.subarray(at, at + size))) parts.push(Buffer.from(bytes));
    at += size;
  }
  return { parts, isAtFrameEnd: frames.isAtFrameEnd };
}

describe('ZstdFrames', () => {
  it('hands on every frame whole, none of the skippable ones, and never two in one part', () => {
    fc.assert(fc.property(fc.array(part, { maxLength: 6 }), fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 5 }), (frames, sizes) => {
      const stream = Buffer.concat(frames.map(({ bytes, skippable }) => (skippable ? SKIPPABLE(bytes) : zstdCompressSync(bytes))));
      const kept = frames.filter(({ skippable }) => !skippable).map(({ bytes }) => zstdCompressSync(bytes));
      const { parts, isAtFrameEnd } = cut(stream, sizes);
      expect(isAtFrameEnd).toBe(true);
      expect(Buffer.concat(parts).equals(Buffer.concat(kept))).toBe(true);
      const ends = new Set<number>();
      let end = 0;
      for (const bytes of parts) ends.add((end += bytes.length));
      let frameEnd = 0;
      for (const frame of kept) expect(ends.has((frameEnd += frame.length))).toBe(true);
    }), { numRuns: 300 });
  });

  it('takes a stream in one chunk apart', () => {
    const frames = ['one', '', 'three'].map((text) => zstdCompressSync(Buffer.from(text)));
    const { parts } = cut(Buffer.concat(frames), [1_000_000]);
    expect(parts.map((bytes) => zstdDecompressSync(bytes).toString())).toEqual(['one', '', 'three']);
  });

  it('knows when a stream ends inside a frame', () => {
    const frame = zstdCompressSync(Buffer.from('text'));
    for (let length = 1; length < frame.length; length += 1) expect(cut(frame.subarray(0, length), [3]).isAtFrameEnd).toBe(false);
  });

  it('refuses what is neither a frame nor the end', () => {
    expect(() => cut(Buffer.concat([zstdCompressSync(Buffer.from('text')), Buffer.from('more')]), [5])).toThrow(RangeError);
  });

  it('takes a window of 128 MiB, and refuses a larger one before any of it is decoded', () => {
    const frame = (...header: number[]): Buffer => Buffer.from([0x28, 0xb5, 0x2f, 0xfd, ...header, 1, 0, 0]);
    const tooLarge = expect.objectContaining({ code: 'TOO_LARGE', details: { limit: 'MAX_ZSTD_WINDOW_BYTES', max: 134_217_728 } }) as Error;
    for (const size of [1, 4]) {
      expect(cut(frame(0x00, 17 << 3), [size]).isAtFrameEnd).toBe(true);
      expect(() => cut(frame(0x00, (17 << 3) + 1), [size])).toThrow(tooLarge);
      expect(() => cut(frame(0x00, 21 << 3), [size])).toThrow(tooLarge);
      // A single segment is held whole; its size has 1, 2, 4 or 8 bytes.
      expect(cut(frame(0x20, 0xff), [size]).isAtFrameEnd).toBe(true);
      expect(cut(frame(0x60, 0xff, 0xff), [size]).isAtFrameEnd).toBe(true);
      expect(cut(frame(0xa0, 0, 0, 0, 8), [size]).isAtFrameEnd).toBe(true);
      expect(() => cut(frame(0xa0, 1, 0, 0, 8), [size])).toThrow(tooLarge);
      expect(() => cut(frame(0xe0, 0, 0, 0, 0, 1, 0, 0, 0), [size])).toThrow(tooLarge);
      expect(() => cut(frame(0xe3, 1, 2, 3, 4, 0, 0, 0, 0, 1, 0, 0, 0), [size])).toThrow(tooLarge);
    }
    const long = zstdCompressSync(Buffer.alloc(1000), { params: { [constants.ZSTD_c_windowLog]: 27, [constants.ZSTD_c_contentSizeFlag]: 0 } });
    expect(cut(long, [2]).isAtFrameEnd).toBe(true);
  });
});
