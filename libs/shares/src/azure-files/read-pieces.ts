import { PIECE_BYTES } from '../layer-file.js';
import type { ByteRange } from '../share.js';

/** Pieces of one range that are fetched at a time: enough to fill a link with 30 ms per call, and 32 MiB at most in memory. */
const PIECES_IN_FLIGHT = 8;

/** One fetched piece, and the state of the file it was taken from. */
export interface FetchedPiece {
  readonly bytes: Buffer;
  readonly etag: string;
}

/**
 * Reads a range in pieces of at most 4 MiB, several at a time; a piece that is cut off is the business of `fetch` alone, the others stay.
 * @throws what `changed` makes when the pieces are not all of one state of the file, and what `fetch` throws.
 */
export async function readPieces(
  range: ByteRange,
  fetch: (piece: ByteRange) => Promise<FetchedPiece>,
  changed: (why: string) => Error,
): Promise<Buffer> {
  const first = await fetch({ offset: range.offset, length: Math.min(PIECE_BYTES, range.length) });
  if (range.length <= PIECE_BYTES) return first.bytes;
  const whole = Buffer.allocUnsafeSlow(range.length);
  first.bytes.copy(whole);
  let next = PIECE_BYTES;
  let failed = false;
  const reader = async (): Promise<void> => {
    while (next < range.length && !failed) {
      const at = next;
      next += PIECE_BYTES;
      try {
        const piece = await fetch({ offset: range.offset + at, length: Math.min(PIECE_BYTES, range.length - at) });
        if (piece.etag !== first.etag) throw changed('the file changed while it was read');
        piece.bytes.copy(whole, at);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: PIECES_IN_FLIGHT }, reader));
  return whole;
}
