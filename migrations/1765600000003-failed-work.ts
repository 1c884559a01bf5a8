import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Lists of the work that has failed, a page for one look-up among however much that has not. Rows that never failed are in none of these. */
export class FailedWork1765600000003 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`CREATE INDEX expanded_layers_failed ON expanded_layers (priority DESC, wanted_at, digest) WHERE state IN ('wanted', 'expanding') AND last_error IS NOT NULL`);
    await db.query(`CREATE INDEX replicas_copies_failed ON replicas (priority DESC, wanted_at, layer, share) WHERE state IN ('wanted', 'copying') AND last_error IS NOT NULL`);
    await db.query(`CREATE INDEX replicas_removals_failed ON replicas (draining_since, layer, share) WHERE state = 'draining' AND last_error IS NOT NULL`);
    await db.query('CREATE INDEX examinations_failed ON examinations (priority DESC, wanted_at, repository, reference) WHERE last_error IS NOT NULL');
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query('DROP INDEX examinations_failed, replicas_removals_failed, replicas_copies_failed, expanded_layers_failed');
  }
}
