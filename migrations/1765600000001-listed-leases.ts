import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Lists of leases, by region and by share, a page for one look-up. Both stand in the order of pages: by the lease's id. */
export class ListedLeases1765600000001 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query('CREATE INDEX leases_by_region ON leases (region, id)');
    await db.query('CREATE INDEX lease_layers_by_share ON lease_layers (share, lease_id)');
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query('DROP INDEX lease_layers_by_share, leases_by_region');
  }
}
