import { DECLINED, LayerKeeper, type Offer } from './layer-keeper.js';

/** Keeps what was pulled last. */
export class LruKeeper extends LayerKeeper {
  readonly #capacityBytes: number;
  /** Sizes by layer, the longest unused first. */
  readonly #sizes = new Map<number, number>();
  #usedBytes = 0;

  constructor(capacityBytes: number) {
    super();
    this.#capacityBytes = capacityBytes;
  }

  touch(layer: number): void {
    const sizeBytes = this.#sizes.get(layer);
    if (sizeBytes === undefined) return;
    this.#sizes.delete(layer);
    this.#sizes.set(layer, sizeBytes);
  }

  offer(layer: number, sizeBytes: number): Offer {
    if (sizeBytes > this.#capacityBytes) return DECLINED;
    const evicted: number[] = [];
    for (const oldest of this.#sizes.keys()) {
      if (this.#usedBytes + sizeBytes <= this.#capacityBytes) break;
      this.forget(oldest);
      evicted.push(oldest);
    }
    this.#sizes.set(layer, sizeBytes);
    this.#usedBytes += sizeBytes;
    return { kept: true, evicted };
  }

  forget(layer: number): void {
    this.#usedBytes -= this.#sizes.get(layer) ?? 0;
    this.#sizes.delete(layer);
  }
}
