import type { Digest } from '#oci';

import { nextReplicaState, type ReplicaState } from './replica-state.js';

/** What a share has of a layer. */
export interface PresentReplica {
  readonly state: ReplicaState;
  /** Whether it drains, was ready before that, and its removal has not begun: its file is whole. */
  readonly isRecallable: boolean;
}

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
 * What became of an order: `taken` anew; `kept`, because the replica is wanted, copying or ready already; `recalled`, because it was draining and is
 * ready again; `SHARE_FULL`, because the share's capacity does not hold it as well; `DRAINING`, because its removal has begun or its file never was
 * whole: to be ordered again when it is gone; `SHARE_DRAINING`, because the whole share is being drained, and is given nothing.
 */
export type OrderOutcome = 'taken' | 'kept' | 'recalled' | 'SHARE_FULL' | 'DRAINING' | 'SHARE_DRAINING';

const GONE: PresentReplica = { state: 'gone', isRecallable: false };

/**
 * Decides which orders a share takes, in their order: each as long as everything that is not gone stays within the capacity (I6).
 * An order that does not fit does not stand in the way of a smaller one behind it. A recall takes no room: what drains is counted.
 * @param present what the share has of the ordered layers; a layer that it has not is gone.
 * @param usedBytes bytes of all its replicas that are not gone.
 */
export function admitOrders(
  orders: readonly ReplicaOrder[],
  present: ReadonlyMap<Digest, PresentReplica>,
  room: { readonly usedBytes: number; readonly capacityBytes: number; readonly isDraining?: boolean },
): OrderOutcome[] {
  if (room.isDraining === true) return orders.map(() => 'SHARE_DRAINING');
  let usedBytes = room.usedBytes;
  const settled = new Set<Digest>();
  return orders.map((order) => {
    if (settled.has(order.layer)) return 'kept';
    const { state, isRecallable } = present.get(order.layer) ?? GONE;
    if (nextReplicaState(state, 'want') === null && !isRecallable) return 'DRAINING';
    if (state !== 'gone' && !isRecallable) return 'kept';
    if (state === 'gone' && usedBytes + order.sizeBytes > room.capacityBytes) return 'SHARE_FULL';
    settled.add(order.layer);
    if (isRecallable) return 'recalled';
    usedBytes += order.sizeBytes;
    return 'taken';
  });
}
