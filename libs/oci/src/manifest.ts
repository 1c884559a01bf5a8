import { z } from 'zod';

import { annotationsSchema, type Descriptor, descriptorSchema } from './descriptor.js';
import { bareMediaType, manifestKindOf } from './media-types.js';
import { OciError } from './oci-error.js';
import { INDEX_ENTRIES_MAX, LAYERS_MAX, MANIFEST_BYTES_MAX } from './oci-limits.js';
import { type PlatformPolicy, wantsPlatform } from './platform.js';
import { readDocument } from './read-document.js';

/** One image for one platform: OCI image-spec 1.1 (manifest.md), or Docker's version 2, schema 2. */
export interface ImageManifest {
  readonly kind: 'image';
  readonly mediaType: string;
  readonly config: Descriptor;
  /** The lowest layer first; at most {@link LAYERS_MAX}. */
  readonly layers: readonly Descriptor[];
  readonly annotations: Readonly<Record<string, string>>;
}

/** The images of one tag for several platforms: OCI image-spec 1.1 (image-index.md), or Docker's manifest list. */
export interface ImageIndex {
  readonly kind: 'index';
  readonly mediaType: string;
  /** In the order of preference of whoever made it; at most {@link INDEX_ENTRIES_MAX}. */
  readonly manifests: readonly Descriptor[];
  readonly annotations: Readonly<Record<string, string>>;
}

const shared = { schemaVersion: z.literal(2), mediaType: z.string().max(255).nullish(), annotations: annotationsSchema };
const imageSchema = z.object({ ...shared, config: descriptorSchema, layers: z.array(descriptorSchema).max(LAYERS_MAX) });
const indexSchema = z.object({ ...shared, manifests: z.array(descriptorSchema).max(INDEX_ENTRIES_MAX) });

const MANIFEST = { name: 'manifest', code: 'MANIFEST_INVALID', bytesMax: MANIFEST_BYTES_MAX } as const;
const onlyMediaType = z.object({ mediaType: z.string().max(255).nullish() });

/**
 * Reads a manifest or an index. The media type comes from the registry's `Content-Type`; a document that names its own must agree with
 * it, so that the same bytes are never read as two different things. Parameters of a `Content-Type` are ignored.
 * @param mediaType undefined or empty: the document's own is taken.
 * @throws {OciError} `MEDIA_TYPE_UNSUPPORTED` when it is neither; `MANIFEST_INVALID` when it is not what its type says, or beyond a limit.
 */
export function parseManifest(bytes: Uint8Array, mediaType?: string): ImageManifest | ImageIndex {
  const announced = bareMediaType(mediaType);
  const own = readDocument(bytes, MANIFEST, onlyMediaType).mediaType ?? '';
  const type = announced === '' ? own : announced;
  const kind = manifestKindOf(type);
  if (kind === undefined) throw new OciError('MEDIA_TYPE_UNSUPPORTED', `the media type ${JSON.stringify(type.slice(0, 255))} is not a known manifest's`);
  if (own !== '' && own !== type) {
    throw new OciError('MANIFEST_INVALID', `the manifest says that it is ${JSON.stringify(own)}, but was announced as ${JSON.stringify(type)}`);
  }
  if (kind === 'index') {
    const { manifests, annotations } = readDocument(bytes, MANIFEST, indexSchema);
    return { kind, mediaType: type, manifests, annotations };
  }
  const { config, layers, annotations } = readDocument(bytes, MANIFEST, imageSchema);
  return { kind, mediaType: type, config, layers, annotations };
}

/**
 * The entries of an index that a policy wants, each digest once, in the index's order. An entry without a platform may be of any and is
 * kept: its config tells. Attestations (platform `unknown/unknown`, or marked by BuildKit's annotation) and nested indexes are left out.
 */
export function chooseChildren(index: ImageIndex, policy: PlatformPolicy): Descriptor[] {
  const seen = new Set<string>();
  return index.manifests.filter((entry) => {
    if (manifestKindOf(entry.mediaType) !== 'image' || isAttestation(entry) || seen.has(entry.digest)) return false;
    if (entry.platform !== undefined && !wantsPlatform(policy, entry.platform)) return false;
    seen.add(entry.digest);
    return true;
  });
}

function isAttestation(entry: Descriptor): boolean {
  const { platform, annotations } = entry;
  return (platform?.os === 'unknown' && platform.architecture === 'unknown') || annotations['vnd.docker.reference.type'] === 'attestation-manifest';
}
