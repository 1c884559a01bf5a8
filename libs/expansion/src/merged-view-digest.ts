import { type Digest, digestOf } from '#oci';
import { LAYER_FILE_VERSION } from '#shares';

/**
 * What is named in the place of a layer's media type where a merged view stands among layers. No image can claim it: it is not one of those that
 * are expanded from a blob, and a view has no blob.
 */
export const MERGED_VIEW_MEDIA_TYPE = 'application/vnd.translocator.merged-view.v1';

/**
 * The digest under which the merged view of an image is recorded, stored and copied as if it were one more layer: sha256 of the line
 * `translocator merged view v<LAYER_FILE_VERSION>`, followed by a line for each of the image's layers. Images with the same layers have the same view.
 * @param layers of the image, the lowest first, repeated ones as often as they are named.
 * @returns undefined for an image with fewer than two distinct layers: it needs none.
 */
export function mergedViewDigest(layers: readonly Digest[]): Digest | undefined {
  if (viewDevices(layers).length < 2) return undefined;
  return digestOf([`translocator merged view v${LAYER_FILE_VERSION}`, ...layers].map((line) => `${line}\n`).join(''));
}

/** The devices of an image's view, in the order of their numbers, which begin with 1: its distinct layers in the order of their first appearance, lowest first. */
export function viewDevices(layers: readonly Digest[]): Digest[] {
  return [...new Set(layers)];
}
