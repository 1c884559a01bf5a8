import type { MigrationInterface, QueryRunner } from 'typeorm';

const OLD_TRIGGERS = `'schedule', 'push', 'pin', 'operator'`;

/** Plans for some repositories alone, plans after demand that nobody foresaw, and when all orders of a plan had been given. Plans that were made before are taken for ordered. */
export class Planning1764900000000 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query('ALTER TABLE plans ADD COLUMN repositories text[], ADD COLUMN ordered_at timestamptz');
    await db.query('UPDATE plans SET ordered_at = made_at');
    await db.query(`ALTER TABLE plans DROP CONSTRAINT plans_trigger_check, ADD CONSTRAINT plans_trigger_check CHECK (trigger IN (${OLD_TRIGGERS}, 'demand'))`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query(`DELETE FROM plans WHERE repositories IS NOT NULL OR trigger = 'demand'`);
    await db.query(`ALTER TABLE plans DROP CONSTRAINT plans_trigger_check, ADD CONSTRAINT plans_trigger_check CHECK (trigger IN (${OLD_TRIGGERS}))`);
    await db.query('ALTER TABLE plans DROP COLUMN repositories, DROP COLUMN ordered_at');
  }
}
