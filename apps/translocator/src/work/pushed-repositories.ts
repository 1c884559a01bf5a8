import type { Change } from '#database';
import type { Digest } from '#oci';
import type { CatalogueReader } from '#registry';

/** Repositories that wait for a plan of their own at a time: beyond it one plan for all is cheaper than so many small ones. */
export const PUSHED_REPOSITORIES_MAX = 100;
/** Layers of which it is looked up together whose they are. */
const LAYERS_AT_ONCE = 1000;

/**
 * The repositories that were pushed to and have not been planned for since: each once, however many changes its push was. When there are too many, or what changed cannot be told any more,
 * everything has to be planned.
 */
export class PushedRepositories {
  readonly #catalogue: Pick<CatalogueReader, 'repositoriesOfLayers'>;
  readonly #names = new Set<string>();
  readonly #layers = new Set<Digest>();
  #isEverything = false;

  constructor(catalogue: Pick<CatalogueReader, 'repositoriesOfLayers'>) {
    this.#catalogue = catalogue;
  }

  /** True when nothing waits. */
  get isEmpty(): boolean {
    return !this.#isEverything && this.#names.size === 0 && this.#layers.size === 0;
  }

  /** Notes what the change feed told. Replicas are left out: those are what plans change. A repository that is enabled or disabled is for a plan that sees everything. */
  note(changes: readonly Change[], gap: boolean): void {
    if (gap) this.#isEverything = true;
    for (const { topic, key } of changes) {
      const [first] = key;
      if (topic === 'repository') this.#isEverything = true;
      if ((topic === 'tag' || topic === 'image') && first !== undefined) this.#names.add(first);
      if (topic === 'layer' && first !== undefined) this.#layers.add(first as Digest);
    }
    if (this.#names.size > PUSHED_REPOSITORIES_MAX || this.#layers.size > LAYERS_AT_ONCE) this.#isEverything = true;
  }

  /** Puts names back that were taken and not planned for. */
  noteNames(names: readonly string[]): void {
    for (const name of names) this.#names.add(name);
  }

  /**
   * Takes out what waits: names of repositories, ascending, or `everything`. What cannot be looked up stays, with its error.
   * Layers of no image that is known any more bring nothing.
   */
  async take(): Promise<readonly string[] | 'everything'> {
    const layers = [...this.#layers];
    if (!this.#isEverything && layers.length > 0) {
      const owners = await this.#catalogue.repositoriesOfLayers(layers, PUSHED_REPOSITORIES_MAX + 1);
      for (const name of owners) this.#names.add(name);
      for (const layer of layers) this.#layers.delete(layer);
    }
    if (this.#isEverything || this.#names.size > PUSHED_REPOSITORIES_MAX) {
      this.clear();
      return 'everything';
    }
    const names = [...this.#names].toSorted();
    this.#names.clear();
    return names;
  }

  /** Forgets all: a plan for everything is about to be made. */
  clear(): void {
    this.#isEverything = false;
    this.#names.clear();
    this.#layers.clear();
  }
}
