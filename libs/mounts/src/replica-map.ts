import type { Digest } from '#oci';

import type { LayerRecord, LayerTable } from './layer-record.js';
import { MapTables, type RepositoryEntry } from './map-tables.js';
import { MappedImage, type MappedManifest } from './mapped-image.js';
import type { ImageRow, LayerReplicasRow, LayerRow, LoadedRow, MapKey, MappedReplicaState, MapTopic, ReplicaRow, RepositoryRow, TagRow } from './map-row.js';

/** How much a map holds. */
export interface MapCounts {
  readonly repositories: number;
  readonly tags: number;
  readonly images: number;
  readonly layers: number;
  readonly replicas: number;
}

/**
 * What every lookup is answered from: which images a repository has, how far their layers are, and which shares hold them.
 * Rows are put and removed by key, in any order and any number of times; the map is what the last row of each key said.
 * One map belongs to one process and is never shared. What there are many of lies in few large pieces of memory, by numbers: a layer takes some 240 bytes, with the states of its replicas on sixty shares.
 */
export class ReplicaMap {
  /** When the rows were last known to be all there were; undefined until the first full load. By this process's clock. */
  asOf: Date | undefined = undefined;
  /** For snapshots, which copy them. */
  readonly tables: MapTables;
  readonly #repositories: MapTables['repositories'];
  readonly #layers: LayerTable;
  #tagCount = 0;
  #imageCount = 0;
  #replicaCount = 0;

  /** @param tables of a snapshot, whole; without them it is empty. They are the map's from now on. */
  constructor(tables = new MapTables()) {
    this.tables = tables;
    this.#repositories = tables.repositories;
    this.#layers = tables.layers;
    for (const { tags, images } of tables.repositories.values()) {
      this.#tagCount += tags.size;
      this.#imageCount += images.size;
    }
    const { digests, replicas } = tables.layers;
    for (let number = 0; number < digests.end; number += 1) this.#replicaCount += replicas.countOf(number);
  }

  /** How much it holds now. Cheap. */
  get counts(): MapCounts {
    return {
      repositories: this.#repositories.size,
      tags: this.#tagCount,
      images: this.#imageCount,
      layers: this.#layers.size,
      replicas: this.#replicaCount,
    };
  }

  /** Whether images of `repository` are mounted; undefined for one that is not known. */
  enabled(repository: string): boolean | undefined {
    return this.#repositories.get(repository)?.enabled;
  }

  /** The manifest that a tag names now. */
  tagged(repository: string, tag: string): Digest | undefined {
    return this.#repositories.get(repository)?.tags.get(tag);
  }

  /** A manifest of that repository. The same digest in another repository is another question. */
  image(repository: string, digest: Digest): MappedManifest | undefined {
    return this.#repositories.get(repository)?.images.get(digest);
  }

  /** What is known of a layer, whoever refers to it. */
  layer(digest: Digest): LayerRecord | undefined {
    return this.#layers.find(digest);
  }

  /** The number by which records know a share; undefined for a share without any replica yet. */
  shareNumber(share: string): number | undefined {
    return this.tables.shareNumber(share);
  }

  /** The state of one replica; undefined where there is none. */
  replicaState(layer: Digest, share: string): MappedReplicaState | undefined {
    const number = this.tables.shareNumber(share);
    return number === undefined ? undefined : this.layer(layer)?.stateOn(number);
  }

  /** Puts a row of any topic in the place of what its key had. */
  put(row: LoadedRow): void {
    switch (row.topic) {
      case 'repository':
        return this.putRepository(row);
      case 'tag':
        return this.putTag(row);
      case 'image':
        return this.putImage(row);
      case 'layer':
        return this.putLayer(row);
      case 'replica':
        return this.putReplica(row);
      case 'replicas':
        return this.putReplicas(row);
    }
  }

  /** Removes the row of that key; an unknown key changes nothing. `key` is in the order of {@link keyOf}. */
  remove(topic: MapTopic, key: MapKey): void {
    const [first = '', second = ''] = key;
    switch (topic) {
      case 'repository':
        return this.removeRepository(first);
      case 'tag':
        return this.removeTag(first, second);
      case 'image':
        return this.removeImage(first, second as Digest);
      case 'layer':
        return this.removeLayer(first as Digest);
      case 'replica':
        return this.removeReplica(first as Digest, second);
    }
  }

  /** Puts a repository; its tags and images are rows of their own. */
  putRepository(row: Omit<RepositoryRow, 'topic'>): void {
    this.tables.repository(row.name).enabled = row.enabled;
  }

  /** Forgets that a repository is known. */
  removeRepository(name: string): void {
    const entry = this.#repositories.get(name);
    if (entry === undefined) return;
    entry.enabled = undefined;
    this.#dropIfEmpty(name, entry);
  }

  /** Puts what a tag names. */
  putTag(row: Omit<TagRow, 'topic'>): void {
    const { tags } = this.tables.repository(row.repository);
    if (!tags.has(row.tag)) this.#tagCount += 1;
    tags.set(row.tag, row.digest);
  }

  /** Forgets a tag. */
  removeTag(repository: string, tag: string): void {
    const entry = this.#repositories.get(repository);
    if (entry?.tags.delete(tag) !== true) return;
    this.#tagCount -= 1;
    this.#dropIfEmpty(repository, entry);
  }

  /** Puts a manifest. */
  putImage(row: Omit<ImageRow, 'topic'>): void {
    const { images } = this.tables.repository(row.repository);
    const before = images.get(row.digest);
    const { content } = row;
    // The new one first: what both refer to stays where it is.
    images.set(row.digest, content.kind === 'index' ? content : MappedImage.of(this.#layers, content));
    if (before === undefined) this.#imageCount += 1;
    else if (before.kind === 'image') before.letGo();
  }

  /** Forgets a manifest. */
  removeImage(repository: string, digest: Digest): void {
    const entry = this.#repositories.get(repository);
    const image = entry?.images.get(digest);
    if (entry === undefined || image === undefined) return;
    entry.images.delete(digest);
    this.#imageCount -= 1;
    if (image.kind === 'image') image.letGo();
    this.#dropIfEmpty(repository, entry);
  }

  /** Puts how far the expansion of a layer is. */
  putLayer(row: LayerRow): void {
    this.#layers.columns.setExpansion(this.#layers.digests.add(row.digest), row);
  }

  /** Forgets the expansion of a layer. */
  removeLayer(digest: Digest): void {
    const number = this.#layers.digests.find(digest);
    if (number < 0) return;
    this.#layers.columns.setExpansion(number, undefined);
    this.#layers.dropIfUnused(number);
  }

  /** Puts the state of a replica. */
  putReplica({ layer, share, state }: Omit<ReplicaRow, 'topic'>): void {
    this.putReplicas({ layer, replicas: [{ share, state }] });
  }

  /** Puts the states of several replicas of one layer; others that it has stay. */
  putReplicas(row: Omit<LayerReplicasRow, 'topic'>): void {
    if (row.replicas.length === 0) return;
    const { digests, replicas, columns } = this.#layers;
    const number = digests.add(row.layer);
    for (const { share, state } of row.replicas) if (replicas.set(number, this.tables.addShare(share), state)) this.#replicaCount += 1;
    columns.changed(number);
  }

  /** Forgets a replica. */
  removeReplica(layer: Digest, share: string): void {
    const { digests, replicas, columns } = this.#layers;
    const number = digests.find(layer);
    const shareNumber = this.tables.shareNumber(share);
    if (number < 0 || shareNumber === undefined || !replicas.remove(number, shareNumber)) return;
    this.#replicaCount -= 1;
    columns.changed(number);
    this.#layers.dropIfUnused(number);
  }

  #dropIfEmpty(name: string, entry: RepositoryEntry): void {
    if (entry.enabled === undefined && entry.tags.size === 0 && entry.images.size === 0) this.#repositories.delete(name);
  }
}
