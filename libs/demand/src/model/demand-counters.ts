import type { Digest } from '#oci';
import type { RegionName } from '#regions';

import type { DemandKey } from '../observation.js';
import { HALF_LIVES_MS, type Weights } from './half-lives.js';

/** Numbers of one counter in the table: a weight for each half-life, and the instant at which they are worth that. */
const COLUMNS = 4;
const AT = 3;
const NONE: Weights = [0, 0, 0];

/**
 * Exact counts of pulls with forward decay (Cormode et al., ICDE 2009), for every image and repository in every region. Counting is adding up, so the order in which pulls come, late ones
 * included, makes no difference beyond rounding. About 150 bytes for each key; what there may be of keys is for whoever fills it to bound.
 */
export class DemandCounters {
  readonly #regions = new Map<RegionName, RegionCounters>();

  /** Counts `count` pulls of one instant. */
  add(key: DemandKey, atMs: number, count = 1): void {
    this.addWeights(key, atMs, [count, count, count]);
  }

  /** Adds counts that are worth `weights` at an instant, or takes them back where these are less than nothing. */
  addWeights({ region, repository, image }: DemandKey, atMs: number, weights: Weights): void {
    let counters = this.#regions.get(region);
    if (counters === undefined) this.#regions.set(region, (counters = new RegionCounters()));
    counters.add(repository, image, atMs, weights);
  }

  /** Regions that anything was counted in. */
  get regions(): readonly RegionName[] {
    return [...this.#regions.keys()];
  }

  /** What was counted in a region; nothing for one that is not known. */
  in(region: RegionName): Pick<RegionCounters, 'image' | 'repository' | 'all' | 'images' | 'imagesOf' | 'repositories'> {
    return this.#regions.get(region) ?? new RegionCounters();
  }
}

/** What was counted in one region. */
export class RegionCounters {
  readonly #rows = new Map<string, number>();
  readonly #repositoryRows = new Map<string, number>();
  readonly #imagesOf = new Map<string, string[]>();
  #table = new Float64Array(COLUMNS * 64);
  /** Row 0 is the whole region. */
  #rowCount = 1;

  /** Counts pulls of an image that are worth `weights` at an instant, for it, its repository and the region. */
  add(repository: string, image: Digest, atMs: number, weights: Weights): void {
    this.#add(0, atMs, weights);
    this.#add(this.#rowOf(this.#repositoryRows, repository), atMs, weights);
    const key = `${repository} ${image}`;
    if (!this.#rows.has(key)) this.#noteImage(repository, key);
    this.#add(this.#rowOf(this.#rows, key), atMs, weights);
  }

  /** What an image is worth at an instant. @param key `repository image`. */
  image(key: string, atMs: number): Weights {
    return this.#read(this.#rows.get(key), atMs);
  }

  /** What a repository is worth at an instant: the sum of its images. */
  repository(name: string, atMs: number): Weights {
    return this.#read(this.#repositoryRows.get(name), atMs);
  }

  /** What the region is worth at an instant. */
  all(atMs: number): Weights {
    return this.#read(0, atMs);
  }

  /** Keys of the images that were counted. */
  images(): IterableIterator<string> {
    return this.#rows.keys();
  }

  /** Keys of the images of one repository that were counted. */
  imagesOf(repository: string): readonly string[] {
    return this.#imagesOf.get(repository) ?? [];
  }

  /** The repositories that were counted. */
  repositories(): IterableIterator<string> {
    return this.#repositoryRows.keys();
  }

  #noteImage(repository: string, key: string): void {
    const images = this.#imagesOf.get(repository);
    if (images === undefined) this.#imagesOf.set(repository, [key]);
    else images.push(key);
  }

  #rowOf(rows: Map<string, number>, key: string): number {
    const known = rows.get(key);
    if (known !== undefined) return known;
    const row = this.#rowCount;
    this.#rowCount += 1;
    if (this.#rowCount * COLUMNS > this.#table.length) {
      const larger = new Float64Array(this.#table.length * 2);
      larger.set(this.#table);
      this.#table = larger;
    }
    rows.set(key, row);
    return row;
  }

  #add(row: number, atMs: number, weights: Weights): void {
    const table = this.#table;
    const at = row * COLUMNS;
    const beforeMs = table[at + AT]!;
    // Written down at the later of both instants, so that no weight ever grows.
    const laterMs = Math.max(beforeMs, atMs);
    for (let n = 0; n < HALF_LIVES_MS.length; n += 1) {
      const halfLifeMs = HALF_LIVES_MS[n]!;
      const held = table[at + n]!;
      table[at + n] = (held === 0 ? 0 : held * 2 ** ((beforeMs - laterMs) / halfLifeMs)) + weights[n]! * 2 ** ((atMs - laterMs) / halfLifeMs);
    }
    table[at + AT] = laterMs;
  }

  #read(row: number | undefined, atMs: number): Weights {
    if (row === undefined) return NONE;
    const table = this.#table;
    const at = row * COLUMNS;
    const ageMs = atMs - table[at + AT]!;
    // Of what was taken back whole, rounding may leave less than nothing.
    return [
      Math.max(0, table[at]!) * 2 ** (-ageMs / HALF_LIVES_MS[0]),
      Math.max(0, table[at + 1]!) * 2 ** (-ageMs / HALF_LIVES_MS[1]),
      Math.max(0, table[at + 2]!) * 2 ** (-ageMs / HALF_LIVES_MS[2]),
    ];
  }
}
