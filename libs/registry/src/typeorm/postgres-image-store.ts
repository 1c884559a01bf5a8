import type { DataSource, EntityManager } from 'typeorm';

import type { Digest, Reference } from '#oci';

import type { Image, ImageKey, RecordedImage, RecordedTag } from '../image.js';
import {
  type ImageCursor, type ImageRecording, ImageStore, pushedAtOf, type RecordingContext, type ResolvedImage, type TaggedImage,
  TAGS_PER_IMAGE_MAX, viewDigestOf,
} from '../image-store.js';
import { IMAGE_COLUMNS, imageOf, type ImageRow } from './image-rows.js';

const IMAGE_TAGS = `
  array(SELECT named.tag FROM tags AS named WHERE named.repository = image.repository AND named.digest = image.digest
        ORDER BY named.tag LIMIT ${TAGS_PER_IMAGE_MAX}) AS tags`;

type TaggedImageRow = ImageRow & { readonly tags: string[] };

/** {@link ImageStore} on PostgreSQL. */
export class PostgresImageStore extends ImageStore {
  readonly #dataSource: DataSource;

  constructor(dataSource: DataSource) {
    super();
    this.#dataSource = dataSource;
  }

  record(recording: ImageRecording, context: RecordingContext): Promise<boolean> {
    return this.#fenced(context, async (db) => {
      // One order for everybody, so that examinations that share images do not lock each other out.
      const images = [recording.image, ...recording.children].toSorted((a, b) => (a.digest < b.digest ? -1 : 1));
      for (const image of images) await writeImage(db, image, pushedAtOf(image, recording, context.now));
      if (recording.tag !== undefined) {
        await db.query(
          `INSERT INTO tags (repository, tag, digest) VALUES ($1, $2, $3)
           ON CONFLICT (repository, tag) DO UPDATE SET digest = excluded.digest WHERE tags.digest <> excluded.digest`,
          [recording.repository, recording.tag, recording.image.digest],
        );
      }
    });
  }

  removeTag(repository: string, tag: string, context: RecordingContext): Promise<boolean> {
    return this.#fenced(context, (db) => db.query('DELETE FROM tags WHERE repository = $1 AND tag = $2', [repository, tag]));
  }

  removeImage(key: ImageKey, context: RecordingContext): Promise<boolean> {
    return this.#fenced(context, (db) => db.query('DELETE FROM images WHERE repository = $1 AND digest = $2', [key.repository, key.digest]));
  }

  async resolve(repository: string, reference: Reference): Promise<ResolvedImage | undefined> {
    const [found] = await this.#dataSource.query<TaggedImageRow[]>(
      reference.kind === 'digest'
        ? `SELECT ${IMAGE_COLUMNS}, ${IMAGE_TAGS} FROM images AS image WHERE image.repository = $1 AND image.digest = $2`
        : `SELECT ${IMAGE_COLUMNS}, ${IMAGE_TAGS} FROM tags JOIN images AS image USING (repository, digest) WHERE tags.repository = $1 AND tags.tag = $2`,
      [repository, reference.kind === 'digest' ? reference.digest : reference.tag],
    );
    if (found === undefined) return undefined;
    const recorded = imageOf(found);
    const image = { ...recorded, tags: found.tags };
    if (image.kind === 'image') return { image, images: [recorded] };
    const digests = image.children.map((child) => child.digest);
    const rows = await this.#dataSource.query<ImageRow[]>(
      `SELECT ${IMAGE_COLUMNS} FROM images AS image WHERE image.repository = $1 AND image.digest = ANY($2) ORDER BY array_position($2, image.digest)`,
      [repository, digests],
    );
    return { image, images: rows.map(imageOf) };
  }

  async list(repository: string, page: { readonly after?: ImageCursor; readonly limit: number }): Promise<TaggedImage[]> {
    const rows = await this.#dataSource.query<TaggedImageRow[]>(
      `SELECT ${IMAGE_COLUMNS}, ${IMAGE_TAGS} FROM images AS image
       WHERE image.repository = $1 AND ($2::timestamptz IS NULL OR (image.pushed_at, image.digest) < ($2, $3))
       ORDER BY image.pushed_at DESC, image.digest DESC LIMIT $4`,
      [repository, page.after?.pushedAt ?? null, page.after?.digest ?? '', page.limit],
    );
    return rows.map((row) => ({ ...imageOf(row), tags: row.tags }));
  }

  tags(repository: string, page: { readonly after?: string; readonly limit: number }): Promise<RecordedTag[]> {
    return this.#dataSource.query<RecordedTag[]>(
      'SELECT repository, tag, digest FROM tags WHERE repository = $1 AND tag > $2 ORDER BY tag LIMIT $3',
      [repository, page.after ?? '', page.limit],
    );
  }

  imagesByLayer(layer: Digest, page: { readonly after?: ImageKey; readonly limit: number }): Promise<ImageKey[]> {
    return this.#dataSource.query<ImageKey[]>(
      `SELECT DISTINCT repository, image AS digest FROM image_layers
       WHERE digest = $1 AND (repository, image) > ($2, $3) ORDER BY repository, image LIMIT $4`,
      [layer, page.after?.repository ?? '', page.after?.digest ?? '', page.limit],
    );
  }

  async referencedLayers(layers: readonly Digest[]): Promise<Set<Digest>> {
    const rows = await this.#dataSource.query<{ digest: Digest }[]>(
      `SELECT asked.digest FROM unnest($1::text[]) AS asked (digest)
       WHERE EXISTS (SELECT FROM image_layers AS layer JOIN repositories ON repositories.name = layer.repository
                     WHERE layer.digest = asked.digest AND repositories.enabled)
          OR EXISTS (SELECT FROM images JOIN repositories ON repositories.name = images.repository
                     WHERE images.view_digest = asked.digest AND repositories.enabled)`,
      [layers],
    );
    return new Set(rows.map((row) => row.digest));
  }

  /** Writes under a claim: its row is held until the end, so that nobody takes the claim over meanwhile. */
  async #fenced(context: RecordingContext, write: (db: EntityManager) => Promise<unknown>): Promise<boolean> {
    return this.#dataSource.transaction(async (db) => {
      if (context.claimId !== undefined) {
        const held = await db.query<unknown[]>('SELECT 1 FROM examinations WHERE claim_id = $1 FOR UPDATE', [context.claimId]);
        if (held.length === 0) return false;
      }
      await write(db);
      return true;
    });
  }
}

async function writeImage(db: EntityManager, image: Image, pushedAt: Date): Promise<void> {
  const { repository, digest, platform } = image;
  await db.query(
    `INSERT INTO images (repository, digest, kind, media_type, size_bytes, os, architecture, variant, created_at, pushed_at, view_digest)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
     ON CONFLICT (repository, digest) DO UPDATE SET pushed_at = greatest(images.pushed_at, excluded.pushed_at), view_digest = excluded.view_digest
     WHERE images.pushed_at < excluded.pushed_at OR images.view_digest IS DISTINCT FROM excluded.view_digest`,
    [
      repository, digest, image.kind, image.mediaType, image.sizeBytes,
      platform?.os ?? null, platform?.architecture ?? null, platform?.variant ?? null, image.createdAt ?? null, pushedAt, viewDigestOf(image) ?? null,
    ],
  );
  await db.query(
    `INSERT INTO image_layers (repository, image, place, digest, diff_id, media_type, size_bytes)
     SELECT $1, $2, place, layer ->> 'digest', layer ->> 'diffId', layer ->> 'mediaType', (layer ->> 'sizeBytes')::bigint
     FROM jsonb_array_elements($3::jsonb) WITH ORDINALITY AS given (layer, place)
     ON CONFLICT DO NOTHING`,
    [repository, digest, JSON.stringify(image.layers)],
  );
  if (image.kind === 'index') await writeChildren(db, image);
}

async function writeChildren(db: EntityManager, index: RecordedImage | Image): Promise<void> {
  const digests = index.children.map((child) => child.digest);
  await db.query('DELETE FROM index_images WHERE repository = $1 AND index_digest = $2 AND digest <> ALL($3)', [index.repository, index.digest, digests]);
  await db.query(
    `INSERT INTO index_images (repository, index_digest, digest, place, os, architecture, variant)
     SELECT $1, $2, child ->> 'digest', place, child -> 'platform' ->> 'os', child -> 'platform' ->> 'architecture', child -> 'platform' ->> 'variant'
     FROM jsonb_array_elements($3::jsonb) WITH ORDINALITY AS given (child, place)
     ON CONFLICT DO NOTHING`,
    [index.repository, index.digest, JSON.stringify(index.children)],
  );
}
