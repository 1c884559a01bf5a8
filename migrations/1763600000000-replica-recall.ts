import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Which draining replicas can still be recalled: those whose file nobody has begun to delete. */
export class ReplicaRecall1763600000000 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`
      ALTER TABLE replicas
        ADD COLUMN removal_begun boolean NOT NULL DEFAULT false,
        ADD CONSTRAINT begun_while_draining CHECK (state = 'draining' OR NOT removal_begun)`);
    // Nobody noted so far whether the removal of what drains has begun.
    await db.query(`UPDATE replicas SET removal_begun = true WHERE state = 'draining'`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query('ALTER TABLE replicas DROP CONSTRAINT begun_while_draining, DROP COLUMN removal_begun');
  }
}
