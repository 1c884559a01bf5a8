import type { DemandKey } from './observation.js';

/** Of the pulls of who walks through a registry at most this part is of an image that it had pulled within the hour: it takes each once. Nodes that hide behind one name pull the same again and again. */
const AGAIN_RATIO_MAX = 0.1;

/** A pull that was counted. */
export interface CountedPull {
  readonly key: DemandKey;
  readonly atMs: number;
}

interface Walk {
  readonly counted: Map<string, CountedPull>;
  /** Pulls of what had been pulled before within the hour, counted or not. */
  again: number;
}

/** Remembers what counted of each client within an hour, to tell who walks through the registry once it has pulled too much. Bounded: clients that were quiet for longest are forgotten first. */
export class RegistryWalks {
  readonly #pullsMax: number;
  readonly #walks = new Map<string, Walk>();
  #pullCount = 0;

  /** @param pullsMax counted pulls remembered of all clients together; from 1. */
  constructor(pullsMax: number) {
    this.#pullsMax = pullsMax;
  }

  /** Notes a pull of a client in an hour. @param isCounted false for one that was left out as a repetition. */
  note(hour: string, text: string, pull: CountedPull, isCounted: boolean): void {
    const walk = this.#walks.get(hour) ?? { counted: new Map<string, CountedPull>(), again: 0 };
    this.#walks.delete(hour);
    this.#walks.set(hour, walk);
    if (!isCounted || walk.counted.has(text)) walk.again += 1;
    else {
      walk.counted.set(text, pull);
      this.#pullCount += 1;
    }
    for (const [oldest, { counted }] of this.#walks) {
      if (this.#pullCount <= this.#pullsMax || oldest === hour) return;
      this.#forget(oldest, counted.size);
    }
  }

  /** Of a client that has pulled too much within an hour: what was counted of it, to be taken back, if it walked. Given once. */
  takeBack(hour: string): readonly CountedPull[] {
    const walk = this.#walks.get(hour);
    if (walk === undefined || walk.again > AGAIN_RATIO_MAX * walk.counted.size) return [];
    this.#forget(hour, walk.counted.size);
    return [...walk.counted.values()];
  }

  #forget(hour: string, size: number): void {
    this.#walks.delete(hour);
    this.#pullCount -= size;
  }
}
