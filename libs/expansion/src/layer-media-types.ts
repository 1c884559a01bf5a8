/** OCI image-spec, layer.md; Docker image manifest version 2, schema 2. The non-distributable forms are the same tars. */
export const EXPANDABLE_MEDIA_TYPES: ReadonlySet<string> = new Set([
  'application/vnd.oci.image.layer.v1.tar',
  'application/vnd.oci.image.layer.v1.tar+gzip',
  'application/vnd.oci.image.layer.v1.tar+zstd',
  'application/vnd.oci.image.layer.nondistributable.v1.tar',
  'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
  'application/vnd.oci.image.layer.nondistributable.v1.tar+zstd',
  'application/vnd.docker.image.rootfs.diff.tar',
  'application/vnd.docker.image.rootfs.diff.tar.gzip',
  'application/vnd.docker.image.rootfs.diff.tar.zstd',
]);

/** The code under which a layer is refused whose media type, in every image that named it so far, is none that is expanded. */
export const MEDIA_TYPE_REFUSAL = 'MEDIA_TYPE_UNSUPPORTED';

/** The code under which a merged view is refused while a layer of its image is refused, or not known, or has a file of an older version. */
export const VIEW_LAYER_REFUSAL = 'VIEW_LAYER_MISSING';

/**
 * Refusals that are not about the bytes of the digest: what an image claims, what came instead of those bytes, and for a merged view what its layers were at
 * that time. They end when the layer is wanted again by an image whose media type is expanded, and a view by one whose layers are good; all others hold for ever.
 */
export const PASSING_REFUSALS: readonly string[] = [MEDIA_TYPE_REFUSAL, 'DIGEST_MISMATCH', VIEW_LAYER_REFUSAL];

/**
 * Why a layer of this media type is not expanded: it is foreign (Windows), encrypted, or no layer of a root filesystem at all. Undefined when it is.
 * It is a claim of one image, so it decides only whether the blob is read at all, and only until another image claims better.
 */
export function refusalOfMediaType(mediaType: string): { readonly code: typeof MEDIA_TYPE_REFUSAL; readonly message: string } | undefined {
  if (EXPANDABLE_MEDIA_TYPES.has(mediaType)) return undefined;
  const why = mediaType.includes('.foreign.') ? 'is foreign: its contents are not for Linux' : 'is none that is expanded';
  return { code: MEDIA_TYPE_REFUSAL, message: `the layer's media type ${JSON.stringify(mediaType.slice(0, 200))} ${why}` };
}
