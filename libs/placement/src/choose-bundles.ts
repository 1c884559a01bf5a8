import { bytesOf, type LayerSet, type LayerTable, marginal } from './layer-table.js';

/** What images compete for, and by which measure. */
export interface Competition {
  /** Numbers of the images that may be chosen. */
  readonly candidates: Iterable<number>;
  /** What each image is worth, by its number; >= 0. */
  readonly values: Float64Array;
  /** What each layer counts for when densities are compared; its bytes, or less. */
  readonly weighedBytes: Float64Array;
  /** The layers that are paid for already. */
  readonly base: LayerSet;
  readonly capacityBytes: number;
}

/** What was chosen. */
export interface Choice {
  /** In the order in which they were chosen. */
  readonly images: readonly number[];
  /** The base and everything chosen. */
  readonly layers: LayerSet;
  readonly usedBytes: number;
}

interface Bid {
  readonly image: number;
  readonly density: number;
  readonly value: number;
  /** The bid that counts is the image's latest. */
  readonly version: number;
}

/**
 * Chooses whole images for a capacity: always the one with the most value for each byte that it still adds. A layer is paid once, so a chosen image
 * makes every image that shares layers with it denser: the value of a set of layers is supermodular, and an old density is no upper bound of the new
 * one (lazy greedy would be wrong). All images that share a newly chosen layer therefore bid anew at once, also those that did not fit before. An image
 * that adds nothing comes first. Ties go to the greater value, then to the smaller number.
 * Cost: every pair of a layer and an image is visited once, O(pairs · (layers of an image + log pairs)).
 */
export function chooseBundles(table: LayerTable, competition: Competition): Choice {
  const { values, weighedBytes, capacityBytes } = competition;
  const layers = Uint8Array.from(competition.base);
  let usedBytes = bytesOf(table, layers);
  const images: number[] = [];
  const versions = new Int32Array(table.images.length).fill(-1);
  const bids = new BidHeap();
  const bid = (image: number): void => {
    const version = (versions[image] ?? 0) + 1;
    versions[image] = version;
    const value = values[image] ?? 0;
    const weighed = marginal(table, image, layers, weighedBytes);
    bids.push({ image, value, version, density: weighed === 0 ? Number.POSITIVE_INFINITY : value / weighed });
  };
  for (const image of competition.candidates) bid(image);
  const open = (image: number): boolean => (versions[image] ?? -1) >= 0;

  for (let best = bids.pop(); best !== undefined; best = bids.pop()) {
    if (best.version !== versions[best.image]) continue;
    const addedBytes = marginal(table, best.image, layers);
    if (usedBytes + addedBytes > capacityBytes && addedBytes > 0) continue;
    versions[best.image] = -1;
    images.push(best.image);
    usedBytes += addedBytes;
    const denser = new Set<number>();
    for (const layer of table.layersOf[best.image] ?? []) {
      if (layers[layer] === 1) continue;
      layers[layer] = 1;
      for (const image of table.imagesOf[layer] ?? []) if (open(image)) denser.add(image);
    }
    for (const image of denser) bid(image);
  }
  return { images, layers, usedBytes };
}

/** A binary heap: the best bid on top. */
class BidHeap {
  readonly #bids: Bid[] = [];

  push(bid: Bid): void {
    const bids = this.#bids;
    let at = bids.length;
    bids.push(bid);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = bids[parent];
      if (above === undefined || !isBetter(bid, above)) break;
      bids[at] = above;
      at = parent;
    }
    bids[at] = bid;
  }

  pop(): Bid | undefined {
    const bids = this.#bids;
    const top = bids[0];
    const last = bids.pop();
    if (last === undefined || bids.length === 0) return top;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      const left = bids[child];
      if (left === undefined) break;
      const right = bids[child + 1];
      let best = left;
      if (right !== undefined && isBetter(right, left)) {
        best = right;
        child += 1;
      }
      if (!isBetter(best, last)) break;
      bids[at] = best;
      at = child;
    }
    bids[at] = last;
    return top;
  }
}

function isBetter(a: Bid, b: Bid): boolean {
  if (a.density !== b.density) return a.density > b.density;
  if (a.value !== b.value) return a.value > b.value;
  return a.image < b.image;
}
