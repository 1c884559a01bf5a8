import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';

import { KiB, MiB } from '#quantities';

import { ExpansionError } from './expansion-error.js';
import { isZstdMagic, ZstdFrames } from './zstd-frames.js';

/** How a layer's tar is stored. */
export type LayerCompression = 'none' | 'gzip' | 'zstd';

/** Bytes that a decompressor gives at once; small ones cost a turn of the event loop each. */
const CHUNK_BYTES = 512 * KiB;
/** Decompressed bytes that wait to be read, at most: the decompressor's thread works ahead by this much. */
const AHEAD_BYTES = MiB;

/** Bytes by which a compression is told. */
const MAGIC_BYTES = 4;
/** ID1, ID2 and the only compression method (RFC 1952, section 2.3.1). */
const GZIP_MAGIC = Buffer.of(0x1f, 0x8b, 8);

/** How a blob is compressed, by its first four bytes, or all it has: the same test that containerd makes. What is neither gzip nor zstd is taken for a tar. */
export function compressionOf(start: Buffer): LayerCompression {
  if (start.length >= GZIP_MAGIC.length && start.subarray(0, GZIP_MAGIC.length).equals(GZIP_MAGIC)) return 'gzip';
  return start.length >= MAGIC_BYTES && isZstdMagic(start.readUInt32LE(0)) ? 'zstd' : 'none';
}

/** What is to be decompressed, and who takes it. */
export interface Decompression {
  readonly blob: AsyncIterable<Buffer>;
  /** Takes the uncompressed bytes, in parts of some hundred KiB, one at a time. @param areOwn nobody else needs them or their memory any more. */
  readonly take: (bytes: Buffer, areOwn: boolean) => Promise<void>;
}

/**
 * Decompresses a blob to its end, by what its first bytes say it is: all members of a gzip stream, all frames of a zstd stream, a tar as it is.
 * @throws {ExpansionError} `COMPRESSION_INVALID` for what is no such stream or ends early; what `blob` and `take` throw; the signal's reason.
 */
export async function decompress(decompression: Decompression, signal: AbortSignal): Promise<void> {
  const { take } = decompression;
  const { start, blob } = await withStart(decompression.blob);
  const compression = compressionOf(start);
  try {
    if (compression === 'none') {
      for await (const chunk of parts(blob)) {
        signal.throwIfAborted();
        await take(chunk, false);
      }
      return;
    }
    const options = { chunkSize: CHUNK_BYTES, readableHighWaterMark: AHEAD_BYTES };
    const decompressor = compression === 'gzip' ? createGunzip(options) : createZstdDecompress(options);
    const source = Readable.from(compression === 'gzip' ? blob : frames(blob), { objectMode: true, highWaterMark: 2 });
    await pipeline(source, decompressor, async (chunks: AsyncIterable<Buffer>) => {
      // A decompressor fills its memory once: what is all of it is ours.
      for await (const chunk of chunks) await take(chunk, chunk.length === CHUNK_BYTES);
    }, { signal });
  } catch (error) {
    signal.throwIfAborted();
    throw isCompressionError(error) ? new ExpansionError('COMPRESSION_INVALID', `the blob is no whole ${compression} stream`, { cause: error }) : error;
  }
}

/** A blob's first bytes, and the blob with them. */
async function withStart(blob: AsyncIterable<Buffer>): Promise<{ readonly start: Buffer; readonly blob: AsyncIterable<Buffer> }> {
  const chunks = blob[Symbol.asyncIterator]();
  let start: Buffer = Buffer.alloc(0);
  while (start.length < MAGIC_BYTES) {
    const next = await chunks.next();
    if (next.done === true) break;
    start = Buffer.concat([start, next.value]);
  }
  async function* whole(): AsyncGenerator<Buffer> {
    if (start.length > 0) yield start;
    for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) yield next.value;
  }
  return { start, blob: whole() };
}

async function* parts(blob: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  for await (const chunk of blob) {
    for (let at = 0; at < chunk.length; at += CHUNK_BYTES) yield chunk.subarray(at, at + CHUNK_BYTES);
  }
}

async function* frames(blob: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const cutter = new ZstdFrames();
  for await (const chunk of blob) yield* cutter.cut(chunk);
  if (!cutter.isAtFrameEnd) throw new RangeError('the zstd stream ends inside a frame');
}

function isCompressionError(error: unknown): boolean {
  if (error instanceof RangeError) return true;
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && /^(?:Z_|ZSTD_|ERR_ZLIB_)/.test(error.code);
}
