import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What plans expected, to be held against what comes: one row for each plan that is followed, so a few hundred rows in all. */
export class PlanForecasts1764900000003 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`
      CREATE TABLE plan_forecasts (
        plan_id uuid PRIMARY KEY, region text NOT NULL, made_at timestamptz NOT NULL, until_at timestamptz NOT NULL,
        repositories text[] NOT NULL, images text[] NOT NULL, expected float8[] NOT NULL, before float8[] NOT NULL, pulls float8[],
        CHECK (cardinality(repositories) = cardinality(images) AND cardinality(expected) = cardinality(images) AND cardinality(before) = cardinality(images)))`);
    await db.query('CREATE INDEX plan_forecasts_by_region ON plan_forecasts (region, made_at DESC)');
    await db.query('CREATE INDEX plan_forecasts_due ON plan_forecasts (until_at) WHERE pulls IS NULL');
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query('DROP TABLE plan_forecasts');
  }
}
