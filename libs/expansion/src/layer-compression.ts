import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';

import { KiB, MiB } from '#quantities';

import { ExpansionError } from './expansion-error.js';
import { ZstdFrames } from './zstd-frames.js';

/** How a layer's tar is stored. */
export type LayerCompression = 'none' | 'gzip' | 'zstd';

/** Bytes that a decompressor gives at once; small ones cost a turn of the event loop each. */
const CHUNK_BYTES = 512 * KiB;
/** Decompressed bytes that wait to be read, at most: the decompressor's thread works ahead by this much. */
const AHEAD_BYTES = MiB;

/** OCI image-spec, layer.md; Docker image manifest version 2, schema 2. The non-distributable forms are the same tars. */
const COMPRESSIONS: ReadonlyMap<string, LayerCompression> = new Map<string, LayerCompression>([
  ['application/vnd.oci.image.layer.v1.tar', 'none'],
  ['application/vnd.oci.image.layer.v1.tar+gzip', 'gzip'],
  ['application/vnd.oci.image.layer.v1.tar+zstd', 'zstd'],
  ['application/vnd.oci.image.layer.nondistributable.v1.tar', 'none'],
  ['application/vnd.oci.image.layer.nondistributable.v1.tar+gzip', 'gzip'],
  ['application/vnd.oci.image.layer.nondistributable.v1.tar+zstd', 'zstd'],
  ['application/vnd.docker.image.rootfs.diff.tar', 'none'],
  ['application/vnd.docker.image.rootfs.diff.tar.gzip', 'gzip'],
  ['application/vnd.docker.image.rootfs.diff.tar.zstd', 'zstd'],
]);

/**
 * How the layer of a media type is compressed.
 * @throws {ExpansionError} `LAYER_UNSUPPORTED` for foreign (Windows) layers, encrypted ones and everything else that is no tar.
 */
export function compressionOf(mediaType: string): LayerCompression {
  const compression = COMPRESSIONS.get(mediaType);
  if (compression !== undefined) return compression;
  const why = mediaType.includes('.foreign.') ? 'is foreign: its contents are not for Linux' : 'is none that is expanded';
  throw new ExpansionError('LAYER_UNSUPPORTED', `the layer's media type ${JSON.stringify(mediaType.slice(0, 200))} ${why}`, { details: { mediaType } });
}

/** What is to be decompressed, and who takes it. */
export interface Decompression {
  readonly compression: LayerCompression;
  readonly blob: AsyncIterable<Buffer>;
  /** Takes the uncompressed bytes, in parts of some hundred KiB, one at a time. */
  readonly take: (bytes: Buffer) => Promise<void>;
}

/**
 * Decompresses a blob to its end: all members of a gzip stream, all frames of a zstd stream.
 * @throws {ExpansionError} `COMPRESSION_INVALID` for what is no such stream or ends early; what `blob` and `take` throw; the signal's reason.
 */
export async function decompress(decompression: Decompression, signal: AbortSignal): Promise<void> {
  const { compression, blob, take } = decompression;
  try {
    if (compression === 'none') {
      for await (const chunk of parts(blob)) {
        signal.throwIfAborted();
        await take(chunk);
      }
      return;
    }
    const options = { chunkSize: CHUNK_BYTES, readableHighWaterMark: AHEAD_BYTES };
    const decompressor = compression === 'gzip' ? createGunzip(options) : createZstdDecompress(options);
    const source = Readable.from(compression === 'gzip' ? blob : frames(blob), { objectMode: true, highWaterMark: 2 });
    await pipeline(source, decompressor, async (chunks: AsyncIterable<Buffer>) => {
      for await (const chunk of chunks) await take(chunk);
    }, { signal });
  } catch (error) {
    signal.throwIfAborted();
    throw isCompressionError(error) ? new ExpansionError('COMPRESSION_INVALID', `the blob is no whole ${compression} stream`, { cause: error }) : error;
  }
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
