import { type ByteRange, type Crc64, crc64Of, PIECE_BYTES } from '#shares';

import { BLOCK_BYTES } from './erofs-structures.js';
import { MAX_BYTES_IN_FLIGHT, MIN_HOLE_BYTES } from './expansion-limits.js';
import type { ExpansionTarget } from './expansion-target.js';

/** Pieces on the way at once; the one being filled and the first, which is kept, count too. */
const MAX_PIECES_IN_FLIGHT = MAX_BYTES_IN_FLIGHT / PIECE_BYTES - 2;
const ZEROS = Buffer.alloc(BLOCK_BYTES);

/** What went to the target. */
export interface WrittenPieces {
  readonly sizeBytes: number;
  /** Per piece, null where it is all zeros. */
  readonly crc64s: readonly (Crc64 | null)[];
  readonly dataBytes: number;
}

/**
 * Cuts a growing file into pieces and sends them to a target, several at a time, without their zeros.
 * `append` never waits: the caller calls {@link ready} now and then, and waits there while too much is on the way.
 * The first piece goes last, so that a file that was cut short has no superblock.
 */
export class PieceStream {
  readonly #target: ExpansionTarget;
  readonly #spare: Buffer[] = [];
  readonly #sending = new Set<Promise<void>>();
  readonly #crc64s: (Crc64 | null)[] = [];
  #first: Buffer | undefined;
  #piece: Buffer = Buffer.allocUnsafeSlow(PIECE_BYTES);
  #filled = 0;
  #dataBytes = 0;
  #failure: { readonly error: unknown } | undefined;

  constructor(target: ExpansionTarget) {
    this.#target = target;
  }

  /** Bytes appended so far. */
  get position(): number {
    return this.#crc64s.length * PIECE_BYTES + this.#filled;
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
      if (this.#filled === 0 && left >= PIECE_BYTES && this.#crc64s.length > 0) {
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
    while (this.#failure === undefined && this.#sending.size >= MAX_PIECES_IN_FLIGHT) await Promise.race(this.#sending);
    this.#throwFailure();
  }

  /** Waits for the writes that are on the way, whether they succeed or not. */
  async settle(): Promise<void> {
    while (this.#sending.size > 0) await Promise.all(this.#sending);
  }

  /**
   * Sends the rest, then the first piece, then finishes the target.
   * @param complete fills in what had to wait: it gets the file's first block.
   */
  async finish(complete: (firstBlock: Buffer) => void): Promise<WrittenPieces> {
    const sizeBytes = this.position;
    if (this.#filled > 0) this.#closePiece();
    await this.settle();
    this.#throwFailure();
    const first = this.#first!;
    complete(first.subarray(0, BLOCK_BYTES));
    this.#send(0, first.subarray(0, Math.min(PIECE_BYTES, sizeBytes)));
    await this.settle();
    this.#throwFailure();
    await this.#target.finish(sizeBytes);
    return { sizeBytes, crc64s: this.#crc64s, dataBytes: this.#dataBytes };
  }

  #advance(count: number): void {
    this.#filled += count;
    if (this.#filled === PIECE_BYTES) this.#closePiece();
  }

  #closePiece(): void {
    const index = this.#crc64s.push(null) - 1;
    const piece = this.#piece;
    const filled = this.#filled;
    this.#filled = 0;
    if (index === 0) this.#first = piece;
    else if (this.#failure === undefined) this.#send(index, piece.subarray(0, filled));
    this.#piece = this.#spare.pop() ?? Buffer.allocUnsafeSlow(PIECE_BYTES);
  }

  #send(index: number, piece: Buffer): void {
    const ranges = dataRangesOf(piece);
    if (ranges.length > 0) this.#crc64s[index] = crc64Of(piece);
    const sending = this.#write(index * PIECE_BYTES, piece, ranges).then(
      () => undefined,
      (error: unknown) => {
        this.#failure ??= { error };
      },
    ).then(() => {
      this.#sending.delete(sending);
      if (piece.buffer.byteLength === PIECE_BYTES) this.#spare.push(Buffer.from(piece.buffer));
    });
    this.#sending.add(sending);
  }

  async #write(offset: number, piece: Buffer, ranges: readonly ByteRange[]): Promise<void> {
    for (const range of ranges) {
      await this.#target.write(offset + range.offset, piece.subarray(range.offset, range.offset + range.length));
      this.#dataBytes += range.length;
    }
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
