import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What forecasts are made of: counts with three half-lives, and what the model of demand has learned. Of counts that are there already only the middle weight is known: the others become what a
 * steady demand would have left (a quarter of a day and fourteen days, against three). The defaults are for processes of the version before, which go on counting while this one starts.
 */
export class DemandModel1764700000000 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`
      ALTER TABLE demand
        ADD COLUMN short_weight float8 NOT NULL DEFAULT 0 CHECK (short_weight >= 0),
        ADD COLUMN long_weight float8 NOT NULL DEFAULT 0 CHECK (long_weight >= 0)`);
    await db.query('UPDATE demand SET short_weight = weight / 12, long_weight = weight * 14 / 3');
    await db.query(`
      CREATE TABLE demand_model (
        singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
        learned_ms float8 NOT NULL,
        state json NOT NULL)`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query('DROP TABLE demand_model');
    await db.query('ALTER TABLE demand DROP COLUMN long_weight, DROP COLUMN short_weight');
  }
}
