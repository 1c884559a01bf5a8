import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Decayed counts of pulls, and the ids of the batches that were merged into them. Keys compare byte by byte, so that pages have the same
 * order in every database. Counts change all the time and are updated in place: pages keep room for that.
 */
export class Demand1763300000000 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`
      CREATE TABLE demand (
        region text COLLATE "C" NOT NULL,
        repository text COLLATE "C" NOT NULL,
        image text COLLATE "C" NOT NULL,
        weight float8 NOT NULL CHECK (weight >= 0),
        at timestamptz NOT NULL,
        PRIMARY KEY (region, repository, image)) WITH (fillfactor = 70)`);
    await db.query('CREATE TABLE demand_batches (batch_id uuid PRIMARY KEY, drained_at timestamptz NOT NULL)');
    await db.query('CREATE INDEX demand_batches_by_age ON demand_batches (drained_at)');
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query('DROP TABLE demand_batches, demand');
  }
}
