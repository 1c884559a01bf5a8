import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What happened that others may want to know, written by the transaction that made it so; and how far each webhook has been told. */
export class Events1764800000050 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`
      CREATE TABLE events (
        sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        transaction xid8 NOT NULL DEFAULT pg_current_xact_id(),
        id uuid NOT NULL DEFAULT gen_random_uuid(),
        type text NOT NULL,
        subject text NOT NULL,
        at timestamptz NOT NULL DEFAULT clock_timestamp(),
        data jsonb NOT NULL)`);
    await db.query('CREATE INDEX events_in_order ON events (transaction, sequence)');
    await db.query('CREATE INDEX events_by_age ON events (at)');
    await db.query(`
      CREATE TABLE webhook_deliveries (
        webhook text COLLATE "C" PRIMARY KEY,
        transaction xid8 NOT NULL,
        sequence bigint NOT NULL,
        attempts integer NOT NULL DEFAULT 0,
        not_before timestamptz NOT NULL DEFAULT '-infinity',
        last_error text,
        claimed_by uuid,
        claim_expires_at timestamptz NOT NULL DEFAULT '-infinity')`);
    await db.query(`
      CREATE FUNCTION record_event(type text, subject text, data jsonb) RETURNS void LANGUAGE sql AS $$
        INSERT INTO events (type, subject, data) VALUES (type, subject, data)
      $$`);
    await expansions(db);
    await replicas(db);
    await images(db);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query('DROP TRIGGER images_made_ready ON images');
    for (const name of ['replicas_came_ready', 'replicas_became_ready']) await db.query(`DROP TRIGGER ${name} ON replicas`);
    await db.query('DROP TRIGGER replicas_evicted ON replicas');
    await db.query('DROP TRIGGER expanded_layers_expanded ON expanded_layers');
    await db.query('DROP FUNCTION tell_image_recorded, tell_replica_ready, tell_replica_evicted, tell_layer_expanded, tell_images_ready, record_event');
    await db.query('DROP TABLE webhook_deliveries, events');
  }
}

async function expansions(db: QueryRunner): Promise<void> {
  await db.query(`
    CREATE FUNCTION tell_layer_expanded() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
      held text;
    BEGIN
      PERFORM record_event('translocator.layer.expanded', NEW.digest, jsonb_build_object(
        'layer', NEW.digest, 'diffId', NEW.diff_id, 'repository', NEW.repository, 'vhd', jsonb_build_object('digest', NEW.vhd_digest, 'sizeBytes', NEW.vhd_size_bytes)));
      FOR held IN SELECT share FROM replicas WHERE layer = NEW.digest AND state = 'ready' ORDER BY share LOOP
        PERFORM tell_images_ready(held, NEW.digest, NULL, NULL);
      END LOOP;
      RETURN NULL;
    END $$`);
  await db.query(`
    CREATE CONSTRAINT TRIGGER expanded_layers_expanded AFTER UPDATE ON expanded_layers DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (OLD.state <> 'expanded' AND NEW.state = 'expanded') EXECUTE FUNCTION tell_layer_expanded()`);
}

async function replicas(db: QueryRunner): Promise<void> {
  // An image is ready where every layer that was not refused is: expanded, by its record, and there. Either may be written last. Two layers that become ready at the same time would each miss the other, so they take turns on a share; every statement
  // then sees what the one before has written. Who became ready last tells.
  await db.query(`
    CREATE FUNCTION tell_images_ready(of_share text, of_layer text, of_repository text, of_image text) RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
      PERFORM pg_advisory_xact_lock(hashtextextended('translocator images ready ' || of_share, 0));
      INSERT INTO events (type, subject, data)
      SELECT 'translocator.image.ready', image.repository || '@' || image.digest,
             jsonb_build_object('repository', image.repository, 'digest', image.digest, 'region', of_share,
               'tags', coalesce((SELECT jsonb_agg(tag ORDER BY tag) FROM tags WHERE tags.repository = image.repository AND tags.digest = image.digest), '[]'))
      FROM images AS image
      WHERE image.kind = 'image'
        AND (of_image IS NULL OR (image.repository = of_repository AND image.digest = of_image))
        AND (of_layer IS NULL OR (image.repository, image.digest) IN (SELECT repository, image_layers.image FROM image_layers WHERE digest = of_layer))
        AND EXISTS (SELECT FROM image_layers AS own JOIN expanded_layers ON expanded_layers.digest = own.digest AND expanded_layers.state = 'expanded'
                    WHERE own.repository = image.repository AND own.image = image.digest)
        AND NOT EXISTS (SELECT FROM image_layers AS own LEFT JOIN expanded_layers ON expanded_layers.digest = own.digest
                        WHERE own.repository = image.repository AND own.image = image.digest AND expanded_layers.state IS DISTINCT FROM 'refused'
                          AND (expanded_layers.state IS DISTINCT FROM 'expanded'
                               OR NOT EXISTS (SELECT FROM replicas WHERE replicas.layer = own.digest AND replicas.share = of_share AND replicas.state = 'ready')));
    END $$`);
  await db.query(`
    CREATE FUNCTION tell_replica_ready() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF TG_OP = 'UPDATE' AND OLD.state = 'copying' THEN
        PERFORM record_event('translocator.layer.replicated', NEW.layer, jsonb_build_object('layer', NEW.layer, 'region', NEW.share, 'sizeBytes', NEW.size_bytes));
      END IF;
      PERFORM tell_images_ready(NEW.share, NEW.layer, NULL, NULL);
      RETURN NULL;
    END $$`);
  for (const [name, when] of [['replicas_came_ready', `INSERT ON replicas DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.state = 'ready')`],
    ['replicas_became_ready', `UPDATE ON replicas DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (OLD.state <> 'ready' AND NEW.state = 'ready')`]]) {
    await db.query(`CREATE CONSTRAINT TRIGGER ${name} AFTER ${when} EXECUTE FUNCTION tell_replica_ready()`);
  }
  await db.query(`
    CREATE FUNCTION tell_replica_evicted() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      PERFORM record_event('translocator.layer.evicted', OLD.layer, jsonb_build_object('layer', OLD.layer, 'region', OLD.share, 'sizeBytes', OLD.size_bytes));
      RETURN NULL;
    END $$`);
  await db.query(`
    CREATE TRIGGER replicas_evicted AFTER DELETE ON replicas
    FOR EACH ROW WHEN (OLD.state = 'draining') EXECUTE FUNCTION tell_replica_evicted()`);
}

/** An image that is recorded when all its layers are there already, as a tag that adds nothing. Its layers are written after it, so it is looked at when the transaction ends. */
async function images(db: QueryRunner): Promise<void> {
  await db.query(`
    CREATE FUNCTION tell_image_recorded() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
      held text;
    BEGIN
      FOR held IN SELECT DISTINCT share FROM replicas JOIN image_layers ON image_layers.digest = replicas.layer
                  WHERE image_layers.repository = NEW.repository AND image_layers.image = NEW.digest AND replicas.state = 'ready' ORDER BY share LOOP
        PERFORM tell_images_ready(held, NULL, NEW.repository, NEW.digest);
      END LOOP;
      RETURN NULL;
    END $$`);
  await db.query(`
    CREATE CONSTRAINT TRIGGER images_made_ready AFTER INSERT ON images DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.kind = 'image') EXECUTE FUNCTION tell_image_recorded()`);
}
