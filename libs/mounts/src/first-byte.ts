import { KiB, MiB } from '#quantities';
import type { RegionLink } from '#regions';

/**
 * Round trips before the first byte of a file in a mounted layer: TCP (1), SMB 3 negotiate, session setup in two steps, tree connect and open (5), then the reads that each wait for the one
 * before: superblock, root, two folders, the file (5), rounded up.
 */
export const MOUNT_ROUND_TRIPS = 12;
/** Bytes that those reads fetch, with read-ahead. */
export const MOUNT_FIRST_BYTES = 512 * KiB;
/** Round trips before the first byte of a blob: TCP (1), TLS 1.3 (1), the registry's redirect and a second connection (3). */
export const BLOB_ROUND_TRIPS = 5;
/** Bytes of a compressed layer that a node unpacks per second: gzip, on one core, onto its disk. */
export const UNPACK_BYTES_PER_SECOND = 50 * MiB;

/** A link, as far as these estimates go. */
export type FirstByteLink = Pick<RegionLink, 'roundTripMs' | 'throughputBytesPerSecond'>;

/** When a node can read the first byte of a file in a layer that it mounts over `link`, in milliseconds from the answer. */
export function mountFirstByteMs(link: FirstByteLink): number {
  return MOUNT_ROUND_TRIPS * link.roundTripMs + (MOUNT_FIRST_BYTES / link.throughputBytesPerSecond) * 1000;
}

/**
 * When a node can read the first byte of a file in a layer whose blob of `sizeBytes` it pulls over `link`, in milliseconds from the answer: when all of it is there and unpacked, which go on at the same
 * time, so that the slower of them counts.
 */
export function blobFirstByteMs(sizeBytes: number, link: FirstByteLink): number {
  const bytesPerSecond = Math.min(link.throughputBytesPerSecond, UNPACK_BYTES_PER_SECOND);
  return BLOB_ROUND_TRIPS * link.roundTripMs + (sizeBytes / bytesPerSecond) * 1000;
}
