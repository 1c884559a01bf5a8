import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What nodes have mounted: a lease, and the replicas that it holds. */
export class MountLeases1763500000000 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`
      CREATE TABLE leases (
        id uuid PRIMARY KEY,
        region text NOT NULL,
        granted_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL)`);
    await db.query('CREATE INDEX leases_by_expiry ON leases (expires_at)');
    await db.query(`
      CREATE TABLE lease_layers (
        lease_id uuid NOT NULL REFERENCES leases ON DELETE CASCADE,
        share text COLLATE "C" NOT NULL,
        layer text COLLATE "C" NOT NULL,
        PRIMARY KEY (lease_id, share, layer))`);
    await db.query('CREATE INDEX lease_layers_by_replica ON lease_layers (share, layer)');
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query('DROP TABLE lease_layers, leases');
  }
}
