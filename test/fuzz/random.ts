/** A source of choices that its seed decides: the same seed gives the same choices on every machine (mulberry32, by T. Ettinger). */
export class Random {
  #state: number;

  /** @param seed a whole number of 32 bits. */
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A whole number from 0 up to `end`, not included. */
  below(end: number): number {
    this.#state = (this.#state + 0x6d2b_79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * end);
  }

  /** One of a list's values; the list is not empty. */
  pick<Value>(values: readonly Value[]): Value {
    return values[this.below(values.length)]!;
  }

  /** True once in `times`, about. */
  oneIn(times: number): boolean {
    return this.below(times) === 0;
  }
}
