/** Where the bytes of an expanded layer go while they are made. */
export abstract class ExpansionTarget {
  /**
   * Writes non-zero bytes at `offset`; what is never written is zero. A write stays within one piece of `PIECE_BYTES`; writes run in
   * parallel, in no order, and never overlap. The buffer is the caller's again when the promise settles.
   */
  abstract write(offset: number, bytes: Uint8Array): Promise<void>;

  /** Called once, after every write settled: the file has `sizeBytes` bytes. */
  abstract finish(sizeBytes: number): Promise<void>;
}
