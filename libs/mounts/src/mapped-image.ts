import type { IndexChildRow, ManifestContent } from './map-row.js';
import type { LayerDescription } from './layer-columns.js';
import type { LayerRecord, LayerTable, MappedImageLayer } from './layer-record.js';

/** An index of images in the map. */
export interface MappedIndex {
  readonly kind: 'index';
  readonly children: readonly IndexChildRow[];
}

/** A manifest in the map. The same object for as long as the map says the same of it. */
export type MappedManifest = MappedImage | MappedIndex;

/** An image in the map: its layers by their numbers, 8 bytes each. */
export class MappedImage {
  readonly kind = 'image';
  readonly #table: LayerTable;
  readonly #layers: readonly number[];
  /** Where this image describes a layer otherwise than the first one that named it: by the layer's place. */
  readonly #own: ReadonlyMap<number, LayerDescription> | undefined;
  readonly #view: number | undefined;

  /** Counts as one more image that names these layers, until {@link letGo}. */
  constructor(table: LayerTable, content: ManifestContent & { readonly kind: 'image' }) {
    const own = new Map<number, LayerDescription>();
    this.#table = table;
    this.#layers = content.layers.map(({ digest, diffId, sizeBytes }, place) => {
      const number = table.digests.add(digest);
      if (!table.columns.describe(number, { diffId, sizeBytes })) own.set(place, { diffId, sizeBytes });
      table.columns.countImages(number, 1);
      return number;
    });
    this.#own = own.size === 0 ? undefined : own;
    this.#view = content.view === undefined ? undefined : table.digests.add(content.view);
    if (this.#view !== undefined) table.columns.countImages(this.#view, 1);
  }

  /** Its layers, the lowest first. Made anew each time. */
  get layers(): MappedImageLayer[] {
    const { digests, columns } = this.#table;
    return this.#layers.map((number, place) => ({ digest: digests.textOf(number), ...(this.#own?.get(place) ?? columns.description(number)!), record: this.#table.record(number) }));
  }

  /** The record of its merged view. */
  get view(): LayerRecord | undefined {
    return this.#view === undefined ? undefined : this.#table.record(this.#view);
  }

  /** Of all records behind it, added up: while it is the same, so is what they say. Cheap. */
  get version(): number {
    const { columns } = this.#table;
    let sum = this.#view === undefined ? 0 : columns.version(this.#view);
    for (let place = 0; place < this.#layers.length; place += 1) sum += columns.version(this.#layers[place]!);
    return sum;
  }

  /** It is not of the map any more: what only it named is forgotten. */
  letGo(): void {
    for (const number of this.#layers) this.#letGoOf(number);
    if (this.#view !== undefined) this.#letGoOf(this.#view);
  }

  #letGoOf(number: number): void {
    this.#table.columns.countImages(number, -1);
    this.#table.dropIfUnused(number);
  }
}
