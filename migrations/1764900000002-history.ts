import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What happened: exact totals of pulls, events, and what images that are gone were made of. Pushes, deletions and pins are noted by triggers, in the transaction that makes them; a deleted pin ends
 * where it was deleted. A pin is noted for the images that it means when it is made.
 */
export class History1764900000002 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await createTables(db);
    await noteImages(db);
    await notePins(db);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query('DROP TRIGGER image_is_history ON images');
    await db.query('DROP TRIGGER image_will_be_history ON images');
    await db.query('DROP TRIGGER pin_is_history ON pins');
    await db.query('DROP FUNCTION note_image, note_gone_image, note_pin');
    await db.query('DROP TABLE gone_images, history_events, history_batches, pull_totals');
  }
}

async function createTables(db: QueryRunner): Promise<void> {
  await db.query(`
    CREATE TABLE pull_totals (
      region text COLLATE "C" NOT NULL, repository text COLLATE "C" NOT NULL, image text COLLATE "C" NOT NULL,
      pulls float8 NOT NULL, last_at timestamptz NOT NULL, PRIMARY KEY (region, repository, image)) WITH (fillfactor = 70)`);
  await db.query('CREATE INDEX pull_totals_by_age ON pull_totals (last_at)');
  await db.query('CREATE TABLE history_batches (batch_id uuid PRIMARY KEY, closed_at timestamptz NOT NULL)');
  await db.query('CREATE INDEX history_batches_by_age ON history_batches (closed_at)');
  await db.query(`
    CREATE TABLE history_events (
      sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      kind text NOT NULL CHECK (kind IN ('push', 'delete', 'pull', 'pin')),
      at timestamptz NOT NULL, region text, repository text NOT NULL, image text NOT NULL, client text, until_at timestamptz, pin_id uuid)`);
  await db.query('CREATE INDEX history_events_in_order ON history_events (at, sequence)');
  await db.query('CREATE INDEX history_events_by_pin ON history_events (pin_id) WHERE pin_id IS NOT NULL');
  await db.query(`
    CREATE TABLE gone_images (
      repository text COLLATE "C" NOT NULL, digest text COLLATE "C" NOT NULL, layers jsonb NOT NULL, gone_at timestamptz NOT NULL, PRIMARY KEY (repository, digest))`);
  await db.query('CREATE INDEX gone_images_by_age ON gone_images (gone_at)');
}

async function noteImages(db: QueryRunner): Promise<void> {
  await db.query(`
    CREATE FUNCTION note_image() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      INSERT INTO history_events (kind, at, repository, image) VALUES ('push', NEW.pushed_at, NEW.repository, NEW.digest);
      RETURN NULL;
    END $$`);
  await db.query(`CREATE TRIGGER image_is_history AFTER INSERT OR UPDATE OF pushed_at ON images FOR EACH ROW WHEN (NEW.kind = 'image') EXECUTE FUNCTION note_image()`);
  // Before its layers go with it. One whose layers never were all expanded was never placed, and is of no use to a replay.
  await db.query(`
    CREATE FUNCTION note_gone_image() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
      made_of jsonb;
    BEGIN
      SELECT CASE WHEN bool_and(expanded.vhd_size_bytes IS NOT NULL)
        THEN jsonb_agg(jsonb_build_object('digest', layer.digest, 'sizeBytes', expanded.vhd_size_bytes) ORDER BY layer.place) END INTO made_of
      FROM image_layers AS layer LEFT JOIN expanded_layers AS expanded ON expanded.digest = layer.digest WHERE layer.repository = OLD.repository AND layer.image = OLD.digest;
      IF made_of IS NOT NULL THEN
        INSERT INTO gone_images (repository, digest, layers, gone_at) VALUES (OLD.repository, OLD.digest, made_of, clock_timestamp())
        ON CONFLICT (repository, digest) DO UPDATE SET layers = excluded.layers, gone_at = excluded.gone_at;
        INSERT INTO history_events (kind, at, repository, image) VALUES ('delete', clock_timestamp(), OLD.repository, OLD.digest);
      END IF;
      RETURN OLD;
    END $$`);
  await db.query(`CREATE TRIGGER image_will_be_history BEFORE DELETE ON images FOR EACH ROW WHEN (OLD.kind = 'image') EXECUTE FUNCTION note_gone_image()`);
}

async function notePins(db: QueryRunner): Promise<void> {
  await db.query(`
    CREATE FUNCTION note_pin() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF TG_OP = 'DELETE' THEN
        UPDATE history_events SET until_at = least(until_at, clock_timestamp()) WHERE pin_id = OLD.id;
      ELSE
        INSERT INTO history_events (kind, at, region, repository, image, until_at, pin_id)
        SELECT 'pin', NEW.created_at, region, NEW.repository, meant.digest, NEW.expires_at, NEW.id
        FROM unnest(NEW.regions) AS region, (
          WITH named AS (SELECT digest FROM tags WHERE repository = NEW.repository AND tag = NEW.reference UNION SELECT NEW.reference WHERE NEW.reference LIKE 'sha256:%')
          SELECT image.digest FROM images AS image JOIN named USING (digest) WHERE image.repository = NEW.repository AND image.kind = 'image'
          UNION SELECT child.digest FROM index_images AS child JOIN named ON named.digest = child.index_digest WHERE child.repository = NEW.repository) AS meant;
      END IF;
      RETURN NULL;
    END $$`);
  await db.query('CREATE TRIGGER pin_is_history AFTER INSERT OR DELETE ON pins FOR EACH ROW EXECUTE FUNCTION note_pin()');
}
