/** A set of piece indexes of one file: one bit each, so that it can be kept in a row of a table. */
export class PieceSet {
  readonly #bits: Uint8Array;
  #size = 0;

  /** An empty set for a file of `pieceCount` pieces. */
  constructor(pieceCount: number) {
    this.#bits = new Uint8Array(Math.ceil(pieceCount / 8));
  }

  /** The set that {@link toBytes} wrote; bits beyond `pieceCount` are dropped. */
  static from(bytes: Uint8Array, pieceCount: number): PieceSet {
    const set = new PieceSet(pieceCount);
    for (let piece = 0; piece < pieceCount; piece += 1) if (((bytes[piece >> 3] ?? 0) & (1 << (piece & 7))) !== 0) set.add(piece);
    return set;
  }

  /** How many pieces are in it. */
  get size(): number {
    return this.#size;
  }

  has(piece: number): boolean {
    return ((this.#bits[piece >> 3] ?? 0) & (1 << (piece & 7))) !== 0;
  }

  /** Adds a piece below the count that the set was made for; adding it again changes nothing. */
  add(piece: number): void {
    if (this.has(piece)) return;
    this.#bits[piece >> 3]! |= 1 << (piece & 7);
    this.#size += 1;
  }

  /** Takes a piece out; one that is not in it changes nothing. */
  remove(piece: number): void {
    if (!this.has(piece)) return;
    this.#bits[piece >> 3]! &= ~(1 << (piece & 7));
    this.#size -= 1;
  }

  /** Bit n of byte m (counted from the lowest) stands for piece 8 × m + n. A copy. */
  toBytes(): Buffer {
    return Buffer.from(this.#bits);
  }
}
