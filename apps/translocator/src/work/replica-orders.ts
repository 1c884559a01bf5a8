import type { WriteFence } from '#claims';
import { ReplicaOrders, type UnwantedReplica, type WantedReplica } from '#placement';
import type { RegionName } from '#regions';
import type { DrainOrder, ReplicaStore } from '#replication';

import type { ShareSet } from '../foundation/share-set.js';
import { drainGraceMs } from './drain-grace.js';
import type { WorkSurroundings } from './work-surroundings.js';

/** Carries out plans on the replicas of a region's share. */
export class StoredReplicaOrders extends ReplicaOrders {
  readonly #surroundings: WorkSurroundings;
  readonly #shares: ShareSet;
  readonly #replicas: ReplicaStore;

  constructor(surroundings: WorkSurroundings, shares: ShareSet, replicas: ReplicaStore) {
    super();
    this.#surroundings = surroundings;
    this.#shares = shares;
    this.#replicas = replicas;
  }

  async want(region: RegionName, wanted: readonly WantedReplica[], fence: WriteFence): Promise<void> {
    const { clock, signals, logger } = this.#surroundings;
    const share = this.#shares.inRegion(region);
    if (share === undefined || wanted.length === 0) return;
    const orders = wanted.map(({ layer, sizeBytes, priority, image, isView }) => ({
      layer, sizeBytes, priority, reason: `${isView === true ? 'the merged view of' : 'for'} ${image.repository}@${image.digest}`,
    }));
    const outcomes = await this.#replicas.want(share, orders, clock.now(), fence);
    const full = outcomes.filter((outcome) => outcome === 'SHARE_FULL').length;
    // What drains still takes room: the next plan orders again what did not fit now.
    if (full > 0) logger.warn({ region, full }, 'a plan did not fit its share yet');
    signals.replicasOrdered();
  }

  async drain(region: RegionName, drained: readonly UnwantedReplica[], withdrawn: readonly UnwantedReplica[], fence: WriteFence): Promise<void> {
    const share = this.#shares.inRegion(region)?.name;
    if (share === undefined) return;
    for (const { layer, reason } of drained) await this.#replicas.drain({ layer, share }, this.#order(reason, fence));
    for (const { layer, reason } of withdrawn) await this.#replicas.cancel({ layer, share }, this.#order(reason, fence));
    this.#surroundings.signals.replicasOrdered();
  }

  #order(reason: UnwantedReplica['reason'], fence: WriteFence): DrainOrder {
    return { fence, reason: REASONS[reason], now: this.#surroundings.clock.now(), graceMs: drainGraceMs(this.#surroundings.config) };
  }
}

const REASONS: Readonly<Record<UnwantedReplica['reason'], string>> = {
  NOT_WANTED: 'no plan wants it here any more',
  NOT_REFERENCED: 'no image refers to it',
};

