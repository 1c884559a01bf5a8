import type { DataSource } from 'typeorm';

import { callersNow, type DecidingClock, decidingNow, millisecondsOf } from '#claims/typeorm';

import type { ShareCapacity } from '../replica-store.js';
import { RoomLedger, type RoomOutcome, type RoomReservation } from '../room-ledger.js';
import { lockCapacity, replicaBytes, reservedBytes } from './share-room.js';

/** Reservations in the table `room_reservations`; they run out by the clock that decides. Those that are over go when the next one is made on the same share. */
export class PostgresRoomLedger extends RoomLedger {
  readonly #dataSource: DataSource;
  readonly #clock: DecidingClock;

  constructor(dataSource: DataSource, clock: DecidingClock = 'database') {
    super();
    this.#dataSource = dataSource;
    this.#clock = clock;
  }

  reserve(share: ShareCapacity, { id, layer, bytes, holdMs }: RoomReservation, now: Date): Promise<RoomOutcome> {
    return this.#dataSource.transaction(async (manager) => {
      const decided = callersNow(this.#clock, now);
      await lockCapacity(manager, share.name);
      await manager.query(`DELETE FROM room_reservations WHERE share = $1 AND reserved_until <= ${decidingNow('$2')}`, [share.name, decided]);
      const usedBytes = (await replicaBytes(manager, share.name)) + (await reservedBytes(manager, { share: share.name, decided, exceptLayer: layer }));
      const roomBytes = share.capacityBytes - usedBytes;
      const present = await manager.query<unknown[]>('SELECT true AS present FROM replicas WHERE layer = $1 AND share = $2', [layer, share.name]);
      if (present.length > 0) return { reserved: true, roomBytes };
      if (bytes > roomBytes) return { reserved: false, roomBytes };
      await manager.query(
        `INSERT INTO room_reservations (share, layer, bytes, id, reserved_until) VALUES ($1, $2, $3, $4, ${decidingNow('$5')} + ${millisecondsOf('$6')})
         ON CONFLICT (share, layer) DO UPDATE SET bytes = excluded.bytes, id = excluded.id, reserved_until = excluded.reserved_until`,
        [share.name, layer, Math.ceil(bytes), id, decided, holdMs],
      );
      return { reserved: true, roomBytes };
    });
  }

  async release(share: string, { layer, id }: Pick<RoomReservation, 'layer' | 'id'>): Promise<void> {
    await this.#dataSource.query('DELETE FROM room_reservations WHERE share = $1 AND layer = $2 AND id = $3', [share, layer, id]);
  }

  reservedBytes(share: string, now: Date): Promise<number> {
    return reservedBytes(this.#dataSource, { share, decided: callersNow(this.#clock, now) });
  }
}
