/** OCI image-spec 1.1, media-types.md. */
export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
/** OCI image-spec 1.1, media-types.md. */
export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
/** OCI image-spec 1.1, media-types.md. */
export const OCI_CONFIG = 'application/vnd.oci.image.config.v1+json';
/** Docker image manifest version 2, schema 2. */
export const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';
/** Docker image manifest version 2, schema 2: the "fat manifest". */
export const DOCKER_MANIFEST_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json';
/** Docker image manifest version 2, schema 2. */
export const DOCKER_CONFIG = 'application/vnd.docker.container.image.v1+json';

/** The four manifest types that are understood, as an `Accept` header asks for them. */
export const MANIFEST_MEDIA_TYPES: readonly string[] = [OCI_INDEX, OCI_MANIFEST, DOCKER_MANIFEST_LIST, DOCKER_MANIFEST];

/** What a manifest describes: one image, or an index of images for several platforms. */
export type ManifestKind = 'image' | 'index';

/** What a manifest of this media type describes; undefined for a type that is not one of {@link MANIFEST_MEDIA_TYPES}. */
export function manifestKindOf(mediaType: string): ManifestKind | undefined {
  if (mediaType === OCI_MANIFEST || mediaType === DOCKER_MANIFEST) return 'image';
  if (mediaType === OCI_INDEX || mediaType === DOCKER_MANIFEST_LIST) return 'index';
  return undefined;
}

/** True when a config of this media type belongs to a container image and not to another artifact (a chart, a signature). */
export function isImageConfigType(mediaType: string): boolean {
  return mediaType === OCI_CONFIG || mediaType === DOCKER_CONFIG;
}

/** How a layer's tar is packed, and whether its bytes may be kept outside the registry. */
export interface LayerFormat {
  readonly compression: 'none' | 'gzip' | 'zstd';
  /** "Non-distributable" (OCI) or "foreign" (Docker): the registry may not have it, only the URLs in its descriptor. */
  readonly foreign: boolean;
}

const LAYER_FORMATS: ReadonlyMap<string, LayerFormat> = new Map([
  ['application/vnd.oci.image.layer.v1.tar', { compression: 'none', foreign: false }],
  ['application/vnd.oci.image.layer.v1.tar+gzip', { compression: 'gzip', foreign: false }],
  ['application/vnd.oci.image.layer.v1.tar+zstd', { compression: 'zstd', foreign: false }],
  ['application/vnd.oci.image.layer.nondistributable.v1.tar', { compression: 'none', foreign: true }],
  ['application/vnd.oci.image.layer.nondistributable.v1.tar+gzip', { compression: 'gzip', foreign: true }],
  ['application/vnd.oci.image.layer.nondistributable.v1.tar+zstd', { compression: 'zstd', foreign: true }],
  ['application/vnd.docker.image.rootfs.diff.tar', { compression: 'none', foreign: false }],
  ['application/vnd.docker.image.rootfs.diff.tar.gzip', { compression: 'gzip', foreign: false }],
  ['application/vnd.docker.image.rootfs.diff.tar.zstd', { compression: 'zstd', foreign: false }],
  ['application/vnd.docker.image.rootfs.foreign.diff.tar', { compression: 'none', foreign: true }],
  ['application/vnd.docker.image.rootfs.foreign.diff.tar.gzip', { compression: 'gzip', foreign: true }],
]);

/** How a layer of this media type is packed; undefined for a type that is no filesystem layer. */
export function layerFormatOf(mediaType: string): LayerFormat | undefined {
  return LAYER_FORMATS.get(mediaType);
}

/** A `Content-Type` header without its parameters, in lower case; empty when there is none. */
export function bareMediaType(header: string | undefined): string {
  return (header ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}
