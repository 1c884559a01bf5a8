import type { Digest } from '#oci';
import type { Crc64 } from '#shares';

/**
 * What an expansion reads. Only the digest counts: the bytes that have it decide everything. Whatever else an image's manifest and config say of a
 * layer (media type, size, diffID) are claims of whoever pushed that image, and other images share the layer.
 */
export interface LayerToExpand {
  /** Of the blob as it is stored, compressed or not. */
  readonly digest: Digest;
  /** Of the blob as it is stored, as an image claims: good for progress and for telling a stream that was cut, and never held against the layer. */
  readonly sizeBytes: number;
}

/**
 * Where the hash tree of a file stands, and what it comes to: enough for a kernel or `veritysetup` to verify every block of the filesystem as it is read
 * (dm-verity, hash type 1: sha256 over 4 KiB blocks without salt; the other parameters stand in the tree's own superblock).
 */
export interface HashTree {
  /** sha256 of the tree's topmost block, 64 hexadecimal digits: who knows it can verify everything below. */
  readonly rootHash: string;
  /** Of the tree's superblock, in bytes from the start of the file: where the filesystem ends. */
  readonly hashOffset: number;
}

/**
 * The record of one layer that was expanded and verified whole: what every replica of it is compared against.
 * It depends on the layer and on the writer's version alone: expanding the same layer again gives an equal value.
 */
export interface ExpandedLayer {
  /** The blob's own digest: the identity of the layer, and the name of its file on every share. */
  readonly digest: Digest;
  /** The digest of the uncompressed tar, computed from the bytes: an image that claims another one is wrong about this layer. */
  readonly diffId: Digest;
  /** The `LAYER_FILE_VERSION` that made it, from 1: part of the name of its files. */
  readonly writerVersion: number;
  /** The file: an EROFS filesystem, its hash tree, and a 512-byte fixed VHD footer. */
  readonly vhd: { readonly digest: Digest; readonly sizeBytes: number };
  /** The hash tree in the file; absent in files of writer version 1, which have none. */
  readonly verity?: HashTree;
  /** One entry per piece of `PIECE_BYTES` of the file, in order: its CRC64, or null where the piece is all zeros and is never written. */
  readonly pieceCrc64s: readonly (Crc64 | null)[];
  /** Bytes of the file that were written: its size without the holes that the writer left. */
  readonly dataBytes: number;
  /** Directory entries of the filesystem, its root not counted; a hard link counts like any other name. */
  readonly entryCount: number;
}
