import { type Digest, digestHex } from '#oci';
import { MiB } from '#quantities';

/** Bytes moved by one call: the largest range that Azure Files takes (Put Range, Put Range From URL). Piece n of a file starts at n × this. */
export const PIECE_BYTES = 4 * MiB;

/**
 * The version of the files that are made now: which bytes a layer, or a merged view of layers, becomes. It is part of a file's identity and of its name,
 * and grows with every change that gives any of them other bytes, so that the bytes of two formats are never mixed in one file. Version 1 had no hash tree.
 */
export const LAYER_FILE_VERSION = 2;

/**
 * Where the expanded form of a layer stands on every share, by the digest of the compressed layer: `sha256/ab/ab….v2.vhd`, and `sha256/ab/ab….vhd` for
 * files of version 1.
 * @param writerVersion of the layer's record, from 1: the version that made its files, which an older one than {@link LAYER_FILE_VERSION} may have been.
 */
export function layerFilePath(layer: Digest, writerVersion: number): string {
  const hex = digestHex(layer);
  return `sha256/${hex.slice(0, 2)}/${hex}${writerVersion === 1 ? '' : `.v${writerVersion}`}.vhd`;
}

/** Where files of a layer may stand that this or any earlier version made, the newest first: what goes when the layer goes. */
export function layerFilePaths(layer: Digest): string[] {
  return Array.from({ length: LAYER_FILE_VERSION }, (_, n) => layerFilePath(layer, LAYER_FILE_VERSION - n));
}

/** The folder of files that are being written, on every share. */
export const PARTIAL_FOLDER = '.partial';

/**
 * Where an expanded layer stands while one attempt writes it; renamed to {@link layerFilePath} when it is whole and verified. Each attempt has a name of
 * its own, so that a worker that lost its claim without noticing never writes into the file of the one that took over.
 * @param attempt letters, digits, `-` and `.`: who writes, and under which claim.
 */
export function partialFilePath(layer: Digest, attempt: string): string {
  return `${PARTIAL_FOLDER}/${digestHex(layer)}.${attempt}.vhd`;
}

/** Which layer a file directly in {@link PARTIAL_FOLDER} is to become, and whose attempt it is; undefined for names of other forms. */
export function partialFileNamed(name: string): { readonly layer: Digest; readonly attempt: string } | undefined {
  const [, hex, attempt] = /^([0-9a-f]{64})\.(.+)\.vhd$/.exec(name) ?? [];
  return hex === undefined || attempt === undefined ? undefined : { layer: `sha256:${hex}`, attempt };
}

/** What the metadata of a layer's file tells. */
export interface LayerFileFacts {
  /** Of the layer as it is compressed. */
  readonly digest: Digest;
  /** Of its uncompressed tar. */
  readonly diffId: Digest;
  /** Which {@link LAYER_FILE_VERSION} made the file. */
  readonly writerVersion: number;
  /** The whole file. */
  readonly vhd: { readonly digest: Digest };
}

/**
 * The metadata of a whole and verified file, the same on every share: `layer_digest`, `diff_id`, `vhd_digest`, `writer_version`. It is set before the
 * file gets its final name, so under a final name `vhd_digest` says which bytes stand there.
 */
export function layerFileMetadata({ digest, diffId, writerVersion, vhd }: LayerFileFacts): Readonly<Record<string, string>> {
  return { layer_digest: digest, diff_id: diffId, vhd_digest: vhd.digest, writer_version: String(writerVersion) };
}

/** How many pieces a file of `sizeBytes` has. */
export function pieceCount(sizeBytes: number): number {
  return Math.ceil(sizeBytes / PIECE_BYTES);
}

/** The byte range of piece `index` in a file of `sizeBytes`; the last piece may be shorter. */
export function pieceRange(index: number, sizeBytes: number): { readonly offset: number; readonly length: number } {
  const offset = index * PIECE_BYTES;
  return { offset, length: Math.min(PIECE_BYTES, sizeBytes - offset) };
}
