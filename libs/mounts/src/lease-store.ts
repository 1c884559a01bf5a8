import type { Digest } from '#oci';

import type { Lease } from './lease.js';

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

  /** Forgets leases that ran out before `before`, `limit` of them at most. @returns how many went. */
  abstract prune(before: Date, limit: number): Promise<number>;
}
