import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What a pin means changes when its tag comes, moves or goes, or when other images of its index are wanted: then its events of images that it means no more end, and those of images that it means
 * now begin. Noted at the end of the transaction, when all of it is there.
 */
export class MovedPins1765300000002 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query('CREATE INDEX pins_by_reference ON pins (repository, reference)');
    await createNoting(db);
    await db.query(`
      CREATE FUNCTION note_moved_tag() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        PERFORM note_moved_pins(coalesce(NEW.repository, OLD.repository), coalesce(NEW.tag, OLD.tag));
        RETURN NULL;
      END $$`);
    await db.query(`
      CREATE FUNCTION note_moved_index() RETURNS trigger LANGUAGE plpgsql AS $$
      DECLARE
        of_repository text := coalesce(NEW.repository, OLD.repository);
        of_index text := coalesce(NEW.index_digest, OLD.index_digest);
      BEGIN
        PERFORM note_moved_pins(of_repository, reference) FROM (
          SELECT tag AS reference FROM tags WHERE repository = of_repository AND digest = of_index UNION SELECT of_index) AS naming;
        RETURN NULL;
      END $$`);
    await db.query(`
      CREATE CONSTRAINT TRIGGER tag_is_history AFTER INSERT OR UPDATE OF digest OR DELETE ON tags DEFERRABLE INITIALLY DEFERRED
      FOR EACH ROW EXECUTE FUNCTION note_moved_tag()`);
    await db.query(`
      CREATE CONSTRAINT TRIGGER index_is_history AFTER INSERT OR DELETE ON index_images DEFERRABLE INITIALLY DEFERRED
      FOR EACH ROW EXECUTE FUNCTION note_moved_index()`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query('DROP TRIGGER tag_is_history ON tags');
    await db.query('DROP TRIGGER index_is_history ON index_images');
    await db.query('DROP FUNCTION note_moved_tag, note_moved_index, note_moved_pins');
    await db.query('DROP INDEX pins_by_reference');
  }
}

/** `note_moved_pins` brings the events of all pins by one reference to what they mean now. Repeating it changes nothing. */
async function createNoting(db: QueryRunner): Promise<void> {
  await db.query(`
    CREATE FUNCTION note_moved_pins(of_repository text, of_reference text) RETURNS void LANGUAGE plpgsql AS $$
    DECLARE
      at_now timestamptz := clock_timestamp();
      pin pins;
      meant text[];
    BEGIN
      FOR pin IN SELECT * FROM pins WHERE repository = of_repository AND reference = of_reference AND (expires_at IS NULL OR expires_at > at_now) LOOP
        WITH named AS (SELECT digest FROM tags WHERE repository = of_repository AND tag = of_reference UNION SELECT of_reference WHERE of_reference LIKE 'sha256:%')
        SELECT coalesce(array_agg(found.digest), '{}') INTO meant FROM (
          SELECT image.digest FROM images AS image JOIN named USING (digest) WHERE image.repository = of_repository AND image.kind = 'image'
          UNION SELECT child.digest FROM index_images AS child JOIN named ON named.digest = child.index_digest WHERE child.repository = of_repository) AS found;
        UPDATE history_events SET until_at = at_now WHERE pin_id = pin.id AND (until_at IS NULL OR until_at > at_now) AND image <> ALL (meant);
        INSERT INTO history_events (kind, at, region, repository, image, until_at, pin_id)
        SELECT 'pin', at_now, places.region, of_repository, meaning.digest, pin.expires_at, pin.id FROM unnest(pin.regions) AS places (region), unnest(meant) AS meaning (digest)
        WHERE NOT EXISTS (
          SELECT FROM history_events AS held
          WHERE held.pin_id = pin.id AND held.region = places.region AND held.image = meaning.digest AND (held.until_at IS NULL OR held.until_at > at_now));
      END LOOP;
    END $$`);
}
