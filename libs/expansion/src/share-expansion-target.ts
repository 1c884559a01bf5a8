import { createHash } from 'node:crypto';

import type { Digest } from '#oci';
import { alignUp, MiB } from '#quantities';
import { ByteRangeSet, type Crc64, crc64Of, expansionPartialPath, LAYER_FILE_VERSION, layerFilePath, PIECE_BYTES, pieceCount, pieceRange, removePartialFiles, type Share } from '#shares';

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

/** One attempt of making a layer's file. */
export interface ExpansionAttempt {
  readonly layer: Digest;
  /** Names the attempt's own file. */
  readonly claimId: string;
  /** Whether the claim is still held; asked before anything of another attempt is removed, and right before the file gets its final name. */
  readonly isHeld: () => Promise<boolean>;
  readonly signal: AbortSignal;
}

/**
 * Puts an expanded layer on a share: written under a name of this attempt's own, read back and checked against what was sent, then renamed. Nothing
 * stands under the final name before all of that is done. A worker that lost its claim and does not know it yet writes to a file that nobody else
 * writes to, and does not publish: at worst it is overtaken between its last look at the claim and the rename, and then it puts the
 * same layer's whole and verified file in the place of an equal one.
 */
export class ShareExpansionTarget extends ExpansionTarget {
  readonly #share: Share;
  readonly #attempt: ExpansionAttempt;
  readonly #path: string;
  readonly #signal: AbortSignal;
  #sizeBytes = 0;
  #growth: Promise<void> = Promise.resolve();

  constructor(share: Share, attempt: ExpansionAttempt) {
    super();
    this.#share = share;
    this.#attempt = attempt;
    this.#path = expansionPartialPath(attempt.layer, attempt.claimId);
    this.#signal = attempt.signal;
  }

  /** Removes what earlier attempts left, and creates the partial file. @throws {ExpansionError} `CLAIM_LOST` @param likelyBytes a size that it may well pass; a wrong one costs a call or two. */
  async begin(likelyBytes: number): Promise<void> {
    await removePartialFiles(this.#share, this.#attempt.layer, { of: 'expansion', ensureHeld: () => this.#ensureHeld(), signal: this.#signal });
    this.#sizeBytes = alignUp(Math.min(Math.max(likelyBytes, PIECE_BYTES), GROWTH_BYTES), PIECE_BYTES);
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
   * Gives the file its final name, with `metadata` on it, while the claim is held.
   * @throws {ExpansionError} `CLAIM_LOST`; `READ_BACK_MISMATCH` when something else stands under the final name afterwards: it is left there, because
   * it is another's.
   */
  async publish(sizeBytes: number, metadata: Readonly<Record<string, string>>): Promise<void> {
    const final = layerFilePath(this.#attempt.layer, LAYER_FILE_VERSION);
    await this.#share.setMetadata(this.#path, metadata, this.#signal);
    await this.#ensureHeld();
    await this.#share.rename(this.#path, final, this.#signal);
    const file = await this.#share.stat(final, this.#signal);
    if (file?.sizeBytes === sizeBytes && Object.entries(metadata).every(([name, value]) => file.metadata[name] === value)) return;
    throw new ExpansionError('READ_BACK_MISMATCH', `${final} is not what was published`, { transient: true, details: { path: final } });
  }

  /** Removes the partial file: nothing will be made of it. Works also after the attempt was called off. */
  async discard(): Promise<void> {
    await this.#share.remove(this.#path);
  }

  async #ensureHeld(): Promise<void> {
    const { layer, isHeld } = this.#attempt;
    if (!(await isHeld())) throw new ExpansionError('CLAIM_LOST', `another worker expands ${layer} now`, { transient: true, details: { layer } });
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
