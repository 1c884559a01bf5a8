import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Which processes answer mounts and what all of them know, so that the grace of what drains may end early.
 *
 * `drained_in` is the transaction that took a replica out of the answers, while it drains. The database notes it, so that it is right whichever version of the service changes the row.
 * A database without replicas has given no leases: its history is unbroken from the start. In any other one nothing ends early until a whole grace after this.
 */
export class EarlyDrains1765600000004 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query('ALTER TABLE replicas ADD COLUMN drained_in xid8');
    await db.query('CREATE INDEX replicas_resting ON replicas (drained_in) WHERE drained_in IS NOT NULL');
    await db.query(`
      CREATE FUNCTION note_drain() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        NEW.drained_in := CASE WHEN OLD.state = 'ready' AND NEW.state = 'draining' THEN pg_current_xact_id() END;
        RETURN NEW;
      END $$`);
    await db.query(`
      CREATE TRIGGER replicas_drained BEFORE UPDATE ON replicas
      FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION note_drain()`);
    await db.query(`
      CREATE TABLE answering_processes (
        id uuid PRIMARY KEY,
        name text NOT NULL,
        heard_at timestamptz NOT NULL,
        counts_ms double precision NOT NULL,
        known_to xid8,
        unleased_at timestamptz,
        ended boolean NOT NULL)`);
    await db.query('CREATE INDEX answering_processes_heard ON answering_processes (heard_at)');
    await db.query(`
      CREATE TABLE answering_history (
        singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
        identity text,
        unbroken_since timestamptz NOT NULL)`);
    await db.query(`INSERT INTO answering_history (unbroken_since) SELECT CASE WHEN EXISTS (SELECT FROM replicas) THEN statement_timestamp() ELSE '-infinity' END`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query('DROP TABLE answering_history, answering_processes');
    await db.query('DROP TRIGGER replicas_drained ON replicas');
    await db.query('DROP FUNCTION note_drain');
    await db.query('DROP INDEX replicas_resting');
    await db.query('ALTER TABLE replicas DROP COLUMN drained_in');
  }
}
