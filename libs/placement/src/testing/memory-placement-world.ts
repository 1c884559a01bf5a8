import type { WriteFence } from '#claims';
import type { Digest } from '#oci';
import type { RegionName } from '#regions';

import { PlacementFacts, type PlacementRegion, ReplicaOrders, type RepositoryFacts } from '../placement-ports.js';
import type { CatalogueImages, HeldReplica, PlacementImage } from '../region-facts.js';
import type { UnwantedReplica, WantedReplica } from '../region-plan.js';
import type { TransferBudget } from '../transfer-budget.js';
import { ordered, unfinished } from './region-scene.js';

/** Images, regions and replicas in memory: both what plans read and where their orders go. Copying and removing is done when a test says so. */
export class MemoryPlacementWorld extends PlacementFacts {
  #images: readonly PlacementImage[] = [];
  readonly #unexpanded = new Set<Digest>();
  readonly #regions = new Map<RegionName, PlacementRegion>();
  readonly #replicas = new Map<RegionName, Map<Digest, HeldReplica>>();
  /** By region, draining layers whose files are being removed. */
  readonly #removing = new Map<RegionName, Set<Digest>>();
  #budget: Omit<TransferBudget, 'regions'> & { readonly bytesPerDay?: number; readonly usdPerGb: number } | undefined;
  /** Takes the orders of plans. */
  readonly orders: ReplicaOrders = new WorldOrders(this.#replicas, this.#removing);

  /** Adds a region, or changes its capacity. */
  setRegion(region: PlacementRegion): void {
    this.#regions.set(region.region, region);
    if (!this.#replicas.has(region.region)) this.#replicas.set(region.region, new Map());
  }

  /** Bounds what may travel in a day, to each region alike; nothing has travelled today. */
  setBudget(budget: Omit<TransferBudget, 'regions'> & { readonly bytesPerDay?: number; readonly usdPerGb: number }): void {
    this.#budget = budget;
  }

  /** Adds images, as an examination would. */
  push(...images: readonly PlacementImage[]): void {
    this.#images = [...this.#images, ...images];
  }

  /** The images that were pushed and not removed. */
  get pushed(): readonly PlacementImage[] {
    return this.#images;
  }

  /** Says of layers that they are still to be expanded, or, with `expanded`, that they are not any more. */
  setExpanded(layers: PlacementImage['layers'], expanded: boolean): void {
    for (const { digest } of layers) if (expanded) this.#unexpanded.delete(digest);
    else this.#unexpanded.add(digest);
  }

  /** Takes a tag from the images of the repository that it names. */
  untag(repository: string, tag: string): void {
    this.#images = this.#images.map((image) => (image.repository === repository ? { ...image, tags: image.tags.filter((each) => each !== tag) } : image));
  }

  /** Takes images away, as the removal of their manifests and tags would. */
  remove(isRemoved: (image: PlacementImage) => boolean): void {
    this.#images = this.#images.filter((image) => !isRemoved(image));
  }

  /** Puts replicas on a share, in place of those of the same layers. */
  hold(region: RegionName, replicas: readonly HeldReplica[]): void {
    for (const replica of replicas) this.#replicas.get(region)?.set(replica.layer, replica);
  }

  /** The replicas of a region. */
  held(region: RegionName): HeldReplica[] {
    return [...(this.#replicas.get(region)?.values() ?? [])];
  }

  /** Begins to remove everything that drains in a region: from now on it cannot be recalled. */
  beginRemovals(region: RegionName): void {
    const draining = this.held(region).filter((replica) => replica.state === 'draining');
    this.#removing.set(region, new Set(draining.map((replica) => replica.layer)));
  }

  /** Copies everything wanted, and removes everything draining, everywhere. */
  settle(): void {
    this.#removing.clear();
    for (const replicas of this.#replicas.values()) {
      for (const { layer, sizeBytes, state, leased } of replicas.values()) {
        if (state === 'draining') replicas.delete(layer);
        else replicas.set(layer, { layer, sizeBytes, leased, state: 'ready' });
      }
    }
  }

  async regions(): Promise<readonly PlacementRegion[]> {
    return [...this.#regions.values()];
  }

  async images(limit: number): Promise<CatalogueImages> {
    return this.#catalogue(this.#images.slice(0, limit));
  }

  async ofRepositories(names: readonly string[], limit: number): Promise<RepositoryFacts> {
    const images = this.#images.filter(({ repository }) => names.includes(repository)).slice(0, limit);
    const layers = new Set(images.flatMap((image) => [...image.layers, ...(image.view === undefined ? [] : [image.view])].map(({ digest }) => digest)));
    const [replicas, otherBytes] = [new Map<RegionName, HeldReplica[]>(), new Map<RegionName, number>()];
    for (const region of this.#regions.keys()) {
      const held = Map.groupBy(this.held(region), ({ layer }) => layers.has(layer));
      replicas.set(region, held.get(true) ?? []);
      otherBytes.set(region, (held.get(false) ?? []).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
    }
    return { images: this.#catalogue(images), replicas, otherBytes };
  }

  async transferBudget(): Promise<TransferBudget | undefined> {
    if (this.#budget === undefined) return undefined;
    const { bytesPerDay, usdPerGb, ...ofAll } = this.#budget;
    const regions = [...this.#regions.values()].filter(({ home }) => !home).map(({ region }) => {
      const pendingBytes = this.held(region).reduce((sum, { state, sizeBytes }) => (state === 'wanted' || state === 'copying' ? sum + sizeBytes : sum), 0);
      return [region, { usdPerGb, carriedBytes: 0, pendingBytes, ...(bytesPerDay === undefined ? {} : { bytesPerDay }) }] as const;
    });
    return { ...ofAll, regions: new Map(regions) };
  }

  #catalogue(images: readonly PlacementImage[]): CatalogueImages {
    const isExpanded = (image: PlacementImage): boolean => !image.layers.some((layer) => this.#unexpanded.has(layer.digest));
    return { placeable: images.filter(isExpanded), unfinished: images.filter((image) => !isExpanded(image)).map(unfinished) };
  }

  async replicas(region: RegionName, _now: Date, limit: number): Promise<readonly HeldReplica[]> {
    return this.held(region).slice(0, limit);
  }

  async referencedLayers(_now: Date, limit: number): Promise<ReadonlySet<Digest>> {
    return new Set(this.#images.flatMap((image) => image.layers.map((layer) => layer.digest)).slice(0, limit));
  }
}

class WorldOrders extends ReplicaOrders {
  readonly #replicas: ReadonlyMap<RegionName, Map<Digest, HeldReplica>>;

  readonly #removing: ReadonlyMap<RegionName, Set<Digest>>;

  constructor(replicas: ReadonlyMap<RegionName, Map<Digest, HeldReplica>>, removing: ReadonlyMap<RegionName, Set<Digest>>) {
    super();
    this.#replicas = replicas;
    this.#removing = removing;
  }

  async want(region: RegionName, wanted: readonly WantedReplica[], fence: WriteFence): Promise<void> {
    await fence.hold();
    const replicas = this.#replicas.get(region);
    const removing = this.#removing.get(region);
    for (const want of wanted) replicas?.set(want.layer, ordered(replicas.get(want.layer), want, removing?.has(want.layer)));
  }

  async drain(region: RegionName, drained: readonly UnwantedReplica[], withdrawn: readonly UnwantedReplica[], fence: WriteFence): Promise<void> {
    await fence.hold();
    const replicas = this.#replicas.get(region);
    for (const { layer } of drained) {
      const replica = replicas?.get(layer);
      if (replica?.state === 'ready') replicas?.set(layer, { ...replica, state: 'draining' });
    }
    for (const { layer } of withdrawn) if (replicas?.get(layer)?.state === 'wanted') replicas.delete(layer);
  }
}
