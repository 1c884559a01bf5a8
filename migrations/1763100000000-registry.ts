import type { MigrationInterface, QueryRunner } from 'typeorm';

const CLAIM_COLUMNS = `
  claim_id uuid, claimed_by text, claim_expires_at timestamptz, attempts integer NOT NULL DEFAULT 0,
  not_before timestamptz NOT NULL DEFAULT '-infinity', last_error text`;

/** What the registry holds of the repositories that are served, and the work of finding that out. */
export class Registry1763100000000 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await createRepositories(db);
    await createImages(db);
    await createExaminations(db);
    await attachTriggers(db);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query('DROP TABLE examinations, received_events, tags, index_images, image_layers, images, repositories');
  }
}

/** Names and digests compare by their bytes, so that pages have one order on every machine. */
async function createRepositories(db: QueryRunner): Promise<void> {
  await db.query(`
    CREATE TABLE repositories (
      name text COLLATE "C" PRIMARY KEY,
      enabled boolean NOT NULL,
      changed_at timestamptz NOT NULL,
      backfill_state text NOT NULL CHECK (backfill_state IN ('none', 'waiting', 'listing', 'examining', 'done')),
      backfill_total integer NOT NULL DEFAULT 0,
      backfill_done integer NOT NULL DEFAULT 0,
      backfill_started_at timestamptz,
      backfill_finished_at timestamptz,
      ${CLAIM_COLUMNS})`);
  await db.query(`CREATE INDEX repositories_to_backfill ON repositories (changed_at) WHERE backfill_state IN ('waiting', 'listing')`);
  await db.query('CREATE UNIQUE INDEX repositories_by_claim ON repositories (claim_id) WHERE claim_id IS NOT NULL');
}

async function createImages(db: QueryRunner): Promise<void> {
  await db.query(`
    CREATE TABLE images (
      repository text COLLATE "C" NOT NULL,
      digest text COLLATE "C" NOT NULL,
      kind text NOT NULL CHECK (kind IN ('image', 'index')),
      media_type text NOT NULL,
      size_bytes bigint NOT NULL,
      os text,
      architecture text,
      variant text,
      created_at timestamptz,
      pushed_at timestamptz NOT NULL,
      PRIMARY KEY (repository, digest))`);
  await db.query('CREATE INDEX images_newest_first ON images (repository, pushed_at DESC, digest DESC)');
  await db.query(`
    CREATE TABLE image_layers (
      repository text COLLATE "C" NOT NULL,
      image text COLLATE "C" NOT NULL,
      place integer NOT NULL,
      digest text COLLATE "C" NOT NULL,
      diff_id text COLLATE "C" NOT NULL,
      media_type text NOT NULL,
      size_bytes bigint NOT NULL,
      PRIMARY KEY (repository, image, place),
      FOREIGN KEY (repository, image) REFERENCES images (repository, digest) ON DELETE CASCADE)`);
  await db.query('CREATE INDEX image_layers_by_digest ON image_layers (digest, repository, image)');
  await db.query(`
    CREATE TABLE index_images (
      repository text COLLATE "C" NOT NULL,
      index_digest text COLLATE "C" NOT NULL,
      digest text COLLATE "C" NOT NULL,
      place integer NOT NULL,
      os text NOT NULL,
      architecture text NOT NULL,
      variant text,
      PRIMARY KEY (repository, index_digest, digest),
      FOREIGN KEY (repository, index_digest) REFERENCES images (repository, digest) ON DELETE CASCADE)`);
  await db.query('CREATE INDEX index_images_by_child ON index_images (repository, digest)');
  await db.query(`
    CREATE TABLE tags (
      repository text COLLATE "C" NOT NULL,
      tag text COLLATE "C" NOT NULL,
      digest text COLLATE "C" NOT NULL,
      PRIMARY KEY (repository, tag),
      FOREIGN KEY (repository, digest) REFERENCES images (repository, digest) ON DELETE CASCADE)`);
  await db.query('CREATE INDEX tags_by_image ON tags (repository, digest)');
}

async function createExaminations(db: QueryRunner): Promise<void> {
  await db.query('CREATE TABLE received_events (id text COLLATE "C" PRIMARY KEY, received_at timestamptz NOT NULL)');
  await db.query('CREATE INDEX received_events_by_age ON received_events (received_at)');
  await db.query(`
    CREATE TABLE examinations (
      repository text COLLATE "C" NOT NULL,
      reference text COLLATE "C" NOT NULL,
      generation integer NOT NULL DEFAULT 1,
      priority integer NOT NULL,
      wanted_at timestamptz NOT NULL,
      pushed_at timestamptz,
      backfill boolean NOT NULL DEFAULT false,
      ${CLAIM_COLUMNS},
      PRIMARY KEY (repository, reference))`);
  await db.query('CREATE INDEX examinations_by_urgency ON examinations (priority DESC, wanted_at)');
  await db.query('CREATE UNIQUE INDEX examinations_by_claim ON examinations (claim_id) WHERE claim_id IS NOT NULL');
}

async function attachTriggers(db: QueryRunner): Promise<void> {
  const attach = (table: string, name: string, when: string, call: string): Promise<unknown> =>
    db.query(`CREATE TRIGGER ${name} AFTER ${when} EXECUTE FUNCTION record_change(${call})`.replace('$table', table));
  const changed = (column: string): string => `UPDATE ON $table FOR EACH ROW WHEN (OLD.${column} IS DISTINCT FROM NEW.${column})`;

  await attach('repositories', 'repository_comes_or_goes', 'INSERT OR DELETE ON $table FOR EACH ROW', `'repository', 'name'`);
  await attach('repositories', 'repository_changes', changed('enabled'), `'repository', 'name'`);
  await attach('tags', 'tag_comes_or_goes', 'INSERT OR DELETE ON $table FOR EACH ROW', `'tag', 'repository', 'tag'`);
  await attach('tags', 'tag_moves', changed('digest'), `'tag', 'repository', 'tag'`);
  await attach('images', 'image_comes_or_goes', 'INSERT OR DELETE ON $table FOR EACH ROW', `'image', 'repository', 'digest'`);
  await attach('images', 'image_changes', changed('pushed_at'), `'image', 'repository', 'digest'`);
  // Which images of an index are wanted follows the platform policy, so it can change under the same digest.
  await attach('index_images', 'index_changes', 'INSERT OR DELETE ON $table FOR EACH ROW', `'image', 'repository', 'index_digest'`);
}
