import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The plans that were made, with their reasons, and the turn that planners share. */
export class Placement1763400000000 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`
      CREATE TABLE plans (
        id uuid PRIMARY KEY,
        region text NOT NULL,
        made_at timestamptz NOT NULL,
        trigger text NOT NULL CHECK (trigger IN ('schedule', 'push', 'pin', 'operator')),
        capacity_bytes bigint NOT NULL,
        used_bytes bigint NOT NULL,
        forced_bytes bigint NOT NULL,
        draining_bytes bigint NOT NULL,
        counts jsonb NOT NULL,
        unresolved_pins uuid[] NOT NULL,
        decisions jsonb NOT NULL,
        decisions_omitted integer NOT NULL)`);
    await db.query('CREATE INDEX plans_by_region ON plans (region, made_at DESC, id DESC)');
    await db.query(`
      CREATE TABLE planner_turn (
        singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
        fence bigint NOT NULL,
        owner text,
        expires_at timestamptz NOT NULL)`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query('DROP TABLE planner_turn, plans');
  }
}
