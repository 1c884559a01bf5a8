import type { Competition } from './choose-by-density.js';
import type { BundleTable } from './layer-table.js';
import { STEP_COUNT } from './steps.js';

/** Amounts below this share of all that there is count for nothing: sums of fractions are not exact. */
const NEGLIGIBLE_RATIO = 1e-12;

/**
 * What would be chosen if every byte had a price: the set of images that are worth most beyond the price of all of their layers, each paid once. It may hold images of which none alone is
 * worth its price, only all of them together. For one price this is the selection of projects that share tools (Rhys 1970), and found by a maximum flow: each image gives of its value to its
 * layers until these are paid; who has something left over is chosen, with all who paid for what it needs. The sets grow as the price falls.
 */
export class PricedBundles {
  readonly #values: Float64Array;
  /** What each image's own layers weigh, which no other image has, and what shared ones do. */
  readonly #own: Float64Array;
  readonly #weights: Float64Array;
  /** The edges of image `i` are `starts[i]` up to before `starts[i + 1]`; each leads to a shared layer. */
  readonly #starts: Int32Array;
  readonly #layerOf: Int32Array;
  /** The same edges by layer. */
  readonly #layerStarts: Int32Array;
  readonly #edgeAt: Int32Array;
  readonly #imageOf: Int32Array;
  readonly #flow: Float64Array;
  readonly #supply: Float64Array;
  readonly #lack: Float64Array;
  readonly #imageLevel: Int32Array;
  readonly #layerLevel: Int32Array;
  readonly #next: Int32Array;
  readonly #layerNext: Int32Array;
  readonly #queue: Int32Array;
  #negligible = 0;

  constructor(table: BundleTable, { candidates, values, held, heldBytesRatio = 1, base }: Competition) {
    const images = Int32Array.from(candidates);
    const { starts, values: layers } = table.layersOf;
    const sharers = new Int32Array(table.layers.length);
    let pairCount = 0;
    for (const image of images) {
      for (let at = starts[image]!; at < starts[image + 1]!; at += 1) sharers[layers[at]!] = sharers[layers[at]!]! + 1;
      pairCount += starts[image + 1]! - starts[image]!;
    }
    const numberOf = new Int32Array(table.layers.length).fill(-1);
    const weights = new Float64Array(Math.min(pairCount, table.layers.length));
    const targets = new Int32Array(pairCount);
    const sources = new Int32Array(pairCount);
    let [layerCount, edgeCount] = [0, 0];
    this.#values = new Float64Array(images.length);
    this.#own = new Float64Array(images.length);
    this.#starts = new Int32Array(images.length + 1);
    for (let n = 0; n < images.length; n += 1) {
      const image = images[n]!;
      this.#values[n] = values[image]!;
      for (let at = starts[image]!; at < starts[image + 1]!; at += 1) {
        const layer = layers[at]!;
        if (base[layer] === 1) continue;
        const weight = table.sizes[layer]! * (held !== undefined && held[layer] === 1 ? heldBytesRatio : 1);
        if (sharers[layer] === 1) {
          this.#own[n] = this.#own[n]! + weight;
          continue;
        }
        if (numberOf[layer]! < 0) {
          numberOf[layer] = layerCount;
          weights[layerCount] = weight;
          layerCount += 1;
        }
        targets[edgeCount] = numberOf[layer]!;
        sources[edgeCount] = n;
        edgeCount += 1;
      }
      this.#starts[n + 1] = edgeCount;
    }
    this.#weights = weights.subarray(0, layerCount);
    this.#layerOf = targets.subarray(0, edgeCount);
    this.#imageOf = sources.subarray(0, edgeCount);
    [this.#layerStarts, this.#edgeAt] = byTarget(this.#layerOf, layerCount);
    this.#flow = new Float64Array(edgeCount);
    this.#supply = new Float64Array(images.length);
    this.#lack = new Float64Array(layerCount);
    this.#imageLevel = new Int32Array(images.length);
    this.#layerLevel = new Int32Array(layerCount);
    this.#next = new Int32Array(images.length);
    this.#layerNext = new Int32Array(layerCount);
    this.#queue = new Int32Array(images.length + layerCount);
  }

  /** The candidates that are worth it at a price for each byte, in their order: 1 for those. In steps, between which no other price may be asked for. */
  *at(price: number): Generator<undefined, Uint8Array> {
    this.#open(price);
    yield;
    while (this.#findLevels()) {
      yield;
      this.#next.set(this.#starts.subarray(0, -1));
      this.#layerNext.set(this.#layerStarts.subarray(0, -1));
      for (let begin = 0; begin < this.#supply.length; begin += STEP_COUNT) {
        this.#giveAll(begin, Math.min(begin + STEP_COUNT, this.#supply.length));
        yield;
      }
    }
    const chosen = new Uint8Array(this.#supply.length);
    for (let n = 0; n < chosen.length; n += 1) if (this.#imageLevel[n]! >= 0) chosen[n] = 1;
    return chosen;
  }

  /** Every image gives to its layers what it can. */
  #open(price: number): void {
    this.#flow.fill(0);
    for (let layer = 0; layer < this.#lack.length; layer += 1) this.#lack[layer] = this.#weights[layer]! * price;
    let total = 0;
    for (let n = 0; n < this.#supply.length; n += 1) {
      this.#supply[n] = Math.max(0, this.#values[n]! - this.#own[n]! * price);
      total += this.#supply[n]!;
    }
    this.#negligible = total * NEGLIGIBLE_RATIO;
    for (let edge = 0; edge < this.#flow.length; edge += 1) {
      const [n, layer] = [this.#imageOf[edge]!, this.#layerOf[edge]!];
      const given = Math.min(this.#supply[n]!, this.#lack[layer]!);
      this.#flow[edge] = given;
      this.#supply[n] = this.#supply[n]! - given;
      this.#lack[layer] = this.#lack[layer]! - given;
    }
  }

  /** How far images and layers are from one that has something left over; -1 for those that nothing reaches. @returns whether a layer that lacks something is reached. */
  #findLevels(): boolean {
    this.#imageLevel.fill(-1);
    this.#layerLevel.fill(-1);
    let end = 0;
    for (let n = 0; n < this.#supply.length; n += 1) {
      if (this.#supply[n]! <= this.#negligible) continue;
      this.#imageLevel[n] = 0;
      this.#queue[end++] = n;
    }
    let isReached = false;
    const images = this.#supply.length;
    for (let begin = 0; begin < end; begin += 1) {
      const node = this.#queue[begin]!;
      if (node < images) {
        for (let edge = this.#starts[node]!; edge < this.#starts[node + 1]!; edge += 1) {
          const layer = this.#layerOf[edge]!;
          if (this.#layerLevel[layer]! >= 0) continue;
          this.#layerLevel[layer] = this.#imageLevel[node]! + 1;
          isReached ||= this.#lack[layer]! > this.#negligible;
          this.#queue[end++] = images + layer;
        }
        continue;
      }
      const layer = node - images;
      for (let at = this.#layerStarts[layer]!; at < this.#layerStarts[layer + 1]!; at += 1) {
        const edge = this.#edgeAt[at]!;
        const n = this.#imageOf[edge]!;
        if (this.#imageLevel[n]! >= 0 || this.#flow[edge]! <= this.#negligible) continue;
        this.#imageLevel[n] = this.#layerLevel[layer]! + 1;
        this.#queue[end++] = n;
      }
    }
    return isReached;
  }

  /** Has some images, one after the other, give what they have left over. */
  #giveAll(begin: number, end: number): void {
    for (let n = begin; n < end; n += 1) if (this.#supply[n]! > this.#negligible) this.#supply[n] = this.#supply[n]! - this.#give(n, this.#supply[n]!);
  }

  /** Has an image give up to `amount` to its layers, or to what those that pay for them can pay instead. @returns what was taken. */
  #give(n: number, amount: number): number {
    let left = amount;
    for (; this.#next[n]! < this.#starts[n + 1]!; this.#next[n] = this.#next[n]! + 1) {
      const edge = this.#next[n]!;
      const layer = this.#layerOf[edge]!;
      if (this.#layerLevel[layer] !== this.#imageLevel[n]! + 1) continue;
      const taken = this.#take(layer, left);
      this.#flow[edge] = this.#flow[edge]! + taken;
      left -= taken;
      if (left <= this.#negligible) break;
    }
    return amount - left;
  }

  #take(layer: number, amount: number): number {
    const lacked = Math.min(amount, this.#lack[layer]!);
    this.#lack[layer] = this.#lack[layer]! - lacked;
    let left = amount - lacked;
    for (; left > this.#negligible && this.#layerNext[layer]! < this.#layerStarts[layer + 1]!; this.#layerNext[layer] = this.#layerNext[layer]! + 1) {
      const edge = this.#edgeAt[this.#layerNext[layer]!]!;
      const n = this.#imageOf[edge]!;
      if (this.#imageLevel[n] !== this.#layerLevel[layer]! + 1 || this.#flow[edge]! <= this.#negligible) continue;
      const taken = this.#give(n, Math.min(left, this.#flow[edge]!));
      this.#flow[edge] = this.#flow[edge]! - taken;
      left -= taken;
      if (left <= this.#negligible) break;
    }
    return amount - left;
  }
}

/** Numbers of edges by what they lead to: where each target's begin, and the edges. */
function byTarget(targets: Int32Array, count: number): [Int32Array, Int32Array] {
  const starts = new Int32Array(count + 1);
  for (let edge = 0; edge < targets.length; edge += 1) starts[targets[edge]! + 1] = starts[targets[edge]! + 1]! + 1;
  for (let target = 0; target < count; target += 1) starts[target + 1] = starts[target + 1]! + starts[target]!;
  const next = starts.slice();
  const edges = new Int32Array(targets.length);
  for (let edge = 0; edge < targets.length; edge += 1) {
    const target = targets[edge]!;
    edges[next[target]!] = edge;
    next[target] = next[target]! + 1;
  }
  return [starts, edges];
}
