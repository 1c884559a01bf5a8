import type { Clock } from '#clock';
import { ReplicaOrders, type UnwantedReplica, type WantedReplica } from '#placement';
import type { RegionName } from '#regions';
import type { DrainOrder, ReplicaStore } from '#replication';
import type { Logger } from '#telemetry';

import type { ShareSet } from '../foundation/share-set.js';
import type { WorkSignals } from './work-signals.js';

/** What carrying out plans takes. */
export interface OrderTools {
  readonly replicas: ReplicaStore;
  readonly shares: ShareSet;
  readonly clock: Clock;
  readonly signals: WorkSignals;
  readonly logger: Logger;
  /** As in {@link DrainOrder}. */
  readonly drainGraceMs: number;
}

/** Carries out plans on the replicas of a region's share. */
export class StoredReplicaOrders extends ReplicaOrders {
  readonly #tools: OrderTools;

  constructor(tools: OrderTools) {
    super();
    this.#tools = tools;
  }

  async want(region: RegionName, wanted: readonly WantedReplica[]): Promise<void> {
    const { replicas, shares, clock, signals, logger } = this.#tools;
    const share = shares.inRegion(region);
    if (share === undefined || wanted.length === 0) return;
    const orders = wanted.map(({ layer, sizeBytes, priority, image }) => ({ layer, sizeBytes, priority, reason: `for ${image.repository}@${image.digest}` }));
    const outcomes = await replicas.want(share, orders, clock.now());
    const full = outcomes.filter((outcome) => outcome === 'SHARE_FULL').length;
    // What drains still takes room: the next plan orders again what did not fit now.
    if (full > 0) logger.warn({ region, full }, 'a plan did not fit its share yet');
    signals.replicasOrdered();
  }

  async drain(region: RegionName, drained: readonly UnwantedReplica[], withdrawn: readonly UnwantedReplica[]): Promise<void> {
    const { replicas, shares, signals } = this.#tools;
    const share = shares.inRegion(region)?.name;
    if (share === undefined) return;
    for (const { layer, reason } of drained) await replicas.drain({ layer, share }, this.#order(reason));
    for (const { layer, reason } of withdrawn) await replicas.cancel({ layer, share }, this.#order(reason));
    signals.replicasOrdered();
  }

  #order(reason: UnwantedReplica['reason']): DrainOrder {
    return { reason: REASONS[reason], now: this.#tools.clock.now(), graceMs: this.#tools.drainGraceMs };
  }
}

const REASONS: Readonly<Record<UnwantedReplica['reason'], string>> = {
  NOT_WANTED: 'no plan wants it here any more',
  NOT_REFERENCED: 'no image refers to it',
};

