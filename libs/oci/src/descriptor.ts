import { z } from 'zod';

import { type Digest, isDigest } from './digest.js';
import { ANNOTATIONS_MAX, BLOB_BYTES_MAX } from './oci-limits.js';
import type { Platform } from './platform.js';

/** Announces bytes: what they are, which, and how many (OCI image-spec 1.1, descriptor.md). */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** 0 to {@link BLOB_BYTES_MAX}. */
  readonly sizeBytes: number;
  /** Only in the entries of an index, and there not always. */
  readonly platform?: Platform;
  /** Empty where there are none. */
  readonly annotations: Readonly<Record<string, string>>;
}

/** Reads annotations; shared by every document that has them. */
export const annotationsSchema = z
  .record(z.string().max(1024), z.string().max(65_536))
  .refine((annotations) => Object.keys(annotations).length <= ANNOTATIONS_MAX, `more than ${ANNOTATIONS_MAX} annotations`)
  .nullish()
  .transform((annotations) => annotations ?? {});

const platformPart = z.string().max(64);

/** Reads a platform object. An empty variant is none; other members (`os.version`, `os.features`) are not kept. */
export const platformSchema = z
  .object({ os: platformPart, architecture: platformPart, variant: platformPart.nullish() })
  .transform(({ os, architecture, variant }): Platform => (variant ? { os, architecture, variant } : { os, architecture }));

/** Reads a digest that must be sha256. */
export const digestSchema = z.string().refine(isDigest, 'is not a sha256 digest');

/** Reads a descriptor. Inline `data` and `urls` are not kept: bytes come from the registry and are verified. */
export const descriptorSchema = z
  .object({
    mediaType: z.string().min(1).max(255),
    digest: digestSchema,
    size: z.number().int().min(0).max(BLOB_BYTES_MAX),
    platform: platformSchema.nullish(),
    annotations: annotationsSchema,
  })
  .transform(
    ({ mediaType, digest, size, platform, annotations }): Descriptor => ({
      mediaType,
      digest,
      sizeBytes: size,
      ...(platform ? { platform } : {}),
      annotations,
    }),
  );
