import type { DataSource } from 'typeorm';

import type { ShareCapacity } from '../replica-store.js';
import { RoomLedger, type RoomOutcome, type RoomReservation } from '../room-ledger.js';
import { lockCapacity, replicaBytes, reservedBytes } from './share-room.js';

/** Reservations in the table `room_reservations`. Those that are over go when the next one is made on the same share. */
export class PostgresRoomLedger extends RoomLedger {
  readonly #dataSource: DataSource;

  constructor(dataSource: DataSource) {
    super();
    this.#dataSource = dataSource;
  }

  reserve(share: ShareCapacity, { layer, bytes, until }: RoomReservation, now: Date): Promise<RoomOutcome> {
    return this.#dataSource.transaction(async (manager) => {
      await lockCapacity(manager, share.name);
      await manager.query('DELETE FROM room_reservations WHERE share = $1 AND reserved_until <= $2', [share.name, now]);
      const usedBytes = (await replicaBytes(manager, share.name)) + (await reservedBytes(manager, { share: share.name, now, exceptLayer: layer }));
      const roomBytes = share.capacityBytes - usedBytes;
      const present = await manager.query<unknown[]>('SELECT true AS present FROM replicas WHERE layer = $1 AND share = $2', [layer, share.name]);
      if (present.length > 0) return { reserved: true, roomBytes };
      if (bytes > roomBytes) return { reserved: false, roomBytes };
      await manager.query(
        `INSERT INTO room_reservations (share, layer, bytes, reserved_until) VALUES ($1, $2, $3, $4)
         ON CONFLICT (share, layer) DO UPDATE SET bytes = excluded.bytes, reserved_until = excluded.reserved_until`,
        [share.name, layer, Math.ceil(bytes), until],
      );
      return { reserved: true, roomBytes };
    });
  }

  async release(share: string, { layer, until }: Pick<RoomReservation, 'layer' | 'until'>): Promise<void> {
    await this.#dataSource.query('DELETE FROM room_reservations WHERE share = $1 AND layer = $2 AND reserved_until = $3', [share, layer, until]);
  }

  reservedBytes(share: string, now: Date): Promise<number> {
    return reservedBytes(this.#dataSource, { share, now });
  }
}
