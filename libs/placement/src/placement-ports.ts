import type { WriteFence } from '#claims';
import type { Digest } from '#oci';
import type { RegionName } from '#regions';

import type { CatalogueImages, HeldReplica } from './region-facts.js';
import type { UnwantedReplica, WantedReplica } from './region-plan.js';
import type { TransferBudget } from './transfer-budget.js';

/** A region that plans are made for. */
export interface PlacementRegion {
  readonly region: RegionName;
  readonly home: boolean;
  /** What its share may hold, in bytes. */
  readonly capacityBytes: number;
}

/**
 * What is, as far as plans depend on it. Every method reads whole and answers at most `limit` entries; a planner that gets as many as its limit refuses
 * to plan, because what it does not see would be removed.
 */
export abstract class PlacementFacts {
  /** Every region with a share. */
  abstract regions(): Promise<readonly PlacementRegion[]>;

  /**
   * The images of enabled repositories, `limit` in both lists together. A tag that was read and names what was not read, because it moved meanwhile, stands
   * for an unfinished image without layers: what is pinned by it is not known yet, which is another thing than gone.
   */
  abstract images(limit: number): Promise<CatalogueImages>;

  /** The replicas on a region's share, each with its lease as of `now`. */
  abstract replicas(region: RegionName, now: Date, limit: number): Promise<readonly HeldReplica[]>;

  /** The layers that an enabled repository's images reference, expanded or not, and those that ceased to be so within the grace time before `now`. */
  abstract referencedLayers(now: Date, limit: number): Promise<ReadonlySet<Digest>>;

  /** What may travel on the day of `now`; undefined where nothing is bounded. */
  abstract transferBudget(now: Date): Promise<TransferBudget | undefined>;

  /** What a plan for some repositories alone depends on: those of them that are enabled. Reads what belongs to them only. */
  abstract ofRepositories(names: readonly string[], limit: number): Promise<RepositoryFacts>;
}

/** What is, as far as plans for some repositories alone depend on it. */
export interface RepositoryFacts {
  /** Their images, `limit` in both lists together. */
  readonly images: CatalogueImages;
  /** By region, the replicas of these images' layers and views; leases are not looked at. Regions without any may lack. */
  readonly replicas: ReadonlyMap<RegionName, readonly HeldReplica[]>;
  /** By region, the bytes of all other replicas that are not gone, draining ones included. Regions without any may lack. */
  readonly otherBytes: ReadonlyMap<RegionName, number>;
}

/**
 * Carries out plans. `want` is one transaction; `drain` is one for each layer, so that a failure leaves those before it done. The planner gives few orders
 * a call and makes sure of its turn before each. All of it is idempotent: a repeated order, or one that is overtaken by what happened, changes nothing.
 * Nothing is written once the fence that comes with an order is lost: its error is thrown, and what was written before stays.
 * The draining side looks again before it removes anything: a lease may have come, or another region's replica gone, since the plan was made.
 */
export abstract class ReplicaOrders {
  /**
   * Makes replicas wanted with their priority; one that is wanted already takes the new priority; one that drains is ready again at once unless its removal
   * has begun: then it is left to go, and a later plan orders it anew. What only passed is ordered from now on.
   */
  abstract want(region: RegionName, wanted: readonly WantedReplica[], fence: WriteFence): Promise<void>;

  /** Starts the draining of ready replicas, and forgets wanted ones (`withdrawn`) that nobody is copying yet. Others are left alone. */
  abstract drain(region: RegionName, drained: readonly UnwantedReplica[], withdrawn: readonly UnwantedReplica[], fence: WriteFence): Promise<void>;
}
