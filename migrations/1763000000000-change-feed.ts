import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The feed of changes, and the trigger function by which tables write to it: `record_change(topic, key column…)`.
 * A table's own migration attaches it, with a `WHEN` that leaves out what readers do not keep.
 */
export class ChangeFeed1763000000000 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`
      CREATE TABLE changes (
        sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        transaction xid8 NOT NULL DEFAULT pg_current_xact_id(),
        topic text NOT NULL,
        key text[] NOT NULL,
        changed_at timestamptz NOT NULL DEFAULT clock_timestamp())`);
    await db.query('CREATE INDEX changes_in_order ON changes (transaction, sequence)');
    await db.query('CREATE INDEX changes_by_age ON changes (changed_at)');
    await db.query(`
      CREATE TABLE change_horizon (
        singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
        transaction xid8 NOT NULL,
        sequence bigint NOT NULL)`);
    await db.query(`
      CREATE FUNCTION record_change() RETURNS trigger LANGUAGE plpgsql AS $$
      DECLARE
        changed jsonb := CASE WHEN TG_OP = 'DELETE' THEN to_jsonb(OLD) ELSE to_jsonb(NEW) END;
        columns text[] := TG_ARGV[1:];
      BEGIN
        INSERT INTO changes (topic, key)
        SELECT TG_ARGV[0], array_agg(changed ->> name ORDER BY place) FROM unnest(columns) WITH ORDINALITY AS named (name, place);
        RETURN NULL;
      END $$`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query('DROP FUNCTION record_change');
    await db.query('DROP TABLE change_horizon, changes');
  }
}
