import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Which expanded layer is on which share, its copies and removals as work, and the bytes that links carried by day. */
export class Replicas1763160000000 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`
      CREATE TABLE replicas (
        layer text COLLATE "C" NOT NULL,
        share text COLLATE "C" NOT NULL,
        state text NOT NULL CHECK (state IN ('wanted', 'copying', 'ready', 'draining')),
        size_bytes bigint NOT NULL CHECK (size_bytes > 0),
        priority double precision NOT NULL DEFAULT 0,
        reason text NOT NULL,
        wanted_at timestamptz NOT NULL,
        copied_bytes bigint NOT NULL DEFAULT 0,
        partial_path text,
        verified_pieces bytea,
        ready_at timestamptz,
        draining_since timestamptz,
        claim_id uuid,
        claimed_by text,
        claim_expires_at timestamptz,
        attempts integer NOT NULL DEFAULT 0,
        not_before timestamptz NOT NULL DEFAULT '-infinity',
        last_error text,
        PRIMARY KEY (layer, share),
        CONSTRAINT claimed_while_copying CHECK (CASE state WHEN 'copying' THEN claim_id IS NOT NULL WHEN 'draining' THEN true ELSE claim_id IS NULL END),
        CONSTRAINT dated_when_ready CHECK (state <> 'ready' OR ready_at IS NOT NULL),
        CONSTRAINT dated_while_draining CHECK ((state = 'draining') = (draining_since IS NOT NULL)),
        CONSTRAINT checkpoint_whole CHECK ((partial_path IS NULL) = (verified_pieces IS NULL)))`);
    await db.query(`CREATE INDEX replicas_to_copy ON replicas (priority DESC, wanted_at, layer, share) WHERE state IN ('wanted', 'copying')`);
    await db.query(`CREATE INDEX replicas_to_remove ON replicas (draining_since, layer, share) WHERE state = 'draining'`);
    await db.query('CREATE UNIQUE INDEX replicas_by_claim ON replicas (claim_id) WHERE claim_id IS NOT NULL');
    await db.query('CREATE INDEX replicas_by_share ON replicas (share, state) INCLUDE (size_bytes)');
    await db.query(`
      CREATE TRIGGER replicas_came_or_went AFTER INSERT OR DELETE ON replicas
      FOR EACH ROW EXECUTE FUNCTION record_change('replica', 'layer', 'share')`);
    await db.query(`
      CREATE TRIGGER replicas_changed AFTER UPDATE ON replicas
      FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION record_change('replica', 'layer', 'share')`);
    await db.query(`
      CREATE TABLE link_days (
        day date NOT NULL,
        from_region text NOT NULL,
        to_region text NOT NULL,
        bytes bigint NOT NULL CHECK (bytes >= 0),
        PRIMARY KEY (day, from_region, to_region))`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query('DROP TABLE link_days, replicas');
  }
}
