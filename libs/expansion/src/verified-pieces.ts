import { crc64Of, layerFilePath, PIECE_BYTES, pieceCount, pieceRange, type Share } from '#shares';

import type { ExpandedLayer } from './expanded-layer.js';
import { ExpansionError } from './expansion-error.js';

/** Pieces of one file that are held: the three areas that are read side by side, and one that an inode reaches into. */
export const MAX_PIECES_HELD = 4;

/** The file of an expanded layer on a share, and its record. */
export interface LayerFile {
  readonly share: Share;
  readonly layer: ExpandedLayer;
  readonly signal: AbortSignal;
}

/** The error of a file that is not its record's or not the writer's. */
export function invalidLayerFile({ share, layer }: LayerFile, field: string, problem: string): ExpansionError {
  const path = layerFilePath(layer.digest, layer.writerVersion);
  const details = { layer: layer.digest, share: share.name, path, field };
  return new ExpansionError('LAYER_FILE_INVALID', `${field} of ${path} on ${share.name} ${problem}`, { transient: true, details });
}

/**
 * Reads a layer's file by whole pieces and holds every piece against the record's CRC64. The last few pieces are held, for as long as this
 * is: who reads forward fetches each once.
 */
export class VerifiedPieces {
  readonly #file: LayerFile;
  readonly #path: string;
  readonly #held = new Map<number, Buffer>();

  constructor(file: LayerFile) {
    this.#file = file;
    this.#path = layerFilePath(file.layer.digest, file.layer.writerVersion);
  }

  /** @throws {ExpansionError} `LAYER_FILE_INVALID` when there is no file, or its size or metadata is not the record's. */
  async checkFacts(): Promise<void> {
    const { share, layer, signal } = this.#file;
    const found = await share.stat(this.#path, signal);
    if (found === undefined) throw invalidLayerFile(this.#file, 'file', 'is not there');
    if (found.sizeBytes !== layer.vhd.sizeBytes) throw invalidLayerFile(this.#file, 'size', `is ${found.sizeBytes}, and not ${layer.vhd.sizeBytes}`);
    if (found.metadata.vhd_digest !== layer.vhd.digest) throw invalidLayerFile(this.#file, 'vhd_digest', 'is not the record’s');
    if (pieceCount(layer.vhd.sizeBytes) !== layer.pieceCrc64s.length) throw invalidLayerFile(this.#file, 'size', 'has another number of pieces than the record');
  }

  /** The file's first bytes, without the rest of their piece, and so not verified. */
  async readStart(length: number): Promise<Buffer> {
    const { share, layer, signal } = this.#file;
    if (layer.vhd.sizeBytes < length) throw invalidLayerFile(this.#file, 'size', 'is too small');
    return share.readRange(this.#path, { offset: 0, length }, signal);
  }

  /** Bytes of the file, verified; not to be written to. @param length of at most a piece, all within the file. */
  async read(offset: number, length: number): Promise<Buffer> {
    const index = Math.floor(offset / PIECE_BYTES);
    const start = offset - index * PIECE_BYTES;
    const piece = this.#held.get(index) ?? await this.#fetch(index);
    if (start + length <= piece.length) return piece.subarray(start, start + length);
    const next = this.#held.get(index + 1) ?? await this.#fetch(index + 1);
    return Buffer.concat([piece.subarray(start), next.subarray(0, start + length - piece.length)]);
  }

  async #fetch(index: number): Promise<Buffer> {
    const { share, layer, signal } = this.#file;
    signal.throwIfAborted();
    const expected = layer.pieceCrc64s[index];
    const range = pieceRange(index, layer.vhd.sizeBytes);
    const piece = expected === null ? Buffer.alloc(range.length) : await share.readRange(this.#path, range, signal);
    if (expected !== null && crc64Of(piece) !== expected) throw invalidLayerFile(this.#file, `piece ${index}`, 'is not what was recorded');
    if (this.#held.size === MAX_PIECES_HELD) this.#held.delete(this.#held.keys().next().value!);
    this.#held.set(index, piece);
    return piece;
  }
}
