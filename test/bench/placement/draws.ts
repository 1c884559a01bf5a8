/** Random draws that a seed tells: the same seed gives the same draws on every machine (Mulberry32). */
export class Draws {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 to below 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** The same elements in an order of chance. */
  shuffled<Of>(list: readonly Of[]): Of[] {
    const shuffled = [...list];
    for (let last = shuffled.length - 1; last > 0; last -= 1) {
      const at = Math.floor(this.next() * (last + 1));
      [shuffled[last], shuffled[at]] = [shuffled[at]!, shuffled[last]!];
    }
    return shuffled;
  }
}

/** The demand of `count` images: one over the rank to the power of `alpha`, in an order of chance, 1 in all. */
export function zipfDemand(count: number, alpha: number, draws: Draws): Float64Array {
  const demand = Float64Array.from(draws.shuffled([...Array(count).keys()]), (rank) => (rank + 1) ** -alpha);
  const total = demand.reduce((sum, each) => sum + each, 0);
  return demand.map((each) => each / total);
}
