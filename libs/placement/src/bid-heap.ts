/**
 * The bids of images that compete, the best on top: the densest, of equally dense ones the most valued, then the smallest number. A bid may only rise. Cost:
 * O(log images) for each change, no allocation.
 */
export class BidHeap {
  readonly #values: Float64Array;
  readonly #density: Float64Array;
  readonly #heap: Int32Array;
  /** Where in the heap an image is; -1 when it is not. */
  readonly #at: Int32Array;
  #size = 0;

  /** @param values what each image is worth, by its number. */
  constructor(values: Float64Array) {
    this.#values = values;
    this.#density = new Float64Array(values.length);
    this.#heap = new Int32Array(values.length);
    this.#at = new Int32Array(values.length).fill(-1);
  }

  /** All at once: the bids of images that have none yet. Cost: O(images). */
  fill(images: readonly number[], densityOf: (image: number) => number): void {
    for (const image of images) {
      this.#density[image] = densityOf(image);
      this.#set(this.#size, image);
      this.#size += 1;
    }
    for (let at = (this.#size >> 1) - 1; at >= 0; at -= 1) this.#sink(this.#heap[at]!, at);
  }

  /** An image bids, or bids more. */
  put(image: number, density: number): void {
    let at = this.#at[image]!;
    if (at < 0) {
      at = this.#size;
      this.#size += 1;
    }
    this.#density[image] = density;
    this.#raise(image, at);
  }

  /** Takes the best bid's image off; -1 when there is none. */
  pop(): number {
    if (this.#size === 0) return -1;
    const best = this.#heap[0]!;
    this.#at[best] = -1;
    this.#size -= 1;
    if (this.#size > 0) this.#sink(this.#heap[this.#size]!, 0);
    return best;
  }

  #raise(image: number, from: number): void {
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = this.#heap[parent]!;
      if (!this.#isBetter(image, above)) break;
      this.#set(at, above);
      at = parent;
    }
    this.#set(at, image);
  }

  /** Puts an image in and lets it down to where it belongs. */
  #sink(image: number, from: number): void {
    let at = from;
    for (let child = 2 * at + 1; child < this.#size; child = 2 * at + 1) {
      if (child + 1 < this.#size && this.#isBetter(this.#heap[child + 1]!, this.#heap[child]!)) child += 1;
      const below = this.#heap[child]!;
      if (!this.#isBetter(below, image)) break;
      this.#set(at, below);
      at = child;
    }
    this.#set(at, image);
  }

  #set(at: number, image: number): void {
    this.#heap[at] = image;
    this.#at[image] = at;
  }

  #isBetter(a: number, b: number): boolean {
    const density = this.#density;
    if (density[a] !== density[b]) return density[a]! > density[b]!;
    const values = this.#values;
    return values[a] === values[b] ? a < b : values[a]! > values[b]!;
  }
}
