import { Random } from '../../fuzz/random.js';

/** Draws from the distributions that workloads are made of; the same seed gives the same draws. */
export class Chance {
  readonly #random: Random;

  /** @param seed a whole number of 32 bits. */
  constructor(seed: number) {
    this.#random = new Random(seed);
  }

  /** From 0 up to 1, not included. */
  uniform(): number {
    return this.#random.below(2 ** 32) / 2 ** 32;
  }

  /** A whole number from 0 up to `end`, not included. */
  below(end: number): number {
    return this.#random.below(end);
  }

  /** True with a probability. */
  happens(probability: number): boolean {
    return this.uniform() < probability;
  }

  /** Of mean 1. */
  exponential(): number {
    return -Math.log(1 - this.uniform());
  }

  /** A whole number from 0, geometrically distributed. */
  geometric(mean: number): number {
    return Math.floor(this.exponential() / Math.log(1 + 1 / mean));
  }

  /** Of mean 0 and deviation 1 (Box and Muller). */
  normal(): number {
    return Math.sqrt(2 * this.exponential()) * Math.cos(2 * Math.PI * this.uniform());
  }

  /** Of mean `shape` (Marsaglia and Tsang, 2000). */
  gamma(shape: number): number {
    if (shape < 1) return this.gamma(shape + 1) * (1 - this.uniform()) ** (1 / shape);
    const d = shape - 1 / 3;
    const c = 1 / Math.sqrt(9 * d);
    for (;;) {
      const x = this.normal();
      const v = (1 + c * x) ** 3;
      if (v > 0 && Math.log(1 - this.uniform()) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v;
    }
  }

  /** How many events of a Poisson process of this mean. */
  poisson(mean: number): number {
    if (mean > 500) return Math.max(0, Math.round(mean + Math.sqrt(mean) * this.normal()));
    let count = 0;
    for (let left = mean - this.exponential(); left > 0; left -= this.exponential()) count += 1;
    return count;
  }

  /** The same values in a drawn order (Fisher and Yates). */
  shuffled<Value>(values: readonly Value[]): Value[] {
    const all = [...values];
    for (let n = all.length - 1; n > 0; n -= 1) {
      const other = this.below(n + 1);
      [all[n], all[other]] = [all[other]!, all[n]!];
    }
    return all;
  }

  /** The number of a weight, with a probability as its weight. */
  weighted(cumulative: readonly number[]): number {
    const at = this.uniform() * (cumulative.at(-1) ?? 0);
    let low = 0;
    let high = cumulative.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (cumulative[middle]! > at) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** Running sums. */
export function cumulated(weights: readonly number[]): number[] {
  let sum = 0;
  return weights.map((weight) => (sum += weight));
}
