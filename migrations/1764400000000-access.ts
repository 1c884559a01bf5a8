import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Service tokens, with sha256 of their secrets only, and the trail of changing calls. The version is one row that every creation, revocation and removal of a token
 * counts up within its transaction: what processes look at instead of the change feed, which a long transaction holds back.
 */
export class Access1764400000000 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`
      CREATE TABLE service_tokens (
        id uuid PRIMARY KEY,
        name text NOT NULL,
        scopes text[] NOT NULL CHECK (cardinality(scopes) > 0),
        repositories text[] CHECK (cardinality(repositories) > 0),
        regions text[] CHECK (cardinality(regions) > 0),
        created_at timestamptz NOT NULL,
        created_by text NOT NULL,
        expires_at timestamptz NOT NULL,
        revoked_at timestamptz,
        last_used_at timestamptz,
        secret_hash bytea NOT NULL CHECK (octet_length(secret_hash) = 32))`);
    await db.query('CREATE INDEX service_tokens_in_order ON service_tokens (created_at, id)');
    await db.query('CREATE TABLE service_token_version (singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton), version bigint NOT NULL)');
    await db.query(`
      CREATE FUNCTION count_service_token_version() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        INSERT INTO service_token_version AS counted (version) VALUES (1) ON CONFLICT (singleton) DO UPDATE SET version = counted.version + 1;
        RETURN NULL;
      END $$`);
    for (const [name, event] of [['made', 'INSERT'], ['revoked', 'UPDATE OF revoked_at'], ['removed', 'DELETE']] as const) {
      const when = event.startsWith('UPDATE') ? 'WHEN (OLD.revoked_at IS DISTINCT FROM NEW.revoked_at)' : '';
      await db.query(`CREATE TRIGGER service_tokens_${name} AFTER ${event} ON service_tokens FOR EACH ROW ${when} EXECUTE FUNCTION count_service_token_version()`);
    }
    await db.query(`
      CREATE TABLE trail_entries (
        id uuid PRIMARY KEY,
        at timestamptz NOT NULL,
        actor text NOT NULL,
        actor_name text NOT NULL,
        address text NOT NULL,
        method text NOT NULL,
        path text NOT NULL,
        body text,
        status integer)`);
    await db.query('CREATE INDEX trail_entries_in_order ON trail_entries (at, id)');
    await db.query('CREATE INDEX trail_entries_by_actor ON trail_entries (actor, at, id)');
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query('DROP TABLE trail_entries, service_tokens, service_token_version');
    await db.query('DROP FUNCTION count_service_token_version');
  }
}
