import { BidHeap } from './bid-heap.js';
import { type BreakEven, bringsBack } from './break-even.js';
import { type BundleTable, bytesOf, isOnlyView, type LayerSet } from './layer-table.js';
import { STEP_COUNT } from './steps.js';

/** What images compete for, and by which measure. */
export interface Competition {
  /** Numbers of the images that may be chosen. */
  readonly candidates: readonly number[];
  /** What each image is worth, by its number; >= 0. */
  readonly values: Float64Array;
  /** The layers of which a byte counts for `heldBytesRatio` only, when densities are compared; none where nothing is given. */
  readonly held?: LayerSet;
  /** Above 0, up to 1. */
  readonly heldBytesRatio?: number;
  /** The layers that are paid for already. */
  readonly base: LayerSet;
  readonly capacityBytes: number;
  /** What images must bring back to be chosen; nothing where it is absent. */
  readonly rule?: BreakEven;
}

/** What was chosen. */
export interface Choice {
  /** In the order in which they were chosen. */
  readonly images: readonly number[];
  /** The base and everything chosen. */
  readonly layers: LayerSet;
  readonly usedBytes: number;
  /** Value for each byte of the first image that did not fit when its turn came; absent where all did. */
  readonly cutOffDensity?: number;
}

/**
 * Chooses whole images for a capacity, in steps: always the one with the most value for each byte that it still adds. A layer is paid once, so a chosen image
 * makes every image that shares layers with it denser: the value of a set of layers is supermodular, and an old density is no upper bound of the new
 * one (lazy greedy would be wrong). All images that share a newly chosen layer therefore bid anew at once, also those that did not fit before. An image
 * that adds nothing comes first. Ties go to the greater value, then to the smaller number.
 * Bundles that are worth their bytes only together it finds late: each alone looks poor. Cost: every pair of a layer and an image is visited once, O(pairs · log images).
 */
export function* chooseByDensity(table: BundleTable, competition: Competition): Generator<undefined, Choice> {
  const { rule } = competition;
  const layers = competition.base.slice();
  const bids = new Bids(table, competition, layers);
  yield;
  let usedBytes = bytesOf(table, layers);
  const images: number[] = [];
  const leastBytes = leastOf(table, layers);
  let cutOffDensity: number | undefined;
  let refusedCount = 0;
  let turn = 0;
  for (let image = bids.best(); image >= 0; image = bids.best()) {
    turn += 1;
    if (turn % STEP_COUNT === 0) yield;
    const addedBytes = bids.addedBytes(image);
    // It bids again when somebody else has paid a part of it.
    if (rule !== undefined && !bringsBack(rule, image, addedBytes)) continue;
    if (usedBytes + addedBytes > competition.capacityBytes && addedBytes > 0) {
      cutOffDensity ??= competition.values[image]! / addedBytes;
      refusedCount += 1;
      // Whoever adds nothing has come before: there is no room for anybody else.
      const roomBytes = competition.capacityBytes - usedBytes;
      if (roomBytes < leastBytes || (refusedCount % STEP_COUNT === 0 && !bids.doesAnyFit(roomBytes))) break;
      continue;
    }
    images.push(image);
    usedBytes += addedBytes;
    bids.choose(image);
  }
  return { images, layers, usedBytes, ...(cutOffDensity === undefined ? {} : { cutOffDensity }) };
}

/** The least that an image can add to some layers, if it adds anything. */
function leastOf({ sizes }: BundleTable, layers: LayerSet): number {
  let least = Number.POSITIVE_INFINITY;
  for (let layer = 0; layer < layers.length; layer += 1) if (layers[layer] !== 1 && sizes[layer]! > 0 && sizes[layer]! < least) least = sizes[layer]!;
  return least;
}

/** What every open image adds at the moment, and what it bids for that. Bytes are whole numbers: sums of them are exact in any order. */
class Bids {
  readonly #table: BundleTable;
  readonly #competition: Competition;
  readonly #layers: LayerSet;
  readonly #heap: BidHeap;
  readonly #isOpen: Uint8Array;
  /** Bytes that each open image adds, and those among them that are held. */
  readonly #added: Float64Array;
  readonly #addedHeld: Float64Array;
  readonly #isTouched: Uint8Array;
  readonly #touched: Int32Array;

  constructor(table: BundleTable, competition: Competition, layers: LayerSet) {
    const count = table.imageBytes.length;
    this.#table = table;
    this.#competition = competition;
    this.#layers = layers;
    this.#heap = new BidHeap(competition.values);
    this.#isOpen = new Uint8Array(count);
    this.#added = new Float64Array(count);
    this.#addedHeld = new Float64Array(count);
    this.#isTouched = new Uint8Array(count);
    this.#touched = new Int32Array(count);
    for (const image of competition.candidates) this.#open(image);
    this.#heap.fill(competition.candidates, (image) => this.#density(image));
  }

  /** The image with the best bid, which it then has no more; -1 when nobody bids. */
  best(): number {
    return this.#heap.pop();
  }

  addedBytes(image: number): number {
    return this.#added[image]!;
  }

  /** Whether any image that is not chosen adds no more than that. */
  doesAnyFit(bytes: number): boolean {
    for (let image = 0; image < this.#isOpen.length; image += 1) if (this.#isOpen[image] === 1 && this.#added[image]! <= bytes) return true;
    return false;
  }

  /** Adds an image's layers; whoever shares a new one bids anew. */
  choose(image: number): void {
    const { layersOf, imagesOf, sizes } = this.#table;
    const held = this.#competition.held;
    this.#isOpen[image] = 0;
    let touchedCount = 0;
    for (let at = layersOf.starts[image]!; at < layersOf.starts[image + 1]!; at += 1) {
      const layer = layersOf.values[at]!;
      if (this.#layers[layer] === 1) continue;
      this.#layers[layer] = 1;
      const bytes = sizes[layer]!;
      const isHeld = held !== undefined && held[layer] === 1;
      for (let of = imagesOf.starts[layer]!; of < imagesOf.starts[layer + 1]!; of += 1) {
        const sharer = imagesOf.values[of]!;
        if (this.#isOpen[sharer] !== 1 || (this.#table.viewOf[sharer] === layer && isOnlyView(this.#table, sharer, layer))) continue;
        this.#added[sharer] = this.#added[sharer]! - bytes;
        if (isHeld) this.#addedHeld[sharer] = this.#addedHeld[sharer]! - bytes;
        if (this.#isTouched[sharer] === 1) continue;
        this.#isTouched[sharer] = 1;
        this.#touched[touchedCount] = sharer;
        touchedCount += 1;
      }
    }
    for (let n = 0; n < touchedCount; n += 1) {
      const sharer = this.#touched[n]!;
      this.#isTouched[sharer] = 0;
      this.#heap.put(sharer, this.#density(sharer));
    }
  }

  #open(image: number): void {
    const { layersOf, sizes } = this.#table;
    const held = this.#competition.held;
    for (let at = layersOf.starts[image]!; at < layersOf.starts[image + 1]!; at += 1) {
      const layer = layersOf.values[at]!;
      if (this.#layers[layer] === 1) continue;
      this.#added[image] = this.#added[image]! + sizes[layer]!;
      if (held !== undefined && held[layer] === 1) this.#addedHeld[image] = this.#addedHeld[image]! + sizes[layer]!;
    }
    this.#isOpen[image] = 1;
  }

  #density(image: number): number {
    const weighed = this.#added[image]! - (1 - (this.#competition.heldBytesRatio ?? 1)) * this.#addedHeld[image]!;
    return weighed === 0 ? Number.POSITIVE_INFINITY : this.#competition.values[image]! / weighed;
  }
}
