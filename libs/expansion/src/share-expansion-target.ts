import { setImmediate } from 'node:timers/promises';

import type { Digest } from '#oci';
import { alignUp, MiB } from '#quantities';
import { type ByteRange, ByteRangeSet, expansionPartialPath, LAYER_FILE_VERSION, layerFilePath, PIECE_BYTES, removePartialFiles, type Share } from '#shares';

import { ExpansionError } from './expansion-error.js';
import { MAX_BYTES_IN_FLIGHT } from './expansion-limits.js';
import { ExpansionTarget } from './expansion-target.js';

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
  readonly name: string;
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
    this.name = `${share.name}/${this.#path}`;
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

  async setSize(sizeBytes: number): Promise<void> {
    await this.#growth;
    if (this.#sizeBytes === sizeBytes) return;
    this.#sizeBytes = sizeBytes;
    await this.#share.resizeFile(this.#path, sizeBytes, this.#signal);
  }

  /** Holes are not fetched. */
  async *readBack({ offset, length }: ByteRange): AsyncGenerator<Buffer> {
    const end = offset + length;
    // What fits one call is not worth another one to ask for its holes.
    const data = length <= PIECE_BYTES ? new ByteRangeSet([{ offset, length }]) : new ByteRangeSet(await this.#share.dataRanges(this.#path, this.#signal));
    const ahead: Promise<Buffer>[] = [];
    for (let at = offset, next = offset; at < end; at = pieceEnd(at, end)) {
      for (; next < end && ahead.length < MAX_READS_IN_FLIGHT; next = pieceEnd(next, end)) {
        const reading = this.#readPart({ offset: next, length: pieceEnd(next, end) - next }, data);
        // The first failure ends the reading; those behind it must not count as unhandled.
        reading.catch(() => undefined);
        ahead.push(reading);
      }
      yield await ahead.shift()!;
    }
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
    await this.#share.rename(this.#path, final, { signal: this.#signal });
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

  async #readPart(range: ByteRange, data: ByteRangeSet): Promise<Buffer> {
    this.#signal.throwIfAborted();
    const parts = data.within(range);
    if (parts.length === 0) {
      // However long a hole is, others have their turn, and the signal is heard.
      await setImmediate();
      return ZERO_PIECE.subarray(0, range.length);
    }
    if (parts.length === 1 && parts[0]!.length === range.length) return this.#share.readRange(this.#path, range, this.#signal);
    const piece = Buffer.alloc(range.length);
    for (const part of parts) piece.set(await this.#share.readRange(this.#path, part, this.#signal), part.offset - range.offset);
    return piece;
  }
}

/** Where the piece that `position` is in ends, or the range does. */
function pieceEnd(position: number, end: number): number {
  return Math.min((Math.floor(position / PIECE_BYTES) + 1) * PIECE_BYTES, end);
}
