import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Operators' pins. A reference is a tag or a digest in its wire form: the two never look alike. */
export class Pins1763200000000 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`
      CREATE TABLE pins (
        id uuid PRIMARY KEY,
        repository text NOT NULL,
        reference text NOT NULL,
        regions text[] NOT NULL CHECK (cardinality(regions) > 0),
        priority integer NOT NULL CHECK (priority BETWEEN -100 AND 100),
        expires_at timestamptz,
        note text,
        created_at timestamptz NOT NULL,
        created_by text NOT NULL)`);
    await db.query('CREATE INDEX pins_in_order ON pins (created_at, id)');
    await db.query('CREATE INDEX pins_by_expiry ON pins (expires_at) WHERE expires_at IS NOT NULL');
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query('DROP TABLE pins');
  }
}
