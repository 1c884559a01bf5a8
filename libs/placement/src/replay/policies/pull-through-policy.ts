import type { LayerKeeper } from '../keepers/layer-keeper.js';
import { ReplayPolicy, type ReplayWorld, type SeenPull } from '../replay-policy.js';

/** Copies nothing ahead: a share keeps what pulls bring, as its keeper says. */
export class PullThroughPolicy extends ReplayPolicy {
  readonly name: string;
  protected readonly world: ReplayWorld;
  protected readonly keepers: readonly LayerKeeper[];

  constructor(name: string, world: ReplayWorld, keeperOf: (capacityBytes: number) => LayerKeeper) {
    super();
    this.name = name;
    this.world = world;
    this.keepers = world.shares.map((share) => keeperOf(share.capacityBytes));
  }

  override pushed(_image: number, _atMs: number): void {
    // Nothing is there before it is pulled.
  }

  override pulled({ image, share: n }: SeenPull): void {
    const share = this.world.shares[n];
    const keeper = this.keepers[n];
    if (share === undefined || keeper === undefined) return;
    for (const layer of this.world.catalogue.layersOf[image] ?? []) {
      if (share.has(layer)) {
        keeper.touch(layer);
        continue;
      }
      const { kept, evicted } = keeper.offer(layer, this.world.catalogue.sizes[layer] ?? 0);
      for (const gone of evicted) share.remove(gone);
      if (kept) share.keepPulled(layer);
    }
  }

  override deleted(_image: number, _atMs: number): void {
    // A cache is not told.
  }

  override pinned(_image: number, _share: number, _untilMs: number): void {
    // A cache knows no pins.
  }

  override passed(_atMs: number): void {
    // Nothing happens by the clock.
  }
}

/** Warms every region with what is pushed, and keeps it as its keeper says. */
export class PushWarmPolicy extends PullThroughPolicy {
  override pushed(image: number, _atMs: number): void {
    for (const [n, share] of this.world.shares.entries()) {
      for (const layer of this.world.catalogue.layersOf[image] ?? []) {
        if (share.has(layer)) continue;
        const { kept, evicted } = this.keepers[n]!.offer(layer, this.world.catalogue.sizes[layer] ?? 0);
        for (const gone of evicted) share.remove(gone);
        if (kept) share.copy(layer);
      }
    }
  }
}
