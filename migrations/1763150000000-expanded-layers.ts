import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The layers that images refer to, their expansion as work, and the record of each expanded layer. */
export class ExpandedLayers1763150000000 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`
      CREATE TABLE expanded_layers (
        digest text COLLATE "C" PRIMARY KEY,
        media_type text NOT NULL,
        size_bytes bigint NOT NULL,
        repository text NOT NULL,
        state text NOT NULL DEFAULT 'wanted' CHECK (state IN ('wanted', 'expanding', 'expanded', 'refused')),
        priority double precision NOT NULL,
        wanted_at timestamptz NOT NULL,
        read_bytes bigint NOT NULL DEFAULT 0,
        refusal_code text,
        refusal_message text,
        diff_id text,
        vhd_digest text,
        vhd_size_bytes bigint,
        piece_crc64s text[],
        data_bytes bigint,
        entry_count integer,
        writer_version integer,
        expanded_at timestamptz,
        unreferenced_since timestamptz,
        claim_id uuid,
        claimed_by text,
        claim_expires_at timestamptz,
        attempts integer NOT NULL DEFAULT 0,
        not_before timestamptz NOT NULL DEFAULT '-infinity',
        last_error text,
        CONSTRAINT claimed_while_expanding CHECK ((state = 'expanding') = (claim_id IS NOT NULL)),
        CONSTRAINT refused_with_reason CHECK ((state = 'refused') = (refusal_code IS NOT NULL AND refusal_message IS NOT NULL)),
        CONSTRAINT recorded_when_expanded CHECK ((state = 'expanded') = (num_nulls(diff_id, vhd_digest, vhd_size_bytes, piece_crc64s, data_bytes, entry_count,
          writer_version, expanded_at) = 0)))`);
    await db.query(`
      CREATE INDEX expanded_layers_to_expand ON expanded_layers (priority DESC, wanted_at, digest) WHERE state IN ('wanted', 'expanding')`);
    await db.query('CREATE UNIQUE INDEX expanded_layers_by_claim ON expanded_layers (claim_id) WHERE claim_id IS NOT NULL');
    await db.query('CREATE INDEX expanded_layers_by_state ON expanded_layers (state)');
    await db.query('CREATE INDEX expanded_layers_unreferenced ON expanded_layers (digest) WHERE unreferenced_since IS NOT NULL');
    await db.query(`
      CREATE TRIGGER expanded_layers_came_or_went AFTER INSERT OR DELETE ON expanded_layers
      FOR EACH ROW EXECUTE FUNCTION record_change('layer', 'digest')`);
    await db.query(`
      CREATE TRIGGER expanded_layers_changed AFTER UPDATE ON expanded_layers
      FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION record_change('layer', 'digest')`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query('DROP TABLE expanded_layers');
  }
}
