import { createHash } from 'node:crypto';

import type { Digest } from '#oci';
import { alignUp, MiB } from '#quantities';
import { ByteRangeSet, type Crc64, crc64Of, layerFilePath, partialFilePath, PIECE_BYTES, pieceCount, pieceRange, type Share } from '#shares';

import { ExpansionError } from './expansion-error.js';
import { MAX_BYTES_IN_FLIGHT } from './expansion-limits.js';
import { ExpansionTarget } from './expansion-target.js';
import type { WrittenPieces } from './piece-stream.js';

/**
 * The file grows by this, or by an eighth of its size, at a time: its size is not known before its end, every growth is a call, and a share
 * counts the whole size against its capacity.
 */
const GROWTH_BYTES = 64 * MiB;
/** Pieces read back at once. */
const MAX_READS_IN_FLIGHT = MAX_BYTES_IN_FLIGHT / PIECE_BYTES / 2;
const ZERO_PIECE = Buffer.alloc(PIECE_BYTES);

/**
 * Puts an expanded layer on a share: written under its partial name, read back and checked against what was sent, then renamed. Nothing stands
 * under the final name before all of that is done; an attempt that starts over begins with an empty partial file.
 */
export class ShareExpansionTarget extends ExpansionTarget {
  readonly #share: Share;
  readonly #layer: Digest;
  readonly #path: string;
  readonly #signal: AbortSignal;
  #sizeBytes = 0;
  #growth: Promise<void> = Promise.resolve();

  constructor(share: Share, layer: Digest, signal: AbortSignal) {
    super();
    this.#share = share;
    this.#layer = layer;
    this.#path = partialFilePath(layer);
    this.#signal = signal;
  }

  /** Creates the partial file, or empties the one that an earlier attempt left. @param leastBytes a size that it is likely to pass. */
  async begin(leastBytes: number): Promise<void> {
    this.#sizeBytes = alignUp(Math.max(leastBytes, PIECE_BYTES), PIECE_BYTES);
    await this.#share.createFile(this.#path, this.#sizeBytes, this.#signal);
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    await this.#growTo(offset + bytes.length);
    await this.#share.writeRange(this.#path, offset, bytes, this.#signal);
  }

  async finish(sizeBytes: number): Promise<void> {
    await this.#growth;
    if (this.#sizeBytes !== sizeBytes) await this.#share.resizeFile(this.#path, sizeBytes, this.#signal);
  }

  /**
   * Reads the whole file back from the share; holes are not fetched.
   * @returns the digest of what the share holds.
   * @throws {ExpansionError} `READ_BACK_MISMATCH` when a piece is not what was sent.
   */
  async readBack(written: WrittenPieces): Promise<Digest> {
    const data = new ByteRangeSet(await this.#share.dataRanges(this.#path, this.#signal));
    const hash = createHash('sha256');
    const count = pieceCount(written.sizeBytes);
    const ahead: Promise<Buffer>[] = [];
    for (let index = 0, started = 0; index < count; index += 1) {
      for (; started < count && started < index + MAX_READS_IN_FLIGHT; started += 1) {
        const reading = this.#readPiece(started, written.sizeBytes, data);
        // The first failure ends the loop; those behind it must not count as unhandled.
        reading.catch(() => undefined);
        ahead.push(reading);
      }
      const piece = await ahead.shift()!;
      if (!isSame(piece, written.crc64s[index]!)) {
        const details = { share: this.#share.name, path: this.#path, piece: index };
        throw new ExpansionError('READ_BACK_MISMATCH', `piece ${index} of ${this.#path} is not what was written`, { transient: true, details });
      }
      hash.update(piece);
    }
    return `sha256:${hash.digest('hex')}`;
  }

  /**
   * Gives the file its final name, with `metadata` on it.
   * @throws {ExpansionError} `READ_BACK_MISMATCH` when another attempt began over the partial file meanwhile; the final name is then free again.
   */
  async publish(sizeBytes: number, metadata: Readonly<Record<string, string>>): Promise<void> {
    const final = layerFilePath(this.#layer);
    await this.#share.setMetadata(this.#path, metadata, this.#signal);
    await this.#share.rename(this.#path, final, this.#signal);
    const file = await this.#share.stat(final, this.#signal);
    // Creating a file anew clears its metadata: a second writer that came between check and rename shows here.
    if (file?.sizeBytes === sizeBytes && Object.entries(metadata).every(([name, value]) => file.metadata[name] === value)) return;
    await this.#share.remove(final, this.#signal);
    throw new ExpansionError('READ_BACK_MISMATCH', `${final} was begun anew while it was being published`, { transient: true, details: { path: final } });
  }

  /** Removes the partial file: nothing will be made of it. */
  async discard(): Promise<void> {
    await this.#share.remove(this.#path, this.#signal);
  }

  #growTo(end: number): Promise<void> {
    if (end > this.#sizeBytes) {
      const sizeBytes = alignUp(end + Math.max(GROWTH_BYTES, end / 8), PIECE_BYTES);
      this.#sizeBytes = sizeBytes;
      this.#growth = this.#growth.then(() => this.#share.resizeFile(this.#path, sizeBytes, this.#signal));
    }
    return this.#growth;
  }

  async #readPiece(index: number, sizeBytes: number, data: ByteRangeSet): Promise<Buffer> {
    const range = pieceRange(index, sizeBytes);
    const parts = data.within(range);
    if (parts.length === 0) return ZERO_PIECE.subarray(0, range.length);
    if (parts.length === 1 && parts[0]!.length === range.length) return this.#share.readRange(this.#path, range, this.#signal);
    const piece = Buffer.alloc(range.length);
    for (const part of parts) piece.set(await this.#share.readRange(this.#path, part, this.#signal), part.offset - range.offset);
    return piece;
  }
}

function isSame(piece: Buffer, written: Crc64 | null): boolean {
  return written === null ? piece.compare(ZERO_PIECE, 0, piece.length) === 0 : crc64Of(piece) === written;
}
