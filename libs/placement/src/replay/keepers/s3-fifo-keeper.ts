import { DECLINED, LayerKeeper, type Offer } from './layer-keeper.js';

/** The share of the capacity of the queue that filters what is pulled once. */
const SMALL_RATIO = 0.1;
/** Pulls that are remembered of what is there. */
const COUNT_MAX = 3;

/** S3-FIFO (Yang et al., SOSP 2023): newcomers pass a small queue, what was pulled again there goes on to the main one, and a list of what went lets it in there at once. */
export class S3FifoKeeper extends LayerKeeper {
  readonly #capacityBytes: number;
  readonly #small = new Map<number, number>();
  readonly #main = new Map<number, number>();
  /** Sizes of what went from the small queue, as many bytes as the main one holds. */
  readonly #gone = new Map<number, number>();
  readonly #counts = new Map<number, number>();
  #smallBytes = 0;
  #mainBytes = 0;
  #goneBytes = 0;

  constructor(capacityBytes: number) {
    super();
    this.#capacityBytes = capacityBytes;
  }

  touch(layer: number): void {
    this.#counts.set(layer, Math.min(COUNT_MAX, (this.#counts.get(layer) ?? 0) + 1));
  }

  offer(layer: number, sizeBytes: number): Offer {
    if (sizeBytes > this.#capacityBytes) return DECLINED;
    const evicted: number[] = [];
    while (this.#smallBytes + this.#mainBytes + sizeBytes > this.#capacityBytes) {
      const isSmallFull = this.#smallBytes >= this.#capacityBytes * SMALL_RATIO || this.#main.size === 0;
      const went = isSmallFull ? this.#evictSmall() : this.#evictMain();
      if (went !== undefined) evicted.push(went);
    }
    const wasThere = this.#gone.get(layer);
    if (wasThere === undefined) {
      this.#small.set(layer, sizeBytes);
      this.#smallBytes += sizeBytes;
    } else {
      this.#gone.delete(layer);
      this.#goneBytes -= wasThere;
      this.#main.set(layer, sizeBytes);
      this.#mainBytes += sizeBytes;
    }
    this.#counts.set(layer, 0);
    return { kept: true, evicted };
  }

  forget(layer: number): void {
    this.#smallBytes -= this.#small.get(layer) ?? 0;
    this.#mainBytes -= this.#main.get(layer) ?? 0;
    this.#small.delete(layer);
    this.#main.delete(layer);
    this.#counts.delete(layer);
  }

  /** Moves the oldest of the small queue on, or lets it go. @returns what went. */
  #evictSmall(): number | undefined {
    const [layer, sizeBytes] = this.#small.entries().next().value!;
    this.#small.delete(layer);
    this.#smallBytes -= sizeBytes;
    if ((this.#counts.get(layer) ?? 0) > 0) {
      this.#counts.set(layer, 0);
      this.#main.set(layer, sizeBytes);
      this.#mainBytes += sizeBytes;
      return undefined;
    }
    this.#counts.delete(layer);
    this.#gone.set(layer, sizeBytes);
    this.#goneBytes += sizeBytes;
    for (const [oldest, bytes] of this.#gone) {
      if (this.#goneBytes <= this.#capacityBytes * (1 - SMALL_RATIO)) break;
      this.#gone.delete(oldest);
      this.#goneBytes -= bytes;
    }
    return layer;
  }

  #evictMain(): number | undefined {
    const [layer, sizeBytes] = this.#main.entries().next().value!;
    this.#main.delete(layer);
    const count = this.#counts.get(layer) ?? 0;
    if (count > 0) {
      this.#counts.set(layer, count - 1);
      this.#main.set(layer, sizeBytes);
      return undefined;
    }
    this.#mainBytes -= sizeBytes;
    this.#counts.delete(layer);
    return layer;
  }
}
