import { createCipheriv, createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';

import { type RawTarEntry, tarOf } from '#expansion/testing';
import { digestOf } from '#oci';
import type { ImageToPush, LayerToPush } from '#registry/local';

/** A layer that is a real tar with these entries, gzipped. */
export function gzipLayer(...entries: readonly RawTarEntry[]): LayerToPush {
  const tar = tarOf(...entries);
  return { bytes: gzipSync(tar, { level: 1 }), diffId: digestOf(tar), mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip' };
}

/** A layer with one file of bytes that nothing compresses, the same ones for the same name. */
export function bigLayer(name: string, sizeBytes: number): LayerToPush {
  const key = createHash('sha256').update(name).digest().subarray(0, 16);
  const contents = createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(sizeBytes));
  return gzipLayer({ name, contents });
}

/** An image of small real layers, one for each name. */
export function smallImage(...names: readonly string[]): ImageToPush {
  return { layers: names.map((name) => gzipLayer({ name: `${name}.txt`, contents: `contents of ${name}\n` })) };
}
