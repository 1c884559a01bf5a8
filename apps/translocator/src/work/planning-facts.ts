import { giveWay } from '#clock';
import type { ExpandedLayerStore, LayerSize } from '#expansion';
import type { LeaseStore } from '#mounts';
import type { Digest } from '#oci';
import { type CatalogueImages, type HeldReplica, imageKey, PlacementFacts, type PlacementImage, type PlacementRegion, type RepositoryFacts, type StoredLayer, type TransferBudget, type UnfinishedImage } from '#placement';
import type { RegionMap, RegionName } from '#regions';
import { CATALOGUE_ROWS_MAX, type CatalogueReader, type PlaceableImage, type RecordedTag, type RepositoryState } from '#registry';
import type { HeldLayer, LinkLedger, ReplicaStore, ShareDrains } from '#replication';

import type { ShareSet } from '../foundation/share-set.js';
import { dayBudget, type DayLimits } from './day-budget.js';

/** Rows read at once. */
const PAGE_ROWS = 1000;
/** Images that are put together before others have their turn: some milliseconds. */
const IMAGES_AT_ONCE = 200;
/** One text for each. */
const STATES: Readonly<Record<HeldReplica['state'], HeldReplica['state']>> = { wanted: 'wanted', copying: 'copying', ready: 'ready', draining: 'draining' };
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
  /** Those that images were read with last: replicas name their layers by the same texts, for there are millions of replicas. */
  #files: LayerFiles = new Map();

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
    // A layer that is expanded while both are read may count as not expanded yet: the next plan has it.
    const [recorded, files] = await Promise.all([this.#recordedImages(limit), this.#allFiles()]);
    this.#files = files;
    return this.#catalogueOf(recorded, this.#allTags(), files);
  }

  async ofRepositories(names: readonly string[], limit: number): Promise<RepositoryFacts> {
    const { catalogue } = this.#stores;
    const enabled = (await catalogue.repositoriesByName(names)).filter((repository) => repository.enabled).map(({ name }) => name);
    const recorded: PlaceableImage[] = [];
    for (const name of enabled) {
      for await (const page of pages((last: PlaceableImage | undefined) => catalogue.imagesForPlacement(last ?? { repository: name, digest: FIRST_DIGEST }, PAGE_ROWS))) {
        recorded.push(...page.filter(({ repository }) => repository === name));
        if (page.at(-1)?.repository !== name || recorded.length >= limit) break;
      }
    }
    const images = await this.#catalogueOf(recorded.slice(0, limit), this.#tagsOf(enabled), await this.#filesOf(recorded.flatMap(digestsOf)));
    return { images, ...(await this.#replicasOf(recorded)) };
  }

  async replicas(region: RegionName, now: Date, limit: number): Promise<readonly HeldReplica[]> {
    const { replicas, leases, shares } = this.#stores;
    const share = shares.inRegion(region)?.name ?? region;
    const leased = await leases.leasedLayers(share, now);
    const held: HeldReplica[] = [];
    for await (const page of pages((last: HeldLayer | undefined) => replicas.heldAfter(share, last?.layer, CATALOGUE_ROWS_MAX))) {
      for (const { layer, sizeBytes, state, priority, passedAt } of page) {
        const file = this.#files.get(layer);
        held.push({ layer: file === undefined || file === 'refused' ? layer : file.digest, sizeBytes, state: STATES[state], priority, passedAt: passedAt ?? undefined, leased: leased.has(layer) });
      }
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
    const referenced = new Set<Digest>();
    for await (const page of pages((last: Digest | undefined) => layers.referencedAfter({ now, graceMs: unreferencedGraceMs }, last, CATALOGUE_ROWS_MAX))) {
      for (const digest of page) referenced.add(digest);
      if (referenced.size >= limit) return referenced;
    }
    return referenced;
  }

  /** What shares hold of these images, and, by region, how much else. */
  async #replicasOf(images: readonly PlaceableImage[]): Promise<Omit<RepositoryFacts, 'images'>> {
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

  async #catalogueOf(recorded: readonly PlaceableImage[], tags: AsyncIterable<readonly RecordedTag[]>, files: LayerFiles): Promise<CatalogueImages> {
    const names = await namesOfImages(recorded, tags);
    const placeable: PlacementImage[] = [];
    const unfinished: UnfinishedImage[] = [];
    const known = new Set<string>();
    for (const [n, image] of recorded.entries()) {
      if (n % IMAGES_AT_ONCE === IMAGES_AT_ONCE - 1) await giveWay();
      if (image.kind !== 'image') continue;
      const { repository, digest, pushedAt } = image;
      const key = imageKey(image);
      known.add(key);
      const { tags: ofImage, indexes } = names.get(key) ?? { tags: new Set<string>(), indexes: [] };
      const named = { repository, digest, pushedAt, tags: [...ofImage].toSorted(), indexes };
      const layers = expandedLayers(image, files);
      if (layers === undefined) unfinished.push({ ...named, layers: [...new Set(digestsOf(image))] });
      else placeable.push({ ...named, layers, view: expandedView(image, files) });
    }
    for (const [key, { repository, digest, tags: ofImage, indexes }] of names) {
      if (!known.has(key)) unfinished.push({ repository, digest, tags: [...ofImage].toSorted(), indexes, layers: [] });
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

  /** The files of all layers. One reading of the whole table: images share layers, and each would be asked for again. */
  async #allFiles(): Promise<LayerFiles> {
    const files = new Map<Digest, StoredLayer | 'refused'>();
    for await (const page of pages((last: LayerSize | undefined) => this.#stores.layers.sizesAfter(last?.digest, CATALOGUE_ROWS_MAX))) for (const layer of page) addFile(files, layer);
    return files;
  }

  async #filesOf(digests: readonly Digest[]): Promise<LayerFiles> {
    const files = new Map<Digest, StoredLayer | 'refused'>();
    const distinct = [...new Set(digests)];
    for (let begin = 0; begin < distinct.length; begin += PAGE_ROWS) {
      for (const { digest, state, expanded } of await this.#stores.layers.find(distinct.slice(begin, begin + PAGE_ROWS))) addFile(files, { digest, state, ...(expanded === undefined ? {} : { sizeBytes: expanded.vhd.sizeBytes }) });
    }
    return files;
  }

  /** Images and indexes of enabled repositories; no more than one page beyond `limit`. */
  async #recordedImages(limit: number): Promise<PlaceableImage[]> {
    const { catalogue } = this.#stores;
    const enabled = new Set<string>();
    for await (const page of pages((last: RepositoryState | undefined) => catalogue.repositoriesAfter(last?.name, CATALOGUE_ROWS_MAX))) {
      for (const repository of page) if (repository.enabled) enabled.add(repository.name);
    }
    const recorded: PlaceableImage[] = [];
    let imageCount = 0;
    for await (const page of pages((last: PlaceableImage | undefined) => catalogue.imagesForPlacement(last, CATALOGUE_ROWS_MAX))) {
      for (const image of page) {
        if (!enabled.has(image.repository)) continue;
        recorded.push(image);
        if (image.kind === 'image') imageCount += 1;
      }
      if (imageCount >= limit) break;
    }
    return recorded;
  }
}

/** By digest, the file of each layer that has one, and which were refused; of others nothing. Images share what they have in common. */
type LayerFiles = ReadonlyMap<Digest, StoredLayer | 'refused'>;

function addFile(files: Map<Digest, StoredLayer | 'refused'>, { digest, state, sizeBytes }: LayerSize): void {
  if (state === 'refused') files.set(digest, 'refused');
  else if (sizeBytes !== undefined) files.set(digest, { digest, sizeBytes });
}

interface ImageNames {
  readonly repository: string;
  readonly digest: Digest;
  readonly tags: Set<string>;
  readonly indexes: Digest[];
}

/** By image: the tags that point to it or to an index that names it, and these indexes. An index of which no image was read stands for one itself. */
async function namesOfImages(recorded: readonly PlaceableImage[], tags: AsyncIterable<readonly RecordedTag[]>): Promise<Map<string, ImageNames>> {
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
    const read = (byKey.get(imageKey({ repository, digest }))?.children ?? []).filter((child) => byKey.has(imageKey({ repository, digest: child })));
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
function digestsOf({ layers, viewDigest }: PlaceableImage): Digest[] {
  return [...layers, ...(viewDigest === undefined ? [] : [viewDigest])];
}

/** The merged view of an image once it is expanded; until then, and when it is refused, the image goes without. */
function expandedView({ viewDigest }: PlaceableImage, files: LayerFiles): PlacementImage['view'] {
  const file = viewDigest === undefined ? undefined : files.get(viewDigest);
  return file === 'refused' ? undefined : file;
}

/** The layers of an image that can be placed, each once; undefined while one of them is still to be expanded. */
function expandedLayers({ layers }: PlaceableImage, files: LayerFiles): PlacementImage['layers'] | undefined {
  const stored: StoredLayer[] = [];
  for (const digest of layers) {
    const file = files.get(digest);
    if (file === undefined) return undefined;
    if (file !== 'refused' && !stored.includes(file)) stored.push(file);
  }
  return stored;
}

async function* pages<Row>(read: (last: Row | undefined) => Promise<readonly Row[]>): AsyncGenerator<readonly Row[], void> {
  for (let last: Row | undefined; ;) {
    const page = await read(last);
    last = page.at(-1);
    if (last === undefined) return;
    yield page;
  }
}
