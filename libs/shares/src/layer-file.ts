import { type Digest, digestHex } from '#oci';
import { MiB } from '#quantities';

/** Bytes moved by one call: the largest range that Azure Files takes (Put Range, Put Range From URL). Piece n of a file starts at n × this. */
export const PIECE_BYTES = 4 * MiB;

/** Where the expanded form of a layer stands on every share: `sha256/ab/ab….vhd`, by the digest of the compressed layer. */
export function layerFilePath(layer: Digest): string {
  const hex = digestHex(layer);
  return `sha256/${hex.slice(0, 2)}/${hex}.vhd`;
}

/** Where an expanded layer stands while it is being written; renamed to {@link layerFilePath} when it is whole and verified. */
export function partialFilePath(layer: Digest): string {
  return `.partial/${digestHex(layer)}.vhd`;
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
