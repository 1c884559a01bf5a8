import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The index of what a share holds has all that plans read: without it, PostgreSQL reads the replicas of all shares. Nothing of it changes while a copy goes on. */
export class HeldLayersCovered1765300000006 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query('DROP INDEX replicas_held');
    await db.query('CREATE INDEX replicas_held ON replicas (share, layer) INCLUDE (size_bytes, state, priority)');
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query('DROP INDEX replicas_held');
    await db.query('CREATE INDEX replicas_held ON replicas (share, layer)');
  }
}
