import { GiB, KiB, MiB } from '#quantities';

/** What one layer may cost; a layer that passes one of them is refused with `TOO_LARGE`. */
export interface ExpansionLimits {
  /** Bytes of the blob as it is stored. */
  readonly maxBlobBytes: number;
  /** Bytes of the uncompressed tar, and of all files together with their holes. */
  readonly maxUncompressedBytes: number;
  /** Files, directories and links of one layer, made or implied; what a later entry replaces counts too. */
  readonly maxEntries: number;
  /** Bytes of all names and link targets, and what distinct sets of extended attributes take in memory: each is held until the end. */
  readonly maxNameBytes: number;
}

/**
 * The largest layers that the reference measurements of public registries know are some tens of GiB; 256 GiB leaves room, and bounds what
 * a decompression bomb can cost. Two million entries take about half a GiB of memory; attributes that differ from file to file, such as
 * signatures, are held for 300,000 files.
 */
export const DEFAULT_EXPANSION_LIMITS: ExpansionLimits = {
  maxBlobBytes: 256 * GiB,
  maxUncompressedBytes: 256 * GiB,
  maxEntries: 2_000_000,
  maxNameBytes: 256 * MiB,
};

/** Bytes of one pax or GNU extension header: what Go's archive/tar, and with it containerd, takes. */
export const MAX_EXTENSION_BYTES = MiB;
/** Extended attributes of one entry. */
export const MAX_XATTRS = 1024;
/**
 * Records of global pax headers, and bytes of all of them: they are applied to every entry behind them, so a header of some KiB may not cost
 * as much for each of a million entries.
 */
export const MAX_GLOBAL_RECORDS = 64;
/** See {@link MAX_GLOBAL_RECORDS}. */
export const MAX_GLOBAL_BYTES = 64 * KiB;
/** Runs of stored bytes in one sparse file. */
export const MAX_SPARSE_SEGMENTS = 262_144;
/** Window of a zstd frame: what the reference decoder takes without being told otherwise, and what its highest level needs. */
export const MAX_ZSTD_WINDOW_BYTES = 128 * MiB;
/** Bytes of one path: Linux's PATH_MAX without its final NUL. */
export const MAX_PATH_BYTES = 4095;
/** Bytes of one name in a path: Linux's NAME_MAX and EROFS_NAME_LEN. */
export const MAX_NAME_BYTES = 255;
/** Symbolic links followed while one path is looked up: Linux's MAXSYMLINKS. */
export const MAX_SYMLINKS_FOLLOWED = 40;
/** Bytes on the way to the share at any time; the reading of the layer waits while they are. */
export const MAX_BYTES_IN_FLIGHT = 64 * MiB;
/** A run of zeros inside a piece that is worth two writes instead of one: below it, a call costs more than the bytes. */
export const MIN_HOLE_BYTES = 64 * KiB;
/**
 * Bytes of a merged view's filesystem: names and attributes of over half a million files. Real images have a few MB; nodes fetch the whole of it before the
 * first file is opened, so that beyond this, mounting the layers one by one is quicker.
 */
export const MAX_VIEW_BYTES = 64 * MiB;
/** Distinct layers of a merged view: images have at most some 127, and a mount of very many devices helps nobody. */
export const MAX_VIEW_LAYERS = 500;
