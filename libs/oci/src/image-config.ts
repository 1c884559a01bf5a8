import { z } from 'zod';

import { digestSchema } from './descriptor.js';
import type { Digest } from './digest.js';
import { OciError } from './oci-error.js';
import { CONFIG_BYTES_MAX, LAYERS_MAX } from './oci-limits.js';
import type { Platform } from './platform.js';
import { readDocument } from './read-document.js';

/** What is needed of an image's config (OCI image-spec 1.1, config.md). */
export interface ImageConfig {
  readonly platform: Platform;
  /** When the image was built, as its builder says: reproducible builds often say 1970. Absent when it is not said, unreadable, or outside 1970 to 9999: Go writes year 1 for no time. */
  readonly createdAt?: Date;
  /** The digests of the uncompressed tars, the lowest layer first: one for each layer of the manifest. */
  readonly diffIds: readonly Digest[];
}

/** The end of the year 9999. */
const CREATED_MS_MAX = Date.UTC(10_000, 0) - 1;

const part = z.string().min(1).max(64);
const configSchema = z.object({
  os: part,
  architecture: part,
  variant: z.string().max(64).nullish(),
  created: z.string().max(64).nullish(),
  rootfs: z.object({ type: z.literal('layers'), diff_ids: z.array(digestSchema).max(LAYERS_MAX) }),
});

/**
 * Reads an image's config.
 * @param layerCount how many layers the image's manifest names.
 * @throws {OciError} `CONFIG_INVALID` when it is not a config, or has another number of diffIDs.
 */
export function parseImageConfig(bytes: Uint8Array, layerCount: number): ImageConfig {
  const kind = { name: 'image config', code: 'CONFIG_INVALID', bytesMax: CONFIG_BYTES_MAX } as const;
  const { os, architecture, variant, created, rootfs } = readDocument(bytes, kind, configSchema);
  if (rootfs.diff_ids.length !== layerCount) {
    throw new OciError('CONFIG_INVALID', `the image config has ${rootfs.diff_ids.length} diffIDs for ${layerCount} layers`);
  }
  const createdAt = new Date(created ?? Number.NaN);
  const createdMs = createdAt.getTime();
  return {
    platform: variant ? { os, architecture, variant } : { os, architecture },
    ...(createdMs >= 0 && createdMs <= CREATED_MS_MAX ? { createdAt } : {}),
    diffIds: rootfs.diff_ids,
  };
}
