import type { MigrationInterface, QueryRunner } from 'typeorm';

/** A reservation of room is known by an id of its own. Those of processes of the version before, which know them by their end, have one that nobody knows. */
export class NamedReservations1765500000001 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query('ALTER TABLE room_reservations ADD COLUMN id uuid NOT NULL DEFAULT gen_random_uuid()');
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query('ALTER TABLE room_reservations DROP COLUMN id');
  }
}
