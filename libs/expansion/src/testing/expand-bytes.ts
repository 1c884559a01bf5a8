import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';

import type { Digest } from '#oci';
import { layerFilePath, PIECE_BYTES } from '#shares';
import { MemoryShare } from '#shares/testing';

import { expandLayer } from '../expand-layer.js';
import type { ExpandedLayer, LayerToExpand } from '../expanded-layer.js';
import { DEFAULT_EXPANSION_LIMITS, type ExpansionLimits } from '../expansion-limits.js';

/** A layer in memory, as a registry would serve it. */
export interface LayerBytes {
  readonly layer: LayerToExpand;
  readonly blob: Uint8Array;
  /** Of the tar. */
  readonly diffId: Digest;
}

/** Describes a layer truthfully. @param blob the stored form; by default the tar itself. */
export function layerOf(tar: Uint8Array, blob: Uint8Array = tar): LayerBytes {
  return { layer: { digest: sha256(blob), sizeBytes: blob.length }, blob, diffId: sha256(tar) };
}

/** Options of {@link expandBytes}; everything has a default. */
export interface ExpandBytesOptions {
  readonly share?: MemoryShare;
  /** Bytes of the blob that come at once; default 64 KiB. */
  readonly chunkBytes?: number;
  /** Default `attempt`. */
  readonly claimId?: string;
  /** By default the claim is held. */
  readonly isHeld?: () => Promise<boolean>;
  readonly signal?: AbortSignal;
  readonly limits?: Partial<ExpansionLimits>;
}

/** Expands a layer that is in memory onto a memory share. */
export async function expandBytes({ layer, blob }: Omit<LayerBytes, 'diffId'>, options: ExpandBytesOptions = {}): Promise<{ readonly expanded: ExpandedLayer; readonly share: MemoryShare }> {
  const share = options.share ?? new MemoryShare({ name: 'home' });
  const expanded = await expandLayer({
    layer,
    blob: chunked(blob, options.chunkBytes ?? 65_536),
    share,
    claimId: options.claimId ?? 'attempt',
    isHeld: options.isHeld ?? (() => Promise.resolve(true)),
    signal: options.signal ?? new AbortController().signal,
    limits: { ...DEFAULT_EXPANSION_LIMITS, ...options.limits },
  });
  return { expanded, share };
}

/** Bytes as a stream of chunks. */
export async function* chunked(bytes: Uint8Array, chunkBytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes);
}

/** The whole file of an expanded layer, from the share. */
export async function readExpanded(share: MemoryShare, expanded: ExpandedLayer): Promise<Buffer> {
  return share.readRange(layerFilePath(expanded.digest, expanded.writerVersion), { offset: 0, length: expanded.vhd.sizeBytes });
}

/** Copies the file of an expanded layer from the share to a local file, holes left out. */
export async function saveExpanded(share: MemoryShare, expanded: ExpandedLayer, file: string): Promise<void> {
  const path = layerFilePath(expanded.digest, expanded.writerVersion);
  const local: FileHandle = await open(file, 'w');
  try {
    await local.truncate(expanded.vhd.sizeBytes);
    for (const range of await share.dataRanges(path)) {
      for (let offset = range.offset; offset < range.offset + range.length; offset += PIECE_BYTES) {
        const length = Math.min(PIECE_BYTES, range.offset + range.length - offset);
        await local.write(await share.readRange(path, { offset, length }), 0, length, offset);
      }
    }
  } finally {
    await local.close();
  }
}

function sha256(bytes: Uint8Array): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
