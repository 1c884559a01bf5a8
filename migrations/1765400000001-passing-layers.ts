import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Which replicas are made from bytes that passed through a gateway, and since when those are there that nobody ordered. */
export class PassingLayers1765400000001 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query('ALTER TABLE replicas ADD COLUMN from_passing boolean NOT NULL DEFAULT false, ADD COLUMN kept_at timestamptz');
    await db.query('CREATE INDEX replicas_kept ON replicas (share, kept_at) WHERE kept_at IS NOT NULL');
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query('DROP INDEX replicas_kept');
    await db.query('ALTER TABLE replicas DROP COLUMN kept_at, DROP COLUMN from_passing');
  }
}
