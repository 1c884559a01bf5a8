import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What a plan went by: how far it looked ahead, and how many pulls a copy has to bring. Plans that were made before do not say. */
export class PlanTerms1764900000001 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query('ALTER TABLE plans ADD COLUMN terms jsonb');
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query('ALTER TABLE plans DROP COLUMN terms');
  }
}
