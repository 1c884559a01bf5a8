import type { Digest, Platform } from '#oci';

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
    children: row.children.map((child): IndexChild => ({ digest: child.digest, platform: platformOf(child.os, child.architecture, child.variant) })),
  };
}

function platformOf(os: string, architecture: string, variant: string | null): Platform {
  return variant === null ? { os, architecture } : { os, architecture, variant };
}
