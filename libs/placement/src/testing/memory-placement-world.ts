import type { Digest } from '#oci';
import type { RegionName } from '#regions';

import { PlacementFacts, type PlacementRegion, ReplicaOrders } from '../placement-ports.js';
import type { HeldReplica, PlacementImage } from '../region-facts.js';
import type { UnwantedReplica, WantedReplica } from '../region-plan.js';

/** Images, regions and replicas in memory: both what plans read and where their orders go. Copying and removing is done when a test says so. */
export class MemoryPlacementWorld extends PlacementFacts {
  #images: readonly PlacementImage[] = [];
  readonly #regions = new Map<RegionName, PlacementRegion>();
  readonly #replicas = new Map<RegionName, Map<Digest, HeldReplica>>();
  /** Takes the orders of plans. */
  readonly orders: ReplicaOrders = new WorldOrders(this.#replicas);

  /** Adds a region, or changes its capacity. */
  setRegion(region: PlacementRegion): void {
    this.#regions.set(region.region, region);
    if (!this.#replicas.has(region.region)) this.#replicas.set(region.region, new Map());
  }

  /** Adds images, as an examination would. */
  push(...images: readonly PlacementImage[]): void {
    this.#images = [...this.#images, ...images];
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

  /** Copies everything wanted, and removes everything draining, everywhere. */
  settle(): void {
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

  async images(limit: number): Promise<readonly PlacementImage[]> {
    return this.#images.slice(0, limit);
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

  constructor(replicas: ReadonlyMap<RegionName, Map<Digest, HeldReplica>>) {
    super();
    this.#replicas = replicas;
  }

  async want(region: RegionName, wanted: readonly WantedReplica[]): Promise<void> {
    const replicas = this.#replicas.get(region);
    for (const { layer, sizeBytes, priority } of wanted) {
      const state = replicas?.get(layer)?.state;
      if (state === undefined || state === 'wanted' || state === 'draining') replicas?.set(layer, { layer, sizeBytes, priority, state: 'wanted', leased: false });
    }
  }

  async drain(region: RegionName, drained: readonly UnwantedReplica[], withdrawn: readonly UnwantedReplica[]): Promise<void> {
    const replicas = this.#replicas.get(region);
    for (const { layer } of drained) {
      const replica = replicas?.get(layer);
      if (replica?.state === 'ready') replicas?.set(layer, { ...replica, state: 'draining' });
    }
    for (const { layer } of withdrawn) if (replicas?.get(layer)?.state === 'wanted') replicas.delete(layer);
  }
}
