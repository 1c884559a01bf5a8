import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Leases that several pulls share, and leases that are left to run out because their replica has drained for too long. */
export class SharedLeases1764600000001 implements MigrationInterface {
  readonly name = 'SharedLeases1764600000001';

  async up(db: QueryRunner): Promise<void> {
    await db.query('ALTER TABLE leases ADD COLUMN shared boolean NOT NULL DEFAULT false, ADD COLUMN renewable boolean NOT NULL DEFAULT true');
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query('ALTER TABLE leases DROP COLUMN shared, DROP COLUMN renewable');
  }
}
