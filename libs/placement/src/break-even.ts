import { type BundleTable, include, isWithin, type LayerSet, marginal } from './layer-table.js';
import type { PlacementParameters } from './region-facts.js';

/** Which images bring back what they cost. */
export interface BreakEven {
  /** Pulls expected of each image, and its bytes. */
  readonly pulls: Float64Array;
  readonly imageBytes: Float64Array;
  /** How many of them are images. Those behind are parts that images share: to have one there is no hit. */
  readonly imageCount: number;
  /** How many times the bytes that it adds an image has to save. */
  readonly minimumPulls: number;
  /** What each pull of an image counts in bytes, besides those that it saves. */
  readonly hitBytes: number;
  /** Pulls without which no image is worth anything, however little it adds. */
  readonly leastPulls: number;
  /** Images of which only a share of both is asked: 1 for those. None where it is absent. */
  readonly eased?: Uint8Array;
  /** That share; 0..1. */
  readonly easedRatio?: number;
}

/** The rule of the parameters, eased by `ratio` for all. @param of all images that there are: what a hit is worth goes by their mean. */
export function breakEvenOf({ minimumExpectedPulls, leastExpectedPulls, hitImages }: Pick<PlacementParameters, 'minimumExpectedPulls' | 'leastExpectedPulls' | 'hitImages'>, of: Pick<BreakEven, 'pulls' | 'imageBytes' | 'imageCount'>, ratio = 1): BreakEven {
  const { pulls, imageBytes, imageCount } = of;
  return { pulls, imageBytes, imageCount, minimumPulls: minimumExpectedPulls * ratio, leastPulls: Math.min(leastExpectedPulls, minimumExpectedPulls) * ratio, hitBytes: hitImages * meanOf(imageBytes.subarray(0, imageCount)) };
}

function meanOf(bytes: Float64Array): number {
  let sum = 0;
  for (const each of bytes) sum += each;
  return sum / Math.max(1, bytes.length);
}

/** The pulls that are asked of an image which adds some of its bytes: as many as bring these back when every pull saves all of the image's bytes, and is worth some besides. Never more for fewer bytes. */
export function pullsAsked(rule: BreakEven, image: number, addedBytes: number): number {
  const ratio = rule.eased !== undefined && rule.eased[image] === 1 ? (rule.easedRatio ?? 1) : 1;
  return ratio * pullsToBringBack(rule, { savedBytes: rule.imageBytes[image]! + (image < rule.imageCount ? rule.hitBytes : 0), addedBytes });
}

/** The same for an image of so many bytes, without any ease. */
export function pullsAskedFor(rule: Pick<BreakEven, 'leastPulls' | 'minimumPulls' | 'hitBytes'>, { allBytes, addedBytes }: { readonly allBytes: number; readonly addedBytes: number }): number {
  return pullsToBringBack(rule, { savedBytes: allBytes === 0 ? 0 : allBytes + rule.hitBytes, addedBytes });
}

/** @param savedBytes what each pull counts in bytes. */
function pullsToBringBack({ leastPulls, minimumPulls }: Pick<BreakEven, 'leastPulls' | 'minimumPulls'>, { savedBytes, addedBytes }: { readonly savedBytes: number; readonly addedBytes: number }): number {
  return Math.max(leastPulls, addedBytes === 0 ? 0 : (minimumPulls * addedBytes) / savedBytes);
}

/** Whether an image brings back what it adds. An image of which nothing is expected never does. Whatever else is added first, it never ceases to. */
export function bringsBack(rule: BreakEven, image: number, addedBytes: number): boolean {
  const pulls = rule.pulls[image]!;
  return pulls > 0 && pulls >= pullsAsked(rule, image, addedBytes);
}

/** Whether it brings back all of its bytes. */
export function bringsBackAll(rule: BreakEven, image: number): boolean {
  return bringsBack(rule, image, rule.imageBytes[image]!);
}

/**
 * The images that are wholly within some layers and bring back what they add to the base, one after the other: 1 for those. An image that few pull may so be kept by others that share most of
 * its layers. The order in which they are taken does not matter.
 */
export function worthKeeping(table: BundleTable, rule: BreakEven, sets: { readonly base: LayerSet; readonly within: LayerSet }): Uint8Array {
  const isKept = new Uint8Array(table.imageBytes.length);
  const paid = sets.base.slice();
  const keep = (image: number): void => {
    isKept[image] = 1;
    include(table, image, paid);
  };
  let doubtful: number[] = [];
  for (let image = 0; image < isKept.length; image += 1) {
    if (!bringsBack(rule, image, 0) || !isWithin(table, image, sets.within)) continue;
    if (bringsBackAll(rule, image)) keep(image);
    else doubtful.push(image);
  }
  for (let before = -1; doubtful.length !== before;) {
    before = doubtful.length;
    doubtful = doubtful.filter((image) => {
      const doesBringBack = bringsBack(rule, image, marginal(table, image, paid));
      if (doesBringBack) keep(image);
      return !doesBringBack;
    });
  }
  return isKept;
}
