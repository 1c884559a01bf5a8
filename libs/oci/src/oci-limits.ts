import { MiB } from '#quantities';

/** The longest manifest or index that is read, in bytes: what registries must accept (distribution-spec 1.1, "Pushing Manifests"). */
export const MANIFEST_BYTES_MAX = 4 * MiB;
/** The longest image config that is read, in bytes: real ones with a long history stay far below 1 MiB. */
export const CONFIG_BYTES_MAX = 4 * MiB;
/** Layers of one image: overlayfs stacks at most 500 lower folders, and builders stop at 127. */
export const LAYERS_MAX = 500;
/** Entries of one index: every platform there is, each with an attestation, several times over. */
export const INDEX_ENTRIES_MAX = 1000;
/** Annotations of one descriptor, manifest or index. */
export const ANNOTATIONS_MAX = 1000;
/** The largest blob that a descriptor may announce, in bytes: 1 TiB, far above any layer and a safe integer. */
export const BLOB_BYTES_MAX = 1024 ** 4;
