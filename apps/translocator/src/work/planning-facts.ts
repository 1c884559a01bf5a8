import { after } from '#clock';
import type { ExpandedLayerStore, LayerStanding } from '#expansion';
import type { LeaseStore } from '#mounts';
import type { Digest } from '#oci';
import { type CatalogueImages, type HeldReplica, imageKey, PlacementFacts, type PlacementImage, type PlacementRegion, type RepositoryFacts, type TransferBudget, type UnfinishedImage } from '#placement';
import type { RegionMap, RegionName } from '#regions';
import { CATALOGUE_ROWS_MAX, type CatalogueReader, type RecordedImage, type RecordedTag, type RepositoryState } from '#registry';
import type { LinkLedger, ReplicaStore, ShareDrains } from '#replication';

import type { ShareSet } from '../foundation/share-set.js';
import { dayBudget, type DayLimits } from './day-budget.js';

/** Rows read at once. */
const PAGE_ROWS = 1000;
/** Before every digest, in the order of keys. */
const FIRST_DIGEST = '' as Digest;

/** The stores that plans are made from. */
export interface FactStores {
  readonly catalogue: CatalogueReader;
  readonly layers: ExpandedLayerStore;
  readonly replicas: ReplicaStore;
  readonly leases: LeaseStore;
  readonly shares: ShareSet;
  readonly regions: RegionMap;
  readonly drains: Pick<ShareDrains, 'list'>;
  /** How long a layer stays after the last reference to it went. */
  readonly unreferencedGraceMs: number;
  readonly ledger: LinkLedger;
  readonly limits: DayLimits;
}

/** Gathers what plans depend on from the rooms' stores. */
export class StoredPlacementFacts extends PlacementFacts {
  readonly #stores: FactStores;

  constructor(stores: FactStores) {
    super();
    this.#stores = stores;
  }

  /** Regions that are drained are left out: nothing is planned for them, and what they have is not the planner's to take away. */
  async regions(): Promise<readonly PlacementRegion[]> {
    const { shares, regions, drains } = this.#stores;
    const drained = new Set((await drains.list()).map(({ share }) => share));
    return [...shares.byName.values()].filter(({ name }) => !drained.has(name)).map(({ region, capacityBytes }) => ({ region, capacityBytes, home: region === regions.home }));
  }

  /**
   * All images of enabled repositories, tagged or not: a pin by digest does not move with a tag, and nodes pull by digest, too. Images are read before
   * tags: what a tag names and was not read was recorded in between, never gone.
   */
  async images(limit: number): Promise<CatalogueImages> {
    const recorded = await this.#recordedImages(limit);
    return this.#catalogueOf(recorded, this.#allTags(), await this.#standings());
  }

  async ofRepositories(names: readonly string[], limit: number): Promise<RepositoryFacts> {
    const { catalogue } = this.#stores;
    const enabled = (await catalogue.repositoriesByName(names)).filter((repository) => repository.enabled).map(({ name }) => name);
    const recorded: RecordedImage[] = [];
    for (const name of enabled) {
      for await (const page of pages((last: RecordedImage | undefined) => catalogue.imagesAfter(last ?? { repository: name, digest: FIRST_DIGEST }, PAGE_ROWS))) {
        recorded.push(...page.filter(({ repository }) => repository === name));
        if (page.at(-1)?.repository !== name || recorded.length >= limit) break;
      }
    }
    const images = await this.#catalogueOf(recorded.slice(0, limit), this.#tagsOf(enabled), await this.#records(recorded.flatMap(digestsOf)));
    return { images, ...(await this.#replicasOf(recorded)) };
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

  transferBudget(now: Date): Promise<TransferBudget> {
    return dayBudget(this.#stores, this.#stores.limits, now);
  }

  /** All that expansion knows, but for what has been without a reference for longer than the grace time: the sweep keeps those notes. */
  async referencedLayers(now: Date, limit: number): Promise<ReadonlySet<Digest>> {
    const { layers, unreferencedGraceMs } = this.#stores;
    const releasedBefore = after(now, -unreferencedGraceMs);
    const referenced = new Set<Digest>();
    for await (const page of pages((last: LayerStanding | undefined) => layers.standingsAfter(last?.digest, CATALOGUE_ROWS_MAX))) {
      for (const { digest } of page) referenced.add(digest);
      // So many more than a plan takes that those without a reference cannot make up for it.
      if (referenced.size >= 2 * limit) return referenced;
    }
    for await (const page of pages((last: Digest | undefined) => layers.unreferencedSince(releasedBefore, last, CATALOGUE_ROWS_MAX))) for (const digest of page) referenced.delete(digest);
    return referenced;
  }

  /** What shares hold of these images, and, by region, how much else. */
  async #replicasOf(images: readonly RecordedImage[]): Promise<Omit<RepositoryFacts, 'images'>> {
    const { replicas, shares } = this.#stores;
    const regionOf = new Map([...shares.byName.values()].map(({ name, region }) => [name, region]));
    const usage = await replicas.usage();
    const [held, otherBytes] = [new Map<RegionName, HeldReplica[]>(), new Map<RegionName, number>()];
    const add = (share: string, bytes: number): void => {
      const region = regionOf.get(share);
      if (region !== undefined) otherBytes.set(region, (otherBytes.get(region) ?? 0) + bytes);
    };
    for (const { share, sizeBytes } of usage) add(share, sizeBytes);
    const digests = [...new Set(images.flatMap(digestsOf))];
    for (let begin = 0; begin < digests.length; begin += PAGE_ROWS) {
      for (const { layer, share, sizeBytes, state, priority } of await replicas.find(digests.slice(begin, begin + PAGE_ROWS))) {
        const region = regionOf.get(share);
        if (region === undefined) continue;
        const here = held.get(region) ?? [];
        held.set(region, here);
        here.push({ layer, sizeBytes, state, priority, leased: false });
        add(share, -sizeBytes);
      }
    }
    // What came or went between the two readings must not make room that is not there.
    for (const [region, bytes] of otherBytes) otherBytes.set(region, Math.max(0, bytes));
    return { replicas: held, otherBytes };
  }

  async #catalogueOf(recorded: readonly RecordedImage[], tags: AsyncIterable<readonly RecordedTag[]>, records: Standings): Promise<CatalogueImages> {
    const names = await namesOfImages(recorded, tags);
    const placeable: PlacementImage[] = [];
    const unfinished: UnfinishedImage[] = [];
    const images = recorded.filter((image) => image.kind === 'image');
    for (const image of images) {
      const { repository, digest, pushedAt } = image;
      const { tags: ofImage, indexes } = names.get(imageKey(image)) ?? { tags: new Set<string>(), indexes: [] };
      const named = { repository, digest, pushedAt, tags: [...ofImage].toSorted(), indexes };
      const layers = expandedLayers(image, records);
      if (layers === undefined) unfinished.push({ ...named, layers: [...new Set(digestsOf(image))] });
      else placeable.push({ ...named, layers, view: expandedView(image, records) });
    }
    const known = new Set(images.map(imageKey));
    for (const { repository, digest, tags: ofImage, indexes } of names.values()) {
      if (!known.has(imageKey({ repository, digest }))) unfinished.push({ repository, digest, tags: [...ofImage].toSorted(), indexes, layers: [] });
    }
    return { placeable, unfinished };
  }

  #allTags(): AsyncIterable<readonly RecordedTag[]> {
    return pages((last: RecordedTag | undefined) => this.#stores.catalogue.tagsAfter(last, CATALOGUE_ROWS_MAX));
  }

  async *#tagsOf(names: readonly string[]): AsyncGenerator<readonly RecordedTag[], void> {
    for (const name of names) {
      for await (const page of pages((last: RecordedTag | undefined) => this.#stores.catalogue.tagsAfter(last ?? { repository: name, tag: '' }, PAGE_ROWS))) {
        yield page.filter(({ repository }) => repository === name);
        if (page.at(-1)?.repository !== name) break;
      }
    }
  }

  /** How far every layer is. One reading of the whole table, without what only copies need: images share layers, and each would be asked for again. */
  async #standings(): Promise<Standings> {
    const standings = new Map<Digest, LayerStanding>();
    for await (const page of pages((last: LayerStanding | undefined) => this.#stores.layers.standingsAfter(last?.digest, CATALOGUE_ROWS_MAX))) for (const standing of page) standings.set(standing.digest, standing);
    return standings;
  }

  async #records(digests: readonly Digest[]): Promise<Standings> {
    const records = new Map<Digest, LayerStanding>();
    const distinct = [...new Set(digests)];
    for (let begin = 0; begin < distinct.length; begin += PAGE_ROWS) {
      for (const record of await this.#stores.layers.find(distinct.slice(begin, begin + PAGE_ROWS))) records.set(record.digest, record);
    }
    return records;
  }

  /** Images and indexes of enabled repositories; no more than one page beyond `limit`. */
  async #recordedImages(limit: number): Promise<RecordedImage[]> {
    const { catalogue } = this.#stores;
    const enabled = new Set<string>();
    for await (const page of pages((last: RepositoryState | undefined) => catalogue.repositoriesAfter(last?.name, CATALOGUE_ROWS_MAX))) {
      for (const repository of page) if (repository.enabled) enabled.add(repository.name);
    }
    const recorded: RecordedImage[] = [];
    let imageCount = 0;
    for await (const page of pages((last: RecordedImage | undefined) => catalogue.imagesAfter(last, CATALOGUE_ROWS_MAX))) {
      const ofEnabled = page.filter((image) => enabled.has(image.repository));
      recorded.push(...ofEnabled);
      imageCount += ofEnabled.filter((image) => image.kind === 'image').length;
      if (imageCount >= limit) break;
    }
    return recorded;
  }
}

/** How far layers are, by digest. */
type Standings = ReadonlyMap<Digest, LayerStanding>;

interface ImageNames {
  readonly repository: string;
  readonly digest: Digest;
  readonly tags: Set<string>;
  readonly indexes: Digest[];
}

/** By image: the tags that point to it or to an index that names it, and these indexes. An index of which no image was read stands for one itself. */
async function namesOfImages(recorded: readonly RecordedImage[], tags: AsyncIterable<readonly RecordedTag[]>): Promise<Map<string, ImageNames>> {
  const repositories = new Set(recorded.map((image) => image.repository));
  const byKey = new Map(recorded.map((image) => [imageKey(image), image]));
  const names = new Map<string, ImageNames>();
  const namesOf = (repository: string, digest: Digest): ImageNames => {
    const key = imageKey({ repository, digest });
    const known = names.get(key) ?? { repository, digest, tags: new Set<string>(), indexes: [] };
    names.set(key, known);
    return known;
  };
  /** The images that a digest means. */
  const meantBy = (repository: string, digest: Digest): Digest[] => {
    const read = (byKey.get(imageKey({ repository, digest }))?.children ?? []).map((child) => child.digest).filter((child) => byKey.has(imageKey({ repository, digest: child })));
    return read.length === 0 ? [digest] : read;
  };
  for (const { kind, repository, digest } of recorded) {
    if (kind !== 'index') continue;
    for (const image of meantBy(repository, digest)) if (image !== digest) namesOf(repository, image).indexes.push(digest);
  }
  for await (const page of tags) {
    for (const { repository, tag, digest } of page) {
      if (repositories.has(repository)) for (const image of meantBy(repository, digest)) namesOf(repository, image).tags.add(tag);
    }
  }
  return names;
}

/** An image's layers, and its merged view, which is placed with them like one more. */
function digestsOf({ layers, viewDigest }: RecordedImage): Digest[] {
  return [...layers.map((layer) => layer.digest), ...(viewDigest === undefined ? [] : [viewDigest])];
}

/** The merged view of an image once it is expanded; until then, and when it is refused, the image goes without. */
function expandedView({ viewDigest }: RecordedImage, records: Standings): PlacementImage['view'] {
  const expanded = viewDigest === undefined ? undefined : records.get(viewDigest)?.expanded;
  return viewDigest === undefined || expanded === undefined ? undefined : { digest: viewDigest, sizeBytes: expanded.vhd.sizeBytes };
}

/** The layers of an image that can be placed; undefined while one of them is still to be expanded. */
function expandedLayers(image: RecordedImage, records: Standings): PlacementImage['layers'] | undefined {
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
