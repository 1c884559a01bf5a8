import { DAY_MS } from '#quantities';

/** Generations that are told apart: the newest image of a repository, and the eleven before it. Older ones count as the eleventh. */
export const GENERATIONS = 12;
/** Shares to begin with, before anything was counted: what public studies of registries suggest, a few parts for each older generation. */
const FIRST_SHARES: readonly number[] = [0.55, 0.16, 0.09, 0.06, 0.04, 0.03, 0.02, 0.015, 0.012, 0.009, 0.007, 0.005];
/** What the first shares are worth, in pulls. */
const FIRST_PULLS = 200;
/** How many pulls of a repository count as much as the shares of all. */
const SHARED_PULLS = 100;
/** No generation is taken to get less than this of all pulls. */
const SHARE_MIN = 0.002;
const HALF_LIFE_MS = 28 * DAY_MS;
/** Repositories whose own shares are kept; beyond it those with the fewest pulls go, and are taken for like all others. */
export const REPOSITORIES_MAX = 20_000;

/** What shares are made of, for keeping them. */
export interface AgeSharesState {
  readonly all: readonly number[];
  readonly repositories: readonly (readonly [string, readonly number[]])[];
}

/** Which part of a repository's pulls its newest image gets, and each older one: learned for all repositories, and for each as far as it is pulled enough to tell. */
export class AgeShares {
  #all: number[];
  readonly #repositories: Map<string, number[]>;

  constructor(state?: AgeSharesState) {
    this.#all = [...(state?.all ?? FIRST_SHARES.map((share) => share * FIRST_PULLS))];
    this.#repositories = new Map((state?.repositories ?? []).map(([name, pulls]) => [name, [...pulls]]));
  }

  get state(): AgeSharesState {
    return { all: this.#all, repositories: [...this.#repositories] };
  }

  /** Learns of pulls of an image that was so many generations old. */
  learn(repository: string, generation: number, pulls: number): void {
    const place = Math.min(generation, GENERATIONS - 1);
    this.#all[place] = this.#all[place]! + pulls;
    let own = this.#repositories.get(repository);
    if (own === undefined) this.#repositories.set(repository, (own = Array.from({ length: GENERATIONS }, () => 0)));
    own[place] = own[place]! + pulls;
  }

  /** Lets what was learned so far count less, and forgets what there is no room for. */
  pass(ms: number): void {
    const kept = 2 ** (-ms / HALF_LIFE_MS);
    this.#all = this.#all.map((pulls) => pulls * kept);
    for (const [name, own] of this.#repositories) {
      for (let place = 0; place < GENERATIONS; place += 1) own[place] = own[place]! * kept;
      if (sumOf(own) < 0.5) this.#repositories.delete(name);
    }
    if (this.#repositories.size <= REPOSITORIES_MAX) return;
    const least = [...this.#repositories].map(([name, own]) => ({ name, pulls: sumOf(own) })).toSorted((a, b) => a.pulls - b.pulls || (a.name < b.name ? -1 : 1));
    for (const { name } of least.slice(0, this.#repositories.size - REPOSITORIES_MAX)) this.#repositories.delete(name);
  }

  /** The share of each generation of a repository, were there all of them; they sum to 1, and each is above 0. */
  of(repository: string): readonly number[] {
    const own = this.#repositories.get(repository);
    const total = sumOf(this.#all);
    const blended = this.#all.map((pulls, place) => (own?.[place] ?? 0) + (SHARED_PULLS * (pulls + SHARE_MIN * total)) / total);
    const sum = sumOf(blended);
    return blended.map((each) => each / sum);
  }
}

function sumOf(numbers: readonly number[]): number {
  let sum = 0;
  for (const each of numbers) sum += each;
  return sum;
}
