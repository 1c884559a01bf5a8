import { DECLINED, LayerKeeper, type Offer } from './layer-keeper.js';

/** The share of the capacity that takes newcomers without asking. */
const WINDOW_RATIO = 0.01;
/** The share of the rest that what was pulled again is safe in. */
const PROTECTED_RATIO = 0.8;
/** Pulls after which all counts are halved. */
const HALVE_AFTER = 100_000;

type Segment = Map<number, number>;

/**
 * W-TinyLFU with aggregated victims (Einziger et al., TOS 2022): what leaves the window is admitted where it was pulled more often than all that would have to go for it, together.
 * Counts are exact here instead of sketched, which can only help it.
 */
export class TinyLfuKeeper extends LayerKeeper {
  readonly #capacityBytes: number;
  readonly #window: Segment = new Map();
  readonly #probation: Segment = new Map();
  readonly #protected: Segment = new Map();
  readonly #counts = new Map<number, number>();
  #countedSince = 0;
  readonly #used = new Map<Segment, number>();

  constructor(capacityBytes: number) {
    super();
    this.#capacityBytes = capacityBytes;
  }

  touch(layer: number): void {
    this.#count(layer);
    const sizeBytes = this.#window.get(layer) ?? this.#probation.get(layer) ?? this.#protected.get(layer);
    if (sizeBytes === undefined) return;
    if (this.#window.has(layer)) return this.#put(this.#window, layer, sizeBytes);
    this.#take(this.#probation, layer);
    this.#put(this.#protected, layer, sizeBytes);
    while (this.#bytes(this.#protected) > this.#mainBytes() * PROTECTED_RATIO && this.#protected.size > 1) {
      const [oldest, bytes] = this.#protected.entries().next().value!;
      this.#take(this.#protected, oldest);
      this.#put(this.#probation, oldest, bytes);
    }
  }

  offer(layer: number, sizeBytes: number): Offer {
    this.#count(layer);
    if (sizeBytes > this.#mainBytes()) return DECLINED;
    const evicted: number[] = [];
    this.#put(this.#window, layer, sizeBytes);
    while (this.#bytes(this.#window) > this.#capacityBytes * WINDOW_RATIO) {
      const [candidate, bytes] = this.#window.entries().next().value!;
      this.#take(this.#window, candidate);
      const victims = this.#victimsFor(candidate, bytes);
      if (victims === undefined) {
        evicted.push(candidate);
        continue;
      }
      for (const victim of victims) this.forget(victim);
      evicted.push(...victims);
      this.#put(this.#probation, candidate, bytes);
    }
    return evicted.includes(layer) ? { kept: false, evicted: evicted.filter((each) => each !== layer) } : { kept: true, evicted };
  }

  forget(layer: number): void {
    for (const segment of [this.#window, this.#probation, this.#protected]) this.#take(segment, layer);
  }

  /** What would have to go; undefined when that is worth more than the candidate. */
  #victimsFor(candidate: number, sizeBytes: number): number[] | undefined {
    let missing = this.#bytes(this.#probation) + this.#bytes(this.#protected) + sizeBytes - this.#mainBytes();
    const victims: number[] = [];
    let worth = 0;
    const ownWorth = this.#counts.get(candidate) ?? 0;
    for (const segment of [this.#probation, this.#protected]) {
      for (const [victim, bytes] of segment) {
        if (missing <= 0) return victims;
        worth += this.#counts.get(victim) ?? 0;
        if (worth >= ownWorth) return undefined;
        victims.push(victim);
        missing -= bytes;
      }
    }
    return missing <= 0 ? victims : undefined;
  }

  #count(layer: number): void {
    this.#counts.set(layer, (this.#counts.get(layer) ?? 0) + 1);
    this.#countedSince += 1;
    if (this.#countedSince < HALVE_AFTER) return;
    this.#countedSince = 0;
    for (const [each, count] of this.#counts) {
      if (count > 1) this.#counts.set(each, count >> 1);
      else this.#counts.delete(each);
    }
  }

  #mainBytes(): number {
    return this.#capacityBytes * (1 - WINDOW_RATIO);
  }

  #bytes(segment: Segment): number {
    return this.#used.get(segment) ?? 0;
  }

  #put(segment: Segment, layer: number, sizeBytes: number): void {
    this.#take(segment, layer);
    segment.set(layer, sizeBytes);
    this.#used.set(segment, this.#bytes(segment) + sizeBytes);
  }

  #take(segment: Segment, layer: number): void {
    const sizeBytes = segment.get(layer);
    if (sizeBytes === undefined) return;
    segment.delete(layer);
    this.#used.set(segment, this.#bytes(segment) - sizeBytes);
  }
}
