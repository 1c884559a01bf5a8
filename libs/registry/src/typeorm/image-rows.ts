import type { Digest, Platform } from '#oci';

import type { ImageContent, PlaceableImage } from '../catalogue-reader.js';
import type { Image, ImageLayer, IndexChild, RecordedImage } from '../image.js';

/** A row of `images` with its layers and children, as {@link IMAGE_COLUMNS} selects it. */
export interface ImageRow {
  readonly repository: string;
  readonly digest: Digest;
  readonly kind: Image['kind'];
  readonly media_type: string;
  /** PostgreSQL's bigint comes as text. */
  readonly size_bytes: string;
  readonly os: string | null;
  readonly architecture: string | null;
  readonly variant: string | null;
  readonly created_at: Date | null;
  readonly pushed_at: Date;
  readonly view_digest: Digest | null;
  readonly layers: ImageLayer[];
  readonly children: { readonly digest: Digest; readonly os: string; readonly architecture: string; readonly variant: string | null }[];
}

/** The columns of {@link ImageRow}; the table `images` must be named `image` in the query. */
export const IMAGE_COLUMNS = `
  image.repository, image.digest, image.kind, image.media_type, image.size_bytes, image.os, image.architecture, image.variant,
  image.created_at, image.pushed_at, image.view_digest,
  coalesce((SELECT json_agg(json_build_object('digest', layer.digest, 'diffId', layer.diff_id, 'mediaType', layer.media_type, 'sizeBytes', layer.size_bytes)
                            ORDER BY layer.place)
            FROM image_layers AS layer WHERE layer.repository = image.repository AND layer.image = image.digest), '[]') AS layers,
  coalesce((SELECT json_agg(json_build_object('digest', child.digest, 'os', child.os, 'architecture', child.architecture, 'variant', child.variant)
                            ORDER BY child.place)
            FROM index_images AS child WHERE child.repository = image.repository AND child.index_digest = image.digest), '[]') AS children`;

/** A row of `images` with its contents only, as {@link CONTENT_COLUMNS} selects it. */
export interface ContentRow extends Pick<ImageRow, 'repository' | 'digest' | 'kind' | 'view_digest'> {
  /** Digest, diffID and size of each layer, the lowest first, with a space between any two. */
  readonly layers: string | null;
  readonly children: ImageRow['children'] | null;
}

/** The columns of {@link ContentRow}; the table `images` must be named `image` in the query. Text costs both sides half of what JSON does. */
export const CONTENT_COLUMNS = `
  image.repository, image.digest, image.kind, image.view_digest,
  (SELECT string_agg(layer.digest || ' ' || layer.diff_id || ' ' || layer.size_bytes, ' ' ORDER BY layer.place)
   FROM image_layers AS layer WHERE layer.repository = image.repository AND layer.image = image.digest) AS layers,
  CASE WHEN image.kind = 'index' THEN (SELECT json_agg(json_build_object('digest', child.digest, 'os', child.os, 'architecture', child.architecture, 'variant', child.variant)
                            ORDER BY child.place)
            FROM index_images AS child WHERE child.repository = image.repository AND child.index_digest = image.digest) END AS children`;

/** What a row of contents holds. */
export function contentOf({ repository, digest, kind, view_digest: view, layers, children }: ContentRow): ImageContent {
  const words = layers?.split(' ') ?? [];
  const described: ImageContent['layers'][number][] = [];
  for (let at = 0; at + 2 < words.length; at += 3) described.push({ digest: words[at] as Digest, diffId: words[at + 1] as Digest, sizeBytes: Number(words[at + 2]) });
  return { repository, digest, kind, ...(view === null ? {} : { viewDigest: view }), layers: described, children: (children ?? []).map(childOf) };
}

/** A row of `images` with what plans depend on, as {@link PLACEABLE_COLUMNS} selects it. */
export interface PlaceableRow extends Pick<ImageRow, 'repository' | 'digest' | 'kind' | 'pushed_at' | 'view_digest'> {
  /** Digests, with a space between any two. */
  readonly layers: string | null;
  readonly children: string | null;
}

/** The columns of {@link PlaceableRow}; the table `images` must be named `image` in the query. */
export const PLACEABLE_COLUMNS = `
  image.repository, image.digest, image.kind, image.pushed_at, image.view_digest,
  (SELECT string_agg(layer.digest, ' ' ORDER BY layer.place) FROM image_layers AS layer WHERE layer.repository = image.repository AND layer.image = image.digest) AS layers,
  CASE WHEN image.kind = 'index' THEN (SELECT string_agg(child.digest, ' ' ORDER BY child.place)
    FROM index_images AS child WHERE child.repository = image.repository AND child.index_digest = image.digest) END AS children`;

/** What a row of an image that may be placed holds. */
export function placeableOf({ repository, digest, kind, pushed_at: pushedAt, view_digest: view, layers, children }: PlaceableRow): PlaceableImage {
  return { repository, digest, kind, pushedAt, ...(view === null ? {} : { viewDigest: view }), layers: digestsOf(layers), children: digestsOf(children) };
}

function digestsOf(text: string | null): Digest[] {
  return text === null ? [] : (text.split(' ') as Digest[]);
}

/** The value that a row holds. */
export function imageOf(row: ImageRow): RecordedImage {
  return {
    repository: row.repository,
    digest: row.digest,
    kind: row.kind,
    mediaType: row.media_type,
    sizeBytes: Number(row.size_bytes),
    ...(row.os === null || row.architecture === null ? {} : { platform: platformOf(row.os, row.architecture, row.variant) }),
    ...(row.created_at === null ? {} : { createdAt: row.created_at }),
    pushedAt: row.pushed_at,
    ...(row.view_digest === null ? {} : { viewDigest: row.view_digest }),
    layers: row.layers,
    children: row.children.map(childOf),
  };
}

function childOf({ digest, os, architecture, variant }: ImageRow['children'][number]): IndexChild {
  return { digest, platform: platformOf(os, architecture, variant) };
}

function platformOf(os: string, architecture: string, variant: string | null): Platform {
  return variant === null ? { os, architecture } : { os, architecture, variant };
}
