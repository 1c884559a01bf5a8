import { createHash, type Hash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Transform, type TransformCallback } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createGzip, createZstdCompress } from 'node:zlib';

import type { Digest } from '#oci';

import { LayerTar } from './layer-tar.js';

/** How a layer of the demo is compressed. */
export type Compression = 'gzip' | 'zstd' | 'none';

/** A layer that stands as a file, ready to be pushed. */
export interface BuiltLayer {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly diffId: Digest;
  readonly sizeBytes: number;
  readonly tarBytes: number;
  open(): NodeJS.ReadableStream;
}

const MEDIA_TYPES: Readonly<Record<Compression, string>> = {
  gzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
  zstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
  none: 'application/vnd.oci.image.layer.v1.tar',
};

/** Fills a tar and compresses it into `folder`; memory does not grow with the layer. */
export async function buildLayer(folder: string, recipe: { readonly name: string; readonly compression: Compression; readonly fill: (layer: LayerTar) => Promise<void> }): Promise<BuiltLayer> {
  const layer = new LayerTar();
  const path = join(folder, recipe.name);
  const uncompressed = new Meter();
  const compressed = new Meter();
  const written = pipeline(layer.pack, uncompressed, compressor(recipe.compression), compressed, createWriteStream(path));
  await Promise.all([recipe.fill(layer).then(() => layer.pack.finalize()), written]);
  return {
    mediaType: MEDIA_TYPES[recipe.compression],
    digest: compressed.digest(),
    diffId: uncompressed.digest(),
    sizeBytes: compressed.bytes,
    tarBytes: uncompressed.bytes,
    open: () => createReadStream(path),
  };
}

function compressor(compression: Compression): Transform {
  if (compression === 'gzip') return createGzip({ level: 1 });
  if (compression === 'zstd') return createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: 3 } });
  return new PassThrough();
}

/** Counts and hashes what passes. */
class Meter extends Transform {
  bytes = 0;
  readonly #hash: Hash = createHash('sha256');

  override _transform(chunk: Buffer, _encoding: string, done: TransformCallback): void {
    this.bytes += chunk.length;
    this.#hash.update(chunk);
    done(null, chunk);
  }

  /** Of everything that passed; once. */
  digest(): Digest {
    return `sha256:${this.#hash.digest('hex')}`;
  }
}
