import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What a share holds, in the order of layers: plans read it page by page. */
export class HeldLayers1765300000005 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query('CREATE INDEX replicas_held ON replicas (share, layer)');
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query('DROP INDEX replicas_held');
  }
}
