import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The list of layers that were refused, a page for one look-up; there are few of them. */
export class RefusedLayers1765600000002 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`CREATE INDEX expanded_layers_refused ON expanded_layers (digest) WHERE state = 'refused'`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query('DROP INDEX expanded_layers_refused');
  }
}
