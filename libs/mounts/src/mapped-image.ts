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

/** An image by the numbers of its layers. */
export interface ImageNumbers {
  /** The lowest first. */
  readonly layers: readonly number[];
  /** Where this image describes a layer otherwise than the first one that named it: by the layer's place. */
  readonly own: ReadonlyMap<number, LayerDescription> | undefined;
  readonly view: number | undefined;
}

/** An image in the map: its layers by their numbers, 8 bytes each. */
export class MappedImage {
  readonly kind = 'image';
  readonly #table: LayerTable;
  readonly #layers: ImageNumbers['layers'];
  readonly #own: ImageNumbers['own'];
  readonly #view: ImageNumbers['view'];

  /** An image that is not counted yet. */
  constructor(table: LayerTable, { layers, own, view }: ImageNumbers) {
    this.#table = table;
    this.#layers = layers;
    this.#own = own;
    this.#view = view;
  }

  /** The image with this content. Counts as one more that names these layers, until {@link letGo}. */
  static of(table: LayerTable, content: ManifestContent & { readonly kind: 'image' }): MappedImage {
    const own = new Map<number, LayerDescription>();
    const layers = content.layers.map(({ digest, diffId, sizeBytes }, place) => {
      const number = table.digests.add(digest);
      if (!table.columns.describe(number, { diffId, sizeBytes })) own.set(place, { diffId, sizeBytes });
      table.columns.countImages(number, 1);
      return number;
    });
    const view = content.view === undefined ? undefined : table.digests.add(content.view);
    if (view !== undefined) table.columns.countImages(view, 1);
    return new MappedImage(table, { layers, own: own.size === 0 ? undefined : own, view });
  }

  /** Counts as one more image that names its layers, which all are in the table. @throws {Error} when one is not. */
  count(): void {
    const { columns, digests } = this.#table;
    for (const [place, number] of this.#layers.entries()) {
      if (number >= digests.end || (this.#own?.has(place) !== true && columns.description(number) === undefined)) throw new Error(`an image names the layer ${number}, of which nothing is known`);
      columns.countImages(number, 1);
    }
    if (this.#view === undefined) return;
    if (this.#view >= digests.end) throw new Error(`an image names the view ${this.#view}, of which nothing is known`);
    columns.countImages(this.#view, 1);
  }

  /** As it is made of, for snapshots. */
  get numbers(): ImageNumbers {
    return { layers: this.#layers, own: this.#own, view: this.#view };
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
