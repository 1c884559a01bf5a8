import { after } from '#clock';
import type { ExpandedLayerStore, LayerRecord } from '#expansion';
import type { LeaseStore } from '#mounts';
import type { Digest } from '#oci';
import { type HeldReplica, imageKey, PlacementFacts, type PlacementImage, type PlacementRegion } from '#placement';
import type { RegionMap, RegionName } from '#regions';
import { CATALOGUE_ROWS_MAX, type CatalogueReader, type RecordedImage, type RecordedTag, type RepositoryState } from '#registry';
import type { ReplicaStore } from '#replication';

import type { ShareSet } from '../foundation/share-set.js';

/** Rows read at once. */
const PAGE_ROWS = 1000;

/** The stores that plans are made from. */
export interface FactStores {
  readonly catalogue: CatalogueReader;
  readonly layers: ExpandedLayerStore;
  readonly replicas: ReplicaStore;
  readonly leases: LeaseStore;
  readonly shares: ShareSet;
  readonly regions: RegionMap;
  /** How long a layer stays after the last reference to it went. */
  readonly unreferencedGraceMs: number;
}

/** Gathers what plans depend on from the rooms' stores. */
export class StoredPlacementFacts extends PlacementFacts {
  readonly #stores: FactStores;

  constructor(stores: FactStores) {
    super();
    this.#stores = stores;
  }

  regions(): Promise<readonly PlacementRegion[]> {
    const { shares, regions } = this.#stores;
    return Promise.resolve([...shares.byName.values()].map(({ region, capacityBytes }) => ({ region, capacityBytes, home: region === regions.home })));
  }

  /** All images of enabled repositories, tagged or not: a pin by digest does not move with a tag, and nodes pull by digest, too. */
  async images(limit: number): Promise<readonly PlacementImage[]> {
    const [enabled, names] = [await this.#enabledRepositories(), await this.#namesOfImages()];
    const placeable: PlacementImage[] = [];
    for await (const page of pages((last: RecordedImage | undefined) => this.#stores.catalogue.imagesAfter(last, CATALOGUE_ROWS_MAX))) {
      const images = page.filter((image) => image.kind === 'image' && enabled.has(image.repository));
      const records = await this.#records(images.flatMap((image) => image.layers.map((layer) => layer.digest)));
      for (const image of images) {
        const layers = expandedLayers(image, records);
        if (layers === undefined) continue;
        const { repository, digest, pushedAt } = image;
        const { tags, indexes } = names.get(imageKey(image)) ?? { tags: new Set<string>(), indexes: [] };
        placeable.push({ repository, digest, tags: [...tags].toSorted(), pushedAt, layers, indexes });
        if (placeable.length >= limit) return placeable;
      }
    }
    return placeable;
  }

  async replicas(region: RegionName, now: Date, limit: number): Promise<readonly HeldReplica[]> {
    const { replicas, leases, shares } = this.#stores;
    const share = shares.inRegion(region)?.name ?? region;
    const leased = await leases.leasedLayers(share, now);
    const held: HeldReplica[] = [];
    for await (const page of pages((last: { readonly layer: Digest; readonly share: string } | undefined) => replicas.page(last, PAGE_ROWS, { share }))) {
      held.push(...page.map(({ layer, sizeBytes, state, priority }) => ({ layer, sizeBytes, state, priority, leased: leased.has(layer) })));
      if (held.length >= limit) return held.slice(0, limit);
    }
    return held;
  }

  /** All that expansion knows, but for what has been without a reference for longer than the grace time: the sweep keeps those notes. */
  async referencedLayers(now: Date, limit: number): Promise<ReadonlySet<Digest>> {
    const { layers, unreferencedGraceMs } = this.#stores;
    const releasedBefore = after(now, -unreferencedGraceMs);
    const referenced = new Set<Digest>();
    for await (const page of pages((last: LayerRecord | undefined) => layers.page(last?.digest, PAGE_ROWS))) {
      for (const { digest, unreferencedSince } of page) {
        if (unreferencedSince === undefined || unreferencedSince > releasedBefore) referenced.add(digest);
        if (referenced.size >= limit) return referenced;
      }
    }
    return referenced;
  }

  async #records(digests: readonly Digest[]): Promise<Map<Digest, LayerRecord>> {
    const records = new Map<Digest, LayerRecord>();
    const distinct = [...new Set(digests)];
    for (let begin = 0; begin < distinct.length; begin += PAGE_ROWS) {
      for (const record of await this.#stores.layers.find(distinct.slice(begin, begin + PAGE_ROWS))) records.set(record.digest, record);
    }
    return records;
  }

  async #enabledRepositories(): Promise<Set<string>> {
    const { catalogue } = this.#stores;
    const enabled = new Set<string>();
    for await (const page of pages((last: RepositoryState | undefined) => catalogue.repositoriesAfter(last?.name, CATALOGUE_ROWS_MAX))) {
      for (const repository of page) if (repository.enabled) enabled.add(repository.name);
    }
    return enabled;
  }

  /** By image: the tags that point to it or to an index that names it, and these indexes. */
  async #namesOfImages(): Promise<Map<string, ImageNames>> {
    const { catalogue } = this.#stores;
    const names = new Map<string, ImageNames>();
    const namesOf = (image: ImageKey): ImageNames => {
      const key = imageKey(image);
      const known = names.get(key) ?? { tags: new Set<string>(), indexes: [] };
      names.set(key, known);
      return known;
    };
    for await (const page of pages((last: RecordedTag | undefined) => catalogue.tagsAfter(last, CATALOGUE_ROWS_MAX))) {
      for (const tag of page) namesOf(tag).tags.add(tag.tag);
    }
    for await (const page of pages((last: RecordedImage | undefined) => catalogue.imagesAfter(last, CATALOGUE_ROWS_MAX))) {
      for (const index of page) {
        const tags = names.get(imageKey(index))?.tags ?? [];
        for (const { digest } of index.children) {
          const child = namesOf({ repository: index.repository, digest });
          child.indexes.push(index.digest);
          for (const tag of tags) child.tags.add(tag);
        }
      }
    }
    return names;
  }
}

interface ImageKey {
  readonly repository: string;
  readonly digest: Digest;
}

interface ImageNames {
  readonly tags: Set<string>;
  readonly indexes: Digest[];
}

/** The layers of an image that can be placed; undefined while one of them is still to be expanded. */
function expandedLayers(image: RecordedImage, records: ReadonlyMap<Digest, LayerRecord>): PlacementImage['layers'] | undefined {
  const layers = new Map<Digest, number>();
  for (const { digest } of image.layers) {
    const record = records.get(digest);
    if (record?.state === 'refused') continue;
    if (record?.expanded === undefined) return undefined;
    layers.set(digest, record.expanded.vhd.sizeBytes);
  }
  return [...layers].map(([digest, sizeBytes]) => ({ digest, sizeBytes }));
}

async function* pages<Row>(read: (last: Row | undefined) => Promise<readonly Row[]>): AsyncGenerator<readonly Row[], void> {
  for (let last: Row | undefined; ;) {
    const page = await read(last);
    last = page.at(-1);
    if (last === undefined) return;
    yield page;
  }
}
