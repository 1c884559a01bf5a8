import type { Digest } from '#oci';

import { LayerRecord, type MappedImageLayer } from './layer-record.js';
import type { ImageLayerRow, ImageRow, IndexChildRow, LayerRow, ManifestContent, MapKey, MapRow, MappedReplicaState, MapTopic, ReplicaRow, RepositoryRow, TagRow } from './map-row.js';

/** A manifest in the map. */
export type MappedImage =
  | { readonly kind: 'image'; readonly layers: readonly MappedImageLayer[]; readonly view: LayerRecord | undefined }
  | { readonly kind: 'index'; readonly children: readonly IndexChildRow[] };

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
  readonly images: Map<Digest, MappedImage>;
}

/**
 * What every lookup is answered from: which images a repository has, how far their layers are, and which shares hold them.
 * Rows are put and removed by key, in any order and any number of times; the map is what the last row of each key said.
 * One map belongs to one process and is never shared; a layer's digest is kept once, and a replica takes eight bytes.
 */
export class ReplicaMap {
  /** When the rows were last known to be all there were; undefined until the first full load. By this process's clock. */
  asOf: Date | undefined = undefined;
  readonly #repositories = new Map<string, RepositoryEntry>();
  readonly #layers = new Map<Digest, LayerRecord>();
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
  image(repository: string, digest: Digest): MappedImage | undefined {
    return this.#repositories.get(repository)?.images.get(digest);
  }

  /** What is known of a layer, whoever refers to it. */
  layer(digest: Digest): LayerRecord | undefined {
    return this.#layers.get(digest);
  }

  /** The number by which records know a share; undefined for a share without any replica yet. */
  shareNumber(share: string): number | undefined {
    return this.#shareNumbers.get(share);
  }

  /** The state of one replica; undefined where there is none. */
  replicaState(layer: Digest, share: string): MappedReplicaState | undefined {
    const number = this.#shareNumbers.get(share);
    return number === undefined ? undefined : this.#layers.get(layer)?.stateOn(number);
  }

  /**
   * Every row that it holds, in the order in which they are loaded. The map may change meanwhile: rows that come or go before they are told are told or not, and
   * what is told of a row was so when it was told.
   */
  *rows(): Generator<MapRow, void> {
    for (const [name, { enabled }] of this.#repositories) if (enabled !== undefined) yield { topic: 'repository', name, enabled };
    for (const [repository, { tags }] of this.#repositories) for (const [tag, digest] of tags) yield { topic: 'tag', repository, tag, digest };
    for (const [digest, { expansion }] of this.#layers) if (expansion !== undefined) yield { topic: 'layer', digest, ...expansion };
    for (const [repository, { images }] of this.#repositories) for (const [digest, image] of images) yield { topic: 'image', repository, digest, content: contentOf(image) };
    for (const [layer, record] of this.#layers) {
      for (const { number, state } of record.replicas()) yield { topic: 'replica', layer, share: this.#shareNames[number]!, state };
    }
  }

  /** Puts a row of any topic in the place of what its key had. */
  put(row: MapRow): void {
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
    images.set(row.digest, content.kind === 'index' ? content : { kind: 'image', layers: content.layers.map((layer) => this.#describe(layer)), view: this.#viewed(content.view) });
    if (before === undefined) this.#imageCount += 1;
    else this.#letGo(before);
  }

  /** Forgets a manifest. */
  removeImage(repository: string, digest: Digest): void {
    const entry = this.#repositories.get(repository);
    const image = entry?.images.get(digest);
    if (entry === undefined || image === undefined) return;
    entry.images.delete(digest);
    this.#imageCount -= 1;
    this.#letGo(image);
    this.#dropIfEmpty(repository, entry);
  }

  /** Puts how far the expansion of a layer is. */
  putLayer(row: LayerRow): void {
    const record = this.#record(row.digest);
    if (row.state !== 'expanded') {
      record.expansion = row.state === 'expanding' ? { state: row.state, since: row.since, doneBytes: row.doneBytes }
        : row.state === 'refused' ? { state: row.state, refusal: row.refusal } : { state: row.state, since: row.since };
      return;
    }
    const known = record.described?.diffId;
    const diffId = known === row.diffId ? known : row.diffId;
    const verity = row.verity === undefined ? undefined : { rootHash: row.verity.rootHash, hashOffset: row.verity.hashOffset };
    record.expansion = { state: row.state, diffId, writerVersion: row.writerVersion, vhd: { digest: row.vhd.digest, sizeBytes: row.vhd.sizeBytes }, verity };
  }

  /** Forgets the expansion of a layer. */
  removeLayer(digest: Digest): void {
    const record = this.#layers.get(digest);
    if (record === undefined) return;
    record.expansion = undefined;
    this.#dropIfUnused(record);
  }

  /** Puts the state of a replica. */
  putReplica(row: Omit<ReplicaRow, 'topic'>): void {
    let number = this.#shareNumbers.get(row.share);
    if (number === undefined) {
      number = this.#shareNumbers.size;
      this.#shareNumbers.set(row.share, number);
      this.#shareNames.push(row.share);
    }
    if (this.#record(row.layer).setState(number, row.state)) this.#replicaCount += 1;
  }

  /** Forgets a replica. */
  removeReplica(layer: Digest, share: string): void {
    const record = this.#layers.get(layer);
    const number = this.#shareNumbers.get(share);
    if (record === undefined || number === undefined || !record.removeOn(number)) return;
    this.#replicaCount -= 1;
    this.#dropIfUnused(record);
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

  #record(digest: Digest): LayerRecord {
    let record = this.#layers.get(digest);
    if (record === undefined) {
      record = new LayerRecord(digest);
      this.#layers.set(digest, record);
    }
    return record;
  }

  #dropIfUnused(record: LayerRecord): void {
    if (record.unused) this.#layers.delete(record.digest);
  }

  /** Counts one more image that names the layer, and finds or makes the description that it shares with others. */
  #describe(layer: ImageLayerRow): MappedImageLayer {
    const record = this.#record(layer.digest);
    record.imageCount += 1;
    const known = record.described;
    if (known !== undefined && known.diffId === layer.diffId && known.sizeBytes === layer.sizeBytes) return known;
    const expanded = record.expansion?.state === 'expanded' ? record.expansion.diffId : undefined;
    const described = { digest: record.digest, diffId: expanded === layer.diffId ? expanded : layer.diffId, sizeBytes: layer.sizeBytes, record };
    record.described ??= described;
    return described;
  }

  /** Counts one more image that has the merged view. */
  #viewed(view: Digest | undefined): LayerRecord | undefined {
    if (view === undefined) return undefined;
    const record = this.#record(view);
    record.imageCount += 1;
    return record;
  }

  #letGo(image: MappedImage): void {
    if (image.kind !== 'image') return;
    for (const { record } of image.layers) this.#letGoOf(record);
    if (image.view !== undefined) this.#letGoOf(image.view);
  }

  #letGoOf(record: LayerRecord): void {
    record.imageCount -= 1;
    this.#dropIfUnused(record);
  }
}

function contentOf(image: MappedImage): ManifestContent {
  if (image.kind === 'index') return image;
  return { kind: 'image', view: image.view?.digest, layers: image.layers.map(({ digest, diffId, sizeBytes }) => ({ digest, diffId, sizeBytes })) };
}
