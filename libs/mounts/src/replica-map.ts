import type { Digest } from '#oci';

import { type LayerRecord, LayerTable } from './layer-record.js';
import { MappedImage, type MappedManifest } from './mapped-image.js';
import type { ImageRow, LayerReplicasRow, LayerRow, LoadedRow, ManifestContent, MapKey, MappedReplicaState, MapTopic, ReplicaRow, RepositoryRow, TagRow } from './map-row.js';

/** How much a map holds. */
export interface MapCounts {
  readonly repositories: number;
  readonly tags: number;
  readonly images: number;
  readonly layers: number;
  readonly replicas: number;
}

interface RepositoryEntry {
  /** Undefined while only its tags or images are known. */
  enabled: boolean | undefined;
  readonly tags: Map<string, Digest>;
  readonly images: Map<Digest, MappedManifest>;
}

/**
 * What every lookup is answered from: which images a repository has, how far their layers are, and which shares hold them.
 * Rows are put and removed by key, in any order and any number of times; the map is what the last row of each key said.
 * One map belongs to one process and is never shared. What there are many of lies in few large pieces of memory, by numbers: a layer takes some 240 bytes, with the states of its replicas on sixty shares.
 */
export class ReplicaMap {
  /** When the rows were last known to be all there were; undefined until the first full load. By this process's clock. */
  asOf: Date | undefined = undefined;
  readonly #repositories = new Map<string, RepositoryEntry>();
  readonly #layers = new LayerTable();
  readonly #shareNumbers = new Map<string, number>();
  readonly #shareNames: string[] = [];
  #tagCount = 0;
  #imageCount = 0;
  #replicaCount = 0;

  /** How much it holds now. Cheap. */
  get counts(): MapCounts {
    return {
      repositories: this.#repositories.size,
      tags: this.#tagCount,
      images: this.#imageCount,
      layers: this.#layers.digests.size,
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
    const number = this.#layers.digests.find(digest);
    return number < 0 ? undefined : this.#layers.record(number);
  }

  /** The number by which records know a share; undefined for a share without any replica yet. */
  shareNumber(share: string): number | undefined {
    return this.#shareNumbers.get(share);
  }

  /** The state of one replica; undefined where there is none. */
  replicaState(layer: Digest, share: string): MappedReplicaState | undefined {
    const number = this.#shareNumbers.get(share);
    return number === undefined ? undefined : this.layer(layer)?.stateOn(number);
  }

  /**
   * Every row that it holds, in the order in which they are loaded. The map may change meanwhile: rows that come or go before they are told are told or not, and
   * what is told of a row was so when it was told.
   */
  *rows(): Generator<LoadedRow, void> {
    for (const [name, { enabled }] of this.#repositories) if (enabled !== undefined) yield { topic: 'repository', name, enabled };
    for (const [repository, { tags }] of this.#repositories) for (const [tag, digest] of tags) yield { topic: 'tag', repository, tag, digest };
    const { digests, columns, replicas } = this.#layers;
    for (let number = 0; number < digests.end; number += 1) {
      const expansion = columns.expansion(number);
      if (expansion !== undefined) yield { topic: 'layer', digest: digests.textOf(number), ...expansion };
    }
    for (const [repository, { images }] of this.#repositories) for (const [digest, image] of images) yield { topic: 'image', repository, digest, content: contentOf(image) };
    for (let number = 0; number < digests.end; number += 1) {
      if (replicas.countOf(number) === 0) continue;
      yield { topic: 'replicas', layer: digests.textOf(number), replicas: Array.from(replicas.of(number), ({ share, state }) => ({ share: this.#shareNames[share]!, state })) };
    }
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
    this.#repository(row.name).enabled = row.enabled;
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
    const { tags } = this.#repository(row.repository);
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
    const { images } = this.#repository(row.repository);
    const before = images.get(row.digest);
    const { content } = row;
    // The new one first: what both refer to stays where it is.
    images.set(row.digest, content.kind === 'index' ? content : new MappedImage(this.#layers, content));
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
    for (const { share, state } of row.replicas) if (replicas.set(number, this.#shareNumber(share), state)) this.#replicaCount += 1;
    columns.changed(number);
  }

  /** Forgets a replica. */
  removeReplica(layer: Digest, share: string): void {
    const { digests, replicas, columns } = this.#layers;
    const number = digests.find(layer);
    const shareNumber = this.#shareNumbers.get(share);
    if (number < 0 || shareNumber === undefined || !replicas.remove(number, shareNumber)) return;
    this.#replicaCount -= 1;
    columns.changed(number);
    this.#layers.dropIfUnused(number);
  }

  #shareNumber(share: string): number {
    let number = this.#shareNumbers.get(share);
    if (number === undefined) {
      number = this.#shareNames.push(share) - 1;
      this.#shareNumbers.set(share, number);
    }
    return number;
  }

  #repository(name: string): RepositoryEntry {
    let entry = this.#repositories.get(name);
    if (entry === undefined) {
      entry = { enabled: undefined, tags: new Map(), images: new Map() };
      this.#repositories.set(name, entry);
    }
    return entry;
  }

  #dropIfEmpty(name: string, entry: RepositoryEntry): void {
    if (entry.enabled === undefined && entry.tags.size === 0 && entry.images.size === 0) this.#repositories.delete(name);
  }
}

function contentOf(image: MappedManifest): ManifestContent {
  if (image.kind === 'index') return image;
  return { kind: 'image', view: image.view?.digest, layers: image.layers.map(({ digest, diffId, sizeBytes }) => ({ digest, diffId, sizeBytes })) };
}
