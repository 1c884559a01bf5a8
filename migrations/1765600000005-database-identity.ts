import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What is another one once a dump was restored (database or table), a server was started from a base backup and its log, or a standby took over (timeline). Where commits are not waited for, a server that
 * was started again may have lost the last of them, too. Null where the server does not tell: then nothing can be known of its history.
 *
 * The table of who answers is a few rows that change every few seconds: without an index beside its key they change in place.
 */
export class DatabaseIdentity1765600000005 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`
      CREATE FUNCTION database_identity() RETURNS text LANGUAGE plpgsql STABLE AS $$
      BEGIN
        RETURN (SELECT system_identifier FROM pg_control_system()) || ' ' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) || ' '
          || (SELECT oid FROM pg_database WHERE datname = current_database()) || ' ' || 'leases'::regclass::oid
          || CASE current_setting('synchronous_commit') WHEN 'off' THEN ' ' || pg_postmaster_start_time() ELSE '' END;
      EXCEPTION WHEN OTHERS THEN
        RETURN NULL;
      END $$`);
    await db.query('DROP INDEX answering_processes_heard');
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query('CREATE INDEX answering_processes_heard ON answering_processes (heard_at)');
    await db.query('DROP FUNCTION database_identity');
  }
}
