import type { ByteRange } from '#shares';

/** Where the bytes of a file go while it is made, and where they can be read again. */
export abstract class ExpansionTarget {
  /** Names the file in messages. */
  abstract readonly name: string;

  /**
   * Writes non-zero bytes at `offset`; what is never written is zero. A write stays within one piece of `PIECE_BYTES`; writes run in
   * parallel, in no order, and never overlap. The buffer is the caller's again when the promise settles.
   */
  abstract write(offset: number, bytes: Uint8Array): Promise<void>;

  /** Called once, as soon as the size is known: the file has `sizeBytes` bytes. It is not before the end of any write, and writes may follow. */
  abstract setSize(sizeBytes: number): Promise<void>;

  /**
   * Reads what the target holds: the parts of `range` that lie in each piece, in order, zeros where nothing was written. Some are read ahead.
   * Called after all writes into the range have settled.
   */
  abstract readBack(range: ByteRange): AsyncIterable<Buffer>;
}
