import { DECLINED, LayerKeeper, type Offer } from './layer-keeper.js';

interface Kept {
  readonly sizeBytes: number;
  count: number;
  worth: number;
}

/** GreedyDual-Size-Frequency (Cherkasova, HPL-98-69): the least `inflation + pulls / size` goes, and inflation rises to what went. */
export class GdsfKeeper extends LayerKeeper {
  readonly #capacityBytes: number;
  readonly #kept = new Map<number, Kept>();
  readonly #heap: [worth: number, layer: number][] = [];
  #inflation = 0;
  #usedBytes = 0;

  constructor(capacityBytes: number) {
    super();
    this.#capacityBytes = capacityBytes;
  }

  touch(layer: number): void {
    const kept = this.#kept.get(layer);
    if (kept === undefined) return;
    kept.count += 1;
    this.#rank(layer, kept);
  }

  offer(layer: number, sizeBytes: number): Offer {
    if (sizeBytes > this.#capacityBytes) return DECLINED;
    const evicted: number[] = [];
    while (this.#usedBytes + sizeBytes > this.#capacityBytes) {
      const [worth, least] = this.#pop();
      // What has been ranked anew, or is gone, left an entry behind.
      if (this.#kept.get(least)?.worth !== worth) continue;
      this.#inflation = worth;
      this.forget(least);
      evicted.push(least);
    }
    const kept = { sizeBytes, count: 1, worth: 0 };
    this.#kept.set(layer, kept);
    this.#usedBytes += sizeBytes;
    this.#rank(layer, kept);
    return { kept: true, evicted };
  }

  forget(layer: number): void {
    this.#usedBytes -= this.#kept.get(layer)?.sizeBytes ?? 0;
    this.#kept.delete(layer);
  }

  #rank(layer: number, kept: Kept): void {
    kept.worth = this.#inflation + kept.count / Math.max(1, kept.sizeBytes);
    const heap = this.#heap;
    let at = heap.length;
    const entry: [number, number] = [kept.worth, layer];
    heap.push(entry);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (heap[parent]![0] <= entry[0]) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = entry;
  }

  /** The least entry; the heap holds one for all that is kept. */
  #pop(): [worth: number, layer: number] {
    const heap = this.#heap;
    const top = heap[0]!;
    const last = heap.pop()!;
    if (heap.length === 0) return top;
    let at = 0;
    for (let child = 1; child < heap.length; child = 2 * at + 1) {
      if (child + 1 < heap.length && heap[child + 1]![0] < heap[child]![0]) child += 1;
      if (heap[child]![0] >= last[0]) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return top;
  }
}
