import type { Digest } from '#oci';
import type { RegionName } from '#regions';
import type { MountSource } from '#shares';

import type { HashTreePlace } from './map-row.js';

/** Every reason for which a layer is answered as a blob. New ones may be added; a client treats an unknown one as "use the blob". */
export const PULL_REASONS = [
  /** The caller named no region, or one that this deployment does not have. */
  'REGION_UNKNOWN',
  'REPOSITORY_UNKNOWN',
  'REPOSITORY_DISABLED',
  'IMAGE_UNKNOWN',
  /** The image named by the request does not have this layer; or has it under another repository only. */
  'LAYER_NOT_IN_IMAGE',
  /** The layer is known, its expansion has not been asked for yet. */
  'LAYER_UNKNOWN',
  'LAYER_WANTED',
  'LAYER_EXPANDING',
  /** The layer cannot be expanded, or is not allowed to be; the admin API says why. */
  'LAYER_REFUSED',
  /** The image's config gives this layer another diffID than the one that its bytes turned out to have. */
  'DIFF_ID_MISMATCH',
  /** No share near the caller has it or is about to. */
  'REPLICA_NONE',
  'REPLICA_WANTED',
  'REPLICA_COPYING',
  'REPLICA_DRAINING',
  /** A replica is near, but none of its transports is among the caller's. */
  'TRANSPORT_UNAVAILABLE',
  /** A replica is near, but its share could not be asked for a mount. */
  'SHARE_UNAVAILABLE',
  /** What the service knows is older than it may be. */
  'MAP_STALE',
  /** The caller said that it holds the expanded file of this layer. Nothing is said of how far the layer is here. */
  'ALREADY_HELD',
  /** The registry could not be asked in time whether the caller may pull. */
  'AUTHORIZATION_UNAVAILABLE',
  /** The service is too busy to look for mounts: a blob at once is better than a mount late. */
  'SERVICE_BUSY',
] as const;

/** One of {@link PULL_REASONS}. */
export type PullReason = (typeof PULL_REASONS)[number];

/** How a layer can be reached: the transports of a share. */
export type Transport = MountSource['type'];

/** Every transport, in no order. */
export const TRANSPORTS: readonly Transport[] = ['smb', 'nfs', 'https', 'file'];

/**
 * Reads a list such as `smb, https`, as the header `X-Teleport-Transports` has it; names that are not known are passed over.
 * @returns undefined, which means any, for an absent header.
 */
export function parseTransports(header: string | undefined): Transport[] | undefined {
  const named = header?.split(',').map((name) => name.trim().toLowerCase());
  return named === undefined ? undefined : TRANSPORTS.filter((transport) => named.includes(transport));
}

/** One way to reach the file of an expanded layer. Instants are ISO 8601 in UTC, as they go over the wire. */
export interface LayerMount {
  readonly type: Transport;
  readonly region: RegionName;
  readonly source: string;
  readonly options: readonly string[];
  /** Until when the source's own grant holds; absent where it carries none. */
  readonly expiresAt?: string | undefined;
}

/** A layer that the caller can mount: `mounts` is never empty, best first. */
export interface MountedLayer {
  readonly digest: Digest;
  readonly diffId: Digest;
  readonly kind: 'mount';
  readonly filesystem: 'erofs';
  readonly vhd: { readonly digest: Digest; readonly sizeBytes: number };
  /** The hash tree in the file; absent where it has none. */
  readonly verity?: HashTreePlace | undefined;
  readonly mounts: readonly LayerMount[];
}

/** A layer whose file is a device of a merged view, and that very file: a view is of no use with another one of the same layer. */
export interface ViewDevice {
  readonly digest: Digest;
  readonly vhd: { readonly digest: Digest; readonly sizeBytes: number };
}

/**
 * All layers of an image as one filesystem: a small one of metadata, which finds the contents of files in the layers' own files, its devices. One mount
 * instead of an overlay of many: `mount -t erofs -o ro,device=L1,device=L2,… VIEW DIR`.
 */
export interface MergedView {
  /** Of the view: what names it among layers. */
  readonly digest: Digest;
  readonly filesystem: 'erofs';
  readonly vhd: { readonly digest: Digest; readonly sizeBytes: number };
  readonly verity?: HashTreePlace | undefined;
  /** Its devices, in the order in which they have to be named; each layer once. */
  readonly devices: readonly ViewDevice[];
  /** Never empty, best first. */
  readonly mounts: readonly LayerMount[];
}

/** A layer that the caller must pull, and why. */
export interface BlobLayer {
  readonly digest: Digest;
  readonly kind: 'blob';
  /** Relative to the registry. */
  readonly url: string;
  readonly reason: PullReason;
  /** An estimate of when it may be mountable; absent where there is none. */
  readonly expectedAt?: string | undefined;
}

/** One layer of an answer. */
export type AnsweredLayer = MountedLayer | BlobLayer;

/** The answer to a pull, as it goes over the wire: every layer of one image, lowest first, each a mount or a blob. */
export interface MountAnswer {
  readonly schemaVersion: 1;
  readonly repository: string;
  /** The image manifest whose layers these are; where an index was asked for, the one of the chosen platform. */
  readonly digest: Digest;
  /** The caller's region; null where it is unknown. */
  readonly region: RegionName | null;
  /** How old the knowledge is that this was answered from; null when there was none. */
  readonly asOf: string | null;
  /** Present when some layer is a mount and the node's hold on it is kept. */
  readonly lease?: { readonly id: string; readonly expiresAt: string } | undefined;
  /** Present when the image's merged view can be mounted, and every layer is a mount here or held by the caller already. It replaces the mounting of each. */
  readonly image?: MergedView | undefined;
  readonly layers: readonly AnsweredLayer[];
}

/** Where a client finds the blob of a layer (OCI distribution-spec, "Pulling blobs"). */
export function blobUrl(repository: string, layer: Digest): string {
  return `/v2/${repository}/blobs/${layer}`;
}
