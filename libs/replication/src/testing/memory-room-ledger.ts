import type { Digest } from '#oci';

import type { ShareCapacity } from '../replica-store.js';
import { RoomLedger, type RoomOutcome, type RoomReservation } from '../room-ledger.js';

/** What the memory store tells of a share's replicas. */
export interface ReplicasOfShare {
  readonly bytes: number;
  readonly layers: ReadonlySet<Digest>;
}

/** Reservations in memory, beside the replicas of a memory store. */
export class MemoryRoomLedger extends RoomLedger {
  readonly #reservations = new Map<string, RoomReservation & { readonly share: string; readonly until: Date }>();
  readonly #replicasOf: (share: string) => ReplicasOfShare;

  constructor(replicasOf: (share: string) => ReplicasOfShare) {
    super();
    this.#replicasOf = replicasOf;
  }

  async reserve(share: ShareCapacity, reservation: RoomReservation, now: Date): Promise<RoomOutcome> {
    const { layer, bytes, holdMs } = reservation;
    const replicas = this.#replicasOf(share.name);
    const roomBytes = share.capacityBytes - replicas.bytes - this.reservedNow(share.name, now, layer);
    if (replicas.layers.has(layer)) return { reserved: true, roomBytes };
    if (bytes > roomBytes) return { reserved: false, roomBytes };
    this.#reservations.set(`${share.name} ${layer}`, { ...reservation, share: share.name, until: new Date(now.getTime() + holdMs) });
    return { reserved: true, roomBytes };
  }

  async release(share: string, { layer, id }: Pick<RoomReservation, 'layer' | 'id'>): Promise<void> {
    const key = `${share} ${layer}`;
    if (this.#reservations.get(key)?.id === id) this.#reservations.delete(key);
  }

  async reservedBytes(share: string, now: Date): Promise<number> {
    return this.reservedNow(share, now);
  }

  /** {@link reservedBytes}, at once; without what is reserved for `exceptLayer`. */
  reservedNow(share: string, now: Date, exceptLayer?: Digest): number {
    const { layers } = this.#replicasOf(share);
    const counting = [...this.#reservations.values()].filter((each) => each.share === share && each.until > now && each.layer !== exceptLayer && !layers.has(each.layer));
    return counting.reduce((sum, each) => sum + each.bytes, 0);
  }
}
