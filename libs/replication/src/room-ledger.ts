import type { Digest } from '#oci';

import type { ShareCapacity } from './replica-store.js';

/** Room on a share that something under way will probably take. */
export interface RoomReservation {
  /** A UUID, new with every reservation. */
  readonly id: string;
  /** What it is for; a second reservation for it replaces the first. */
  readonly layer: Digest;
  /** A guess, ≥ 0. */
  readonly bytes: number;
  /** For how long it holds, in milliseconds: then it is over by itself, for whoever made it has crashed. */
  readonly holdMs: number;
}

/** What became of a reservation, and how many bytes the share had left for it: capacity less replicas and the reservations of others. */
export interface RoomOutcome {
  readonly reserved: boolean;
  readonly roomBytes: number;
}

/**
 * Who keeps account of the room that expansions under way will take. A replica takes its room when it is ordered or recorded; an expansion knows its size
 * only at the end, and several begin at once: by this account they see each other, and the plan's orders see them (I6). Reservations run out by one clock, as claims do; `now` is by the caller's own.
 */
export abstract class RoomLedger {
  /**
   * Reserves room for a layer when the share has it left, in one step: of two that do not fit together, one is refused. A layer that the share has a
   * replica of counts already: it is reserved without taking anything. Idempotent.
   */
  abstract reserve(share: ShareCapacity, reservation: RoomReservation, now: Date): Promise<RoomOutcome>;

  /**
   * Gives a reservation back, unless another has replaced it meanwhile: that is of who took the work over. To be called when the layer is recorded, and
   * when its expansion ended otherwise. Idempotent.
   */
  abstract release(share: string, reservation: Pick<RoomReservation, 'layer' | 'id'>): Promise<void>;

  /** How many bytes are reserved on a share for layers that it has no replica of. */
  abstract reservedBytes(share: string, now: Date): Promise<number>;
}
