import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Which part of what plans expected rests on pulls in other regions. Of windows from before, none is taken to. */
export class ForecastsElsewhere1765300000001 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`ALTER TABLE plan_forecasts ADD COLUMN elsewhere float8[] NOT NULL DEFAULT '{}'`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query('ALTER TABLE plan_forecasts DROP COLUMN elsewhere');
  }
}
