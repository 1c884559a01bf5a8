import type { Digest } from '#oci';

import { nextReplicaState, type ReplicaState } from './replica-state.js';

/** A replica that should be on some share. */
export interface ReplicaOrder {
  readonly layer: Digest;
  /** Logical bytes of the file, > 0. */
  readonly sizeBytes: number;
  /** The larger, the sooner. */
  readonly priority: number;
  /** Why, for operators. */
  readonly reason: string;
}

/**
 * What became of an order: `taken` anew; `kept`, because the replica is wanted, copying or ready already;
 * `SHARE_FULL`, because the share's capacity does not hold it as well; `DRAINING`, to be ordered again when it is gone.
 */
export type OrderOutcome = 'taken' | 'kept' | 'SHARE_FULL' | 'DRAINING';

/**
 * Decides which orders a share takes, in their order: each as long as everything that is not gone stays within the capacity (I6).
 * An order that does not fit does not stand in the way of a smaller one behind it.
 * @param states what the share has of the ordered layers; a layer that it has not is gone.
 * @param usedBytes bytes of all its replicas that are not gone.
 */
export function admitOrders(
  orders: readonly ReplicaOrder[],
  states: ReadonlyMap<Digest, ReplicaState>,
  room: { readonly usedBytes: number; readonly capacityBytes: number },
): OrderOutcome[] {
  let usedBytes = room.usedBytes;
  const taken = new Set<Digest>();
  return orders.map((order) => {
    const state = taken.has(order.layer) ? 'wanted' : (states.get(order.layer) ?? 'gone');
    if (nextReplicaState(state, 'want') === null) return 'DRAINING';
    if (state !== 'gone') return 'kept';
    if (usedBytes + order.sizeBytes > room.capacityBytes) return 'SHARE_FULL';
    usedBytes += order.sizeBytes;
    taken.add(order.layer);
    return 'taken';
  });
}
