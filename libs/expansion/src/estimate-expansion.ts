import { KiB } from '#quantities';

import type { ExpandedLayer } from './expanded-layer.js';
import type { WantedLayer } from './expanded-layer-store.js';

/**
 * Bytes of the expanded file for each byte of a compressed layer, as a rule: layers of public images mostly compress to between a half and a third, and
 * the larger guess leaves room for inodes and the rounding of files to blocks.
 */
export const USUAL_RATIO = 3;

/**
 * How many bytes the expanded form of a layer will probably have: its size where the media type says that it is a plain tar, else {@link USUAL_RATIO} times
 * that. Both are claims of an image: good enough to plan with, never to decide for good.
 */
export function estimateExpandedBytes({ sizeBytes, mediaType }: Pick<WantedLayer, 'sizeBytes' | 'mediaType'>): number {
  return /[+.](?:gzip|zstd)$/.test(mediaType) ? sizeBytes * USUAL_RATIO : sizeBytes;
}

/** Bytes of a merged view for each entry of its layers: an inode with the addresses of some contents, a name, and now and then an attribute. */
const VIEW_BYTES_PER_ENTRY = 192;
/** What a view of nothing has: superblock, devices, hash tree, footer. */
const VIEW_BYTES_AT_LEAST = 64 * KiB;

/** How many bytes the merged view of these layers will probably have at most: names that stand in several layers count in each. */
export function estimateViewBytes(layers: readonly Pick<ExpandedLayer, 'digest' | 'entryCount'>[]): number {
  const entryCounts = new Map(layers.map(({ digest, entryCount }) => [digest, entryCount]));
  return [...entryCounts.values()].reduce((bytes, entryCount) => bytes + entryCount * VIEW_BYTES_PER_ENTRY, VIEW_BYTES_AT_LEAST);
}
