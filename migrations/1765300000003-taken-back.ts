import type { MigrationInterface, QueryRunner } from 'typeorm';

const WEIGHTS = ['short_weight', 'weight', 'long_weight'] as const;

/** What was counted of who walks through a registry is taken back: a batch may hold less than nothing of an image, and what is left may be less than nothing by rounding. */
export class TakenBack1765300000003 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    for (const weight of WEIGHTS) await db.query(`ALTER TABLE demand DROP CONSTRAINT demand_${weight}_check`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query(`DELETE FROM demand WHERE least(${WEIGHTS.join(', ')}) < 0`);
    for (const weight of WEIGHTS) await db.query(`ALTER TABLE demand ADD CONSTRAINT demand_${weight}_check CHECK (${weight} >= 0)`);
  }
}
