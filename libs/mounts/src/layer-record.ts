import type { Digest } from '#oci';

import { DigestTable } from './digest-table.js';
import { LayerColumns, type LayerDescription } from './layer-columns.js';
import type { LayerState, MappedReplicaState } from './map-row.js';
import { ReplicaStates } from './replica-states.js';

/** One layer of one image, with a direct way to what is known of that layer. */
export interface MappedImageLayer extends LayerDescription {
  readonly digest: Digest;
  readonly record: LayerRecord;
}

/** Everything that a map knows of layers, by their numbers. */
export class LayerTable {
  readonly digests = new DigestTable();
  readonly columns = new LayerColumns();
  readonly replicas = new ReplicaStates();
  #holds = 0;
  /** Layers that nothing referred to at some time while they were held. */
  readonly #unused = new Set<number>();

  /** How many layers anything refers to. Cheap. */
  get size(): number {
    let size = this.digests.size;
    for (const number of this.#unused) if (!this.#isUsed(number)) size -= 1;
    return size;
  }

  /** What is known of a layer; undefined where nothing refers to it. */
  find(digest: Digest): LayerRecord | undefined {
    const number = this.digests.find(digest);
    return number < 0 || (this.#holds > 0 && !this.#isUsed(number)) ? undefined : this.record(number);
  }

  /** What is known of the layer of that number, which is in use. */
  record(number: number): LayerRecord {
    return new LayerRecord(this, number);
  }

  /** Gives the number back when nothing refers to the layer any more, as soon as layers are not held. */
  dropIfUnused(number: number): void {
    if (this.#isUsed(number)) return;
    if (this.#holds > 0) {
      this.#unused.add(number);
      return;
    }
    this.columns.clear(number);
    this.digests.remove(number);
  }

  /**
   * Until what is returned is disposed of, every number stays that of its layer and a layer's description stays as it is: what is read at different instants fits together.
   * What nothing refers to then is forgotten in one turn; it is no more than what is removed while a snapshot is written.
   */
  hold(): Disposable {
    this.#holds += 1;
    return { [Symbol.dispose]: () => this.#letGo() };
  }

  /** After rows were written as bytes into an empty table: makes layers known by their digests, counts the images that name them, and gives numbers free that nothing refers to. */
  index(images: Iterable<{ count(): void }>): void {
    for (let number = 0; number < this.digests.end; number += 1) this.columns.clearImageCount(number);
    for (const image of images) image.count();
    for (let number = 0; number < this.digests.end; number += 1) if (!this.#isUsed(number)) this.columns.clear(number);
    this.digests.index((number) => this.#isUsed(number));
  }

  #isUsed(number: number): boolean {
    return this.columns.isAsked(number) || this.columns.imageCount(number) > 0 || this.replicas.countOf(number) > 0;
  }

  #letGo(): void {
    this.#holds -= 1;
    if (this.#holds > 0) return;
    const unused = [...this.#unused];
    this.#unused.clear();
    for (const number of unused) this.dropIfUnused(number);
  }
}

/** What is known of one layer: its expansion and its replicas. A way to the map's tables and nothing more: it is live, and of use only until the map forgets the layer. */
export class LayerRecord {
  readonly #table: LayerTable;
  readonly #number: number;

  constructor(table: LayerTable, number: number) {
    this.#table = table;
    this.#number = number;
  }

  /** Written anew each time. */
  get digest(): Digest {
    return this.#table.digests.textOf(this.#number);
  }

  /** Undefined while nobody has asked for its expansion. Made anew each time. */
  get expansion(): LayerState | undefined {
    return this.#table.columns.expansion(this.#number);
  }

  /** How often images name it, as a layer or as their merged view. */
  get imageCount(): number {
    return this.#table.columns.imageCount(this.#number);
  }

  /** Grows with every change of its expansion or of a replica: what was made from the record at an equal version holds. */
  get version(): number {
    return this.#table.columns.version(this.#number);
  }

  /** How many shares have a replica in any state. */
  get replicaCount(): number {
    return this.#table.replicas.countOf(this.#number);
  }

  /** The state on the share with that number; undefined where there is no replica. */
  stateOn(shareNumber: number): MappedReplicaState | undefined {
    return this.#table.replicas.stateOn(this.#number, shareNumber);
  }
}
