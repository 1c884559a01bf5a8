import type { Digest } from '#oci';

import type { Lease } from './lease.js';

/**
 * The leases that have been written. Life of a lease: granted with an answer, written in a batch soon after, renewed while
 * the node has something mounted, then released or left to run out; one that ran out stays so and is pruned.
 * `now` is always the service's clock: a client's clock plays no part.
 */
export abstract class LeaseStore {
  /** Writes leases, all or none. Those whose id is there already are left as they are, so that a batch may be repeated. */
  abstract grantMany(leases: readonly Lease[]): Promise<void>;

  /**
   * Makes a lease hold until `ttlMs` after `now`; never shortens it.
   * @returns until when it holds; undefined when there is none or it has run out: it cannot return, the node must ask anew.
   */
  abstract renew(id: string, now: Date, ttlMs: number): Promise<Date | undefined>;

  /** Ends a lease at once. Repeating it, or an unknown id, changes nothing. */
  abstract release(id: string): Promise<void>;

  /** Until when the longest lease on that replica holds; undefined when none does. One look-up in an index. */
  abstract heldUntil(layer: Digest, share: string, now: Date): Promise<Date | undefined>;

  /** The layers on a share that some lease holds. Cost follows the number of leases on that share. */
  abstract leasedLayers(share: string, now: Date): Promise<Set<Digest>>;

  /** Forgets leases that ran out before `before`, `limit` of them at most. @returns how many went. */
  abstract prune(before: Date, limit: number): Promise<number>;
}
