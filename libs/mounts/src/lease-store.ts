import type { Digest } from '#oci';

import type { RegionName } from '#regions';

import type { Lease } from './lease.js';

/** Replicas that a list shows of one lease, at most: ten times those of a large image. */
export const LISTED_REPLICAS_MAX = 200;

/** Which leases a list shows; every field that is given must match, `share` and `layer` by one replica of the lease. */
export interface LeaseFilter {
  /** Where the node is. */
  readonly region?: RegionName;
  /** Where a replica is that it holds. */
  readonly share?: string;
  readonly layer?: Digest;
}

/** A lease as a list shows it. */
export interface ListedLease extends Lease {
  /** Those of its replicas that match the filter, by share and layer; the first {@link LISTED_REPLICAS_MAX}. */
  readonly replicas: Lease['replicas'];
  /** How many of its replicas match the filter. */
  readonly replicaCount: number;
  /** False once it is left to run out: `endRenewals`. */
  readonly renewable: boolean;
}

/**
 * The leases that have been written. Life of a lease: granted with an answer, written in a batch soon after, renewed while
 * the node has something mounted, then released or left to run out; one that ran out stays so and is pruned.
 * Expiry is by one clock, the store's. `now` is the asking process's clock, which may be off by any amount: instants go in and come out by it, and only their distance
 * from `now` counts. A client's clock plays no part.
 */
export abstract class LeaseStore {
  /** Writes leases, all or none. Those whose id is there already are left as they are, so that a batch may be repeated. */
  abstract grantMany(leases: readonly Lease[], now: Date): Promise<void>;

  /**
   * Makes each of these leases (some thousand at most) hold until `ttlMs` after `now`; never shortens one. One statement.
   * @returns until when they hold. Those that are not in it are unknown, have run out, or may not be renewed any more: they cannot return, the node must ask anew.
   */
  abstract renewMany(ids: readonly string[], now: Date, ttlMs: number): Promise<Map<string, Date>>;

  /** Has the leases on that replica run out: none of them is renewed from now on. Repeating it changes nothing. @returns how many of them hold now. */
  abstract endRenewals(layer: Digest, share: string, now: Date): Promise<number>;

  /** Ends a lease at once, unless it is shared. Repeating it, or an unknown id, changes nothing. */
  abstract release(id: string): Promise<void>;

  /** Until when the longest lease on that replica holds; undefined when none does. One look-up in an index. */
  abstract heldUntil(layer: Digest, share: string, now: Date): Promise<Date | undefined>;

  /** The layers on a share that some lease holds. Cost follows the number of leases on that share. */
  abstract leasedLayers(share: string, now: Date): Promise<Set<Digest>>;

  /** How many leases hold something on a share. Cost as {@link leasedLayers}. */
  abstract countOn(share: string, now: Date): Promise<number>;

  /**
   * Up to `limit` leases that hold and match, with ids after `after` (undefined: from the first), by id: one that is renewed keeps its place. Cost follows `limit` and the leases passed over that ran
   * out and are not pruned yet; with a layer, the number of leases on its replicas, as {@link heldUntil}.
   */
  abstract page(query: { readonly after?: string | undefined; readonly limit: number; readonly filter?: LeaseFilter }, now: Date): Promise<ListedLease[]>;

  /** Forgets leases that ran out before `before`, `limit` of them at most. @returns how many went. */
  abstract prune(before: Date, limit: number): Promise<number>;
}
