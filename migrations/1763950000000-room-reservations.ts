import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Room on a share that expansions under way will probably take. A row is over at `reserved_until`, and goes with the next one on its share. */
export class RoomReservations1763950000000 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`
      CREATE TABLE room_reservations (
        share text NOT NULL,
        layer text NOT NULL,
        bytes bigint NOT NULL CHECK (bytes >= 0),
        reserved_until timestamptz NOT NULL,
        PRIMARY KEY (share, layer)
      )`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query('DROP TABLE room_reservations');
  }
}
