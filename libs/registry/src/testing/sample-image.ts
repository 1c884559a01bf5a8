import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';

import { digestOf } from '#oci';

import type { ImageToPush, LayerToPush } from '../local/index.js';

/** A layer whose tar is `sizeBytes` bytes made from `seed`: the same ones every time, and no real tar. */
export function sampleLayer(seed: string, sizeBytes = 2000): LayerToPush {
  const tar = sampleBytes(seed, sizeBytes);
  return { bytes: gzipSync(tar), diffId: digestOf(tar), mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip' };
}

/** An image with one layer for each seed. */
export function sampleImage(seeds: readonly string[], extra: Partial<ImageToPush> = {}): ImageToPush {
  return { layers: seeds.map((seed) => sampleLayer(seed)), ...extra };
}

/** Bytes without a pattern that anything could compress, made from `seed`. */
export function sampleBytes(seed: string, sizeBytes: number): Buffer {
  const parts: Buffer[] = [];
  for (let block = 0; block * 32 < sizeBytes; block += 1) parts.push(createHash('sha256').update(`${seed}/${block}`).digest());
  return Buffer.concat(parts).subarray(0, sizeBytes);
}
