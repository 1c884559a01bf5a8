import { alignUp } from '#quantities';
import { type ByteRange, type Crc64, crc64Of, PIECE_BYTES } from '#shares';

import { BLOCK_BYTES } from './erofs-structures.js';
import { MAX_BYTES_IN_FLIGHT, MIN_HOLE_BYTES } from './expansion-limits.js';
import type { ExpansionTarget } from './expansion-target.js';

/** Pieces on the way at once; the one being filled and the first, which is kept, count too. */
const MAX_PIECES_IN_FLIGHT = MAX_BYTES_IN_FLIGHT / PIECE_BYTES - 2;
const ZEROS = Buffer.alloc(BLOCK_BYTES);

/** What went to the target: a file, or a part of one that begins or ends inside a piece. */
export interface WrittenPieces {
  /** Where it begins, in bytes from the start of the file. */
  readonly offset: number;
  /** Where it ends, in bytes from the start of the file. */
  readonly endOffset: number;
  /** Per piece that it touches, from that piece's start; null where it is all zeros. */
  readonly crc64s: readonly (Crc64 | null)[];
  /** Bytes that were written. */
  readonly dataBytes: number;
}

/** Which part of a file a stream writes. */
export interface StreamedPart {
  /** Where it begins, a multiple of the block size; what stands before that in the same piece is on the target already. Default 0. */
  readonly offset?: number;
  /** The pieces up to here, `offset` among them, are kept back until the end. Default: the first piece. */
  readonly keptUpTo?: number;
  /** Pieces on the way at once. Default: what {@link MAX_BYTES_IN_FLIGHT} allows. */
  readonly maxPiecesInFlight?: number;
}

/**
 * Cuts a growing file into pieces and sends them to a target, several at a time, without their zeros.
 * `append` never waits: the caller calls {@link ready} now and then, and waits there while too much is on the way.
 * The first piece goes last, so that a file that was cut short has no superblock.
 */
export class PieceStream {
  readonly #target: ExpansionTarget;
  readonly #offset: number;
  readonly #maxPiecesInFlight: number;
  readonly #kept: Buffer;
  readonly #spare: Buffer[] = [];
  readonly #sending = new Set<Promise<void>>();
  readonly #crc64s: (Crc64 | null)[] = [];
  #piece: Buffer;
  #filled: number;
  #dataBytes = 0;
  #failure: { readonly error: unknown } | undefined;

  constructor(target: ExpansionTarget, { offset = 0, keptUpTo = 1, maxPiecesInFlight = MAX_PIECES_IN_FLIGHT }: StreamedPart = {}) {
    this.#target = target;
    this.#offset = offset;
    this.#maxPiecesInFlight = maxPiecesInFlight;
    this.#filled = offset % PIECE_BYTES;
    this.#kept = Buffer.alloc(alignUp(keptUpTo, PIECE_BYTES) - (offset - this.#filled));
    this.#piece = this.#kept.subarray(0, PIECE_BYTES);
  }

  /** Where the next byte goes, from the start of the file. */
  get position(): number {
    return this.#startOf(this.#crc64s.length) + this.#filled;
  }

  /** Appends bytes; they are copied. */
  append(bytes: Uint8Array): void {
    for (let from = 0; from < bytes.length; ) {
      const count = Math.min(bytes.length - from, PIECE_BYTES - this.#filled);
      this.#piece.set(count === bytes.length ? bytes : bytes.subarray(from, from + count), this.#filled);
      this.#advance(count);
      from += count;
    }
  }

  /** Appends zeros up to `position`, which is not before the present one. */
  appendZerosUpTo(position: number): void {
    for (let left = position - this.position; left > 0; ) {
      if (this.#filled === 0 && left >= PIECE_BYTES && this.#crc64s.length * PIECE_BYTES >= this.#kept.length) {
        this.#crc64s.push(null);
        left -= PIECE_BYTES;
        continue;
      }
      const count = Math.min(left, PIECE_BYTES - this.#filled);
      this.#piece.fill(0, this.#filled, this.#filled + count);
      this.#advance(count);
      left -= count;
    }
  }

  /** Waits until there is room on the way to the target. @throws what the target threw, of whatever write. */
  async ready(): Promise<void> {
    while (this.#failure === undefined && this.#sending.size >= this.#maxPiecesInFlight) await Promise.race(this.#sending);
    this.#throwFailure();
  }

  /** Waits for the writes that are on the way, whether they succeed or not. */
  async settle(): Promise<void> {
    while (this.#sending.size > 0) await Promise.all(this.#sending);
  }

  /**
   * Sends the rest, and then what was kept back.
   * @param complete fills in what had to wait: it gets the pieces that were kept back, from the start of the first.
   */
  async finish(complete: (kept: Buffer) => void): Promise<WrittenPieces> {
    const endOffset = this.position;
    if (this.#filled > 0) this.#closePiece();
    await this.settle();
    this.#throwFailure();
    complete(this.#kept);
    const kept = this.#kept.subarray(0, endOffset - this.#startOf(0));
    for (let index = 0; index * PIECE_BYTES < kept.length; index += 1) this.#send(index, kept.subarray(index * PIECE_BYTES, (index + 1) * PIECE_BYTES));
    await this.settle();
    this.#throwFailure();
    return { offset: this.#offset, endOffset, crc64s: this.#crc64s, dataBytes: this.#dataBytes };
  }

  #advance(count: number): void {
    this.#filled += count;
    if (this.#filled === PIECE_BYTES) this.#closePiece();
  }

  #closePiece(): void {
    const index = this.#crc64s.push(null) - 1;
    if (index * PIECE_BYTES >= this.#kept.length && this.#failure === undefined) this.#send(index, this.#piece.subarray(0, this.#filled));
    this.#filled = 0;
    const next = (index + 1) * PIECE_BYTES;
    this.#piece = next < this.#kept.length ? this.#kept.subarray(next, next + PIECE_BYTES) : this.#spare.pop() ?? Buffer.allocUnsafeSlow(PIECE_BYTES);
  }

  /** Sends a piece, but for what is on the target already. */
  #send(index: number, piece: Buffer): void {
    const from = Math.max(this.#offset - this.#startOf(index), 0);
    const isZero = dataRangesOf(piece).length === 0;
    if (!isZero) this.#crc64s[index] = crc64Of(piece);
    const sending = this.#write(this.#startOf(index) + from, piece.subarray(from)).then(
      () => undefined,
      (error: unknown) => {
        this.#failure ??= { error };
      },
    ).then(() => {
      this.#sending.delete(sending);
      if (piece.buffer !== this.#kept.buffer) this.#spare.push(Buffer.from(piece.buffer));
    });
    this.#sending.add(sending);
  }

  async #write(offset: number, bytes: Buffer): Promise<void> {
    for (const range of dataRangesOf(bytes)) {
      await this.#target.write(offset + range.offset, bytes.subarray(range.offset, range.offset + range.length));
      this.#dataBytes += range.length;
    }
  }

  /** Where a piece of this part begins, from the start of the file. */
  #startOf(index: number): number {
    return this.#offset - (this.#offset % PIECE_BYTES) + index * PIECE_BYTES;
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}

/** The parts of a piece that are worth writing: without zero blocks at either end, and without runs of them of {@link MIN_HOLE_BYTES} or more. */
export function dataRangesOf(piece: Buffer): ByteRange[] {
  const ranges: ByteRange[] = [];
  let from = -1;
  let end = 0;
  for (let at = 0; at < piece.length; at += BLOCK_BYTES) {
    const next = Math.min(at + BLOCK_BYTES, piece.length);
    if (piece.compare(ZEROS, 0, next - at, at, next) === 0) continue;
    if (from >= 0 && at - end >= MIN_HOLE_BYTES) {
      ranges.push({ offset: from, length: end - from });
      from = at;
    }
    if (from < 0) from = at;
    end = next;
  }
  if (from >= 0) ranges.push({ offset: from, length: end - from });
  return ranges;
}
