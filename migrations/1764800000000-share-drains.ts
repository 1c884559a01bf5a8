import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Which shares are being drained, or are empty and to stay so: while a share has a row here, nothing new is ordered onto it. */
export class ShareDrains1764800000000 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`
      CREATE TABLE share_drains (
        share text COLLATE "C" PRIMARY KEY,
        id uuid NOT NULL DEFAULT gen_random_uuid(),
        state text NOT NULL DEFAULT 'draining' CHECK (state IN ('draining', 'drained')),
        reason text NOT NULL,
        ordered_by text NOT NULL,
        began_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        drained_at timestamptz,
        without_room integer NOT NULL DEFAULT 0,
        CONSTRAINT dated_when_drained CHECK ((state = 'drained') = (drained_at IS NOT NULL)))`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query('DROP TABLE share_drains');
  }
}
