import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What the model of demand foretold last: one row, which a process that goes on compares with what comes. */
export class ForetoldDay1765300000004 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`
      CREATE TABLE demand_foretold (
        singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
        at_ms float8 NOT NULL,
        state json NOT NULL)`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query('DROP TABLE demand_foretold');
  }
}
