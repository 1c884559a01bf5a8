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
