import { createHash } from 'node:crypto';

import pg from 'pg';

import { openDataSource } from '#database';
import { MIGRATIONS } from '#migrations';
import { type Digest } from '#oci';

import { BenchError } from '../bench.js';

/** Layers of one image. */
export const LAYERS_PER_IMAGE = 20;
/** Layers that no other image but the next one has. */
const OWN_LAYERS = 10;
/** Ready replicas of one layer, each in a region of its own. */
export const REPLICAS_PER_LAYER = 10;
/** Regions in the map. */
export const REGION_COUNT = 60;
/** Images whose layers lie in the same regions. */
const IMAGES_PER_GROUP = 100;
/** Images in one repository. */
const IMAGES_PER_REPOSITORY = 500;

/** The regions' names; the first is home. */
export const REGIONS: readonly string[] = Array.from({ length: REGION_COUNT }, (_, number) => `region-${String(number).padStart(2, '0')}`);

/** An image in the database, and regions that have every layer of it. */
export interface StoredImage {
  readonly repository: string;
  readonly manifest: Digest;
  readonly layers: readonly Digest[];
  readonly regions: readonly string[];
}

/** The image of that number: the same as in the database, which made it by the same rule. */
export function storedImage(number: number, layerCount: number): StoredImage {
  const images = layerCount / OWN_LAYERS;
  const from = (image: number): Digest[] => Array.from({ length: OWN_LAYERS }, (_, place) => named(`layer ${(image % images) * OWN_LAYERS + place}`));
  const group = Math.floor(number / IMAGES_PER_GROUP);
  return {
    repository: `team-${Math.floor(number / IMAGES_PER_REPOSITORY)}/app`,
    manifest: named(`image ${number}`),
    layers: [...from(number), ...from(number + 1)],
    regions: Array.from({ length: REPLICAS_PER_LAYER }, (_, place) => REGIONS[(group + place * (REGION_COUNT / REPLICAS_PER_LAYER)) % REGION_COUNT]!),
  };
}

/** Numbers of images whose layers are all in the same regions, spread over all images. */
export function wholeImages(count: number, layerCount: number): number[] {
  const images = layerCount / OWN_LAYERS;
  const step = Math.max(1, Math.floor(images / count));
  return Array.from({ length: count }, (_, n) => (n * step) % images).map((number) => (number % IMAGES_PER_GROUP === IMAGES_PER_GROUP - 1 ? number - 1 : number));
}

function named(text: string): Digest {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}

/** Whatever the filling does not say has this. */
const FILL = (layers: number): readonly string[] => {
  const images = layers / OWN_LAYERS;
  const digest = (text: string): string => `'sha256:' || encode(sha256((${text})::bytea), 'hex')`;
  return [
    `SET session_replication_role = replica`,
    `SET synchronous_commit = off`,
    `SET maintenance_work_mem = '512MB'`,
    `INSERT INTO repositories (name, enabled, changed_at, backfill_state)
     SELECT 'team-' || n || '/app', true, now(), 'none' FROM generate_series(0, ${Math.ceil(images / IMAGES_PER_REPOSITORY) - 1}) AS n`,
    `INSERT INTO images (repository, digest, kind, media_type, size_bytes, os, architecture, pushed_at)
     SELECT 'team-' || n / ${IMAGES_PER_REPOSITORY} || '/app', ${digest(`'image ' || n`)}, 'image', 'application/vnd.oci.image.manifest.v1+json', 5000, 'linux', 'amd64', now() FROM generate_series(0, ${images - 1}) AS n`,
    `INSERT INTO tags (repository, tag, digest) SELECT 'team-' || n / ${IMAGES_PER_REPOSITORY} || '/app', 'v' || n, ${digest(`'image ' || n`)} FROM generate_series(0, ${images - 1}) AS n`,
    `INSERT INTO image_layers (repository, image, place, digest, diff_id, media_type, size_bytes)
     SELECT 'team-' || n / ${IMAGES_PER_REPOSITORY} || '/app', ${digest(`'image ' || n`)}, place, ${digest(`'layer ' || layer`)}, ${digest(`'diff ' || layer`)}, 'application/vnd.oci.image.layer.v1.tar+gzip', 1000000 + layer
     FROM generate_series(0, ${images - 1}) AS n, generate_series(0, ${LAYERS_PER_IMAGE - 1}) AS place,
     LATERAL (SELECT ((n + place / ${OWN_LAYERS}) % ${images}) * ${OWN_LAYERS} + place % ${OWN_LAYERS} AS layer) AS which`,
    `INSERT INTO expanded_layers (digest, media_type, size_bytes, repository, state, priority, wanted_at, diff_id, vhd_digest, vhd_size_bytes, piece_crc64s, data_bytes, entry_count, writer_version, expanded_at,
       verity_root_hash, verity_hash_offset)
     SELECT ${digest(`'layer ' || n`)}, 'application/vnd.oci.image.layer.v1.tar+gzip', 1000000 + n, 'team-0/app', 'expanded', 0, now(), ${digest(`'diff ' || n`)}, ${digest(`'vhd ' || n`)}, 4194304 + 4096 * (n % 1000), '{00}', 4194304, 100, 2, now(),
       encode(sha256(('verity ' || n)::bytea), 'hex'), 4096000 FROM generate_series(0, ${layers - 1}) AS n`,
    `INSERT INTO replicas (layer, share, state, size_bytes, reason, wanted_at, ready_at)
     SELECT digest, 'region-' || lpad(((n / ${OWN_LAYERS} / ${IMAGES_PER_GROUP} + place * ${REGION_COUNT / REPLICAS_PER_LAYER}) % ${REGION_COUNT})::text, 2, '0'), 'ready', 4194304, 'filled', now(), now()
     FROM (SELECT n, ${digest(`'layer ' || n`)} AS digest FROM generate_series(0, ${layers - 1}) AS n ORDER BY 2) AS layer, generate_series(0, ${REPLICAS_PER_LAYER - 1}) AS place`,
    `RESET session_replication_role`,
    `VACUUM ANALYZE`,
  ];
};

/** Indexes of the largest table that are made after its rows. */
const LATE_INDEXES = ['replicas_by_share', 'replicas_by_claim'];

/**
 * A database of so many layers, with images, tags and ready replicas, on that server; filled when it is not there yet, and kept for the next time.
 * @returns its URL.
 * @throws {BenchError} when the server cannot be reached or filled.
 */
export async function filledDatabase(serverUrl: string, layerCount: number, tell: (line: string) => void): Promise<string> {
  const name = `translocator_bench_${layerCount}`;
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  try {
    const isNew = await withClient(serverUrl, async (admin) => {
      if ((await admin.query('SELECT FROM pg_database WHERE datname = $1', [name])).rowCount === 1) return false;
      await admin.query(`CREATE DATABASE ${name}`);
      return true;
    });
    await (await openDataSource({ kind: 'server', url: url.toString(), poolSize: 1 }, MIGRATIONS)).destroy();
    const stored = await withClient(url.toString(), (client) => client.query<{ count: number }>('SELECT count(*)::int AS count FROM expanded_layers'));
    if (stored.rows[0]?.count === layerCount) return url.toString();
    if (!isNew) throw new BenchError(`the database ${name} is there and holds something else; drop it`);
    tell(`filling a database with ${layerCount} layers and ${layerCount * REPLICAS_PER_LAYER} replicas, once`);
    await withClient(url.toString(), async (client) => {
      const { rows } = await client.query<{ name: string; indexdef: string }>('SELECT indexname AS name, indexdef FROM pg_indexes WHERE indexname = ANY($1)', [LATE_INDEXES]);
      for (const index of rows) await client.query(`DROP INDEX ${index.name}`);
      for (const statement of FILL(layerCount)) await client.query(statement);
      for (const index of rows) await client.query(index.indexdef);
    });
    return url.toString();
  } catch (cause) {
    if (cause instanceof BenchError) throw cause;
    throw new BenchError(`the database could not be filled: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

async function withClient<Result>(url: string, use: (client: pg.Client) => Promise<Result>): Promise<Result> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}
