import { bytesOfColumn } from './column-bytes.js';
import { type MappedReplicaState, REPLICA_STATES } from './map-row.js';

/** Layers of one block: what is laid out anew at once when there are more shares. */
const BLOCK_BITS = 12;
const BLOCK_ROWS = 1 << BLOCK_BITS;
/** Shares that a layer has room for at first. */
const SHARES_MIN = 16;
/** Bits of one replica: 0 for none, or one more than the place of its state in {@link REPLICA_STATES}. */
const CODE_BITS = 4;
const CODE_MASK = (1 << CODE_BITS) - 1;

interface Block {
  /** Two shares to a byte, the one with the even number in the lower bits. */
  readonly codes: Uint8Array;
  readonly bytesPerRow: number;
  readonly counts: Uint16Array;
}

/** Which layer has a replica on which share, and in which state: half a byte for each share of each layer, both by their numbers. */
export class ReplicaStates {
  readonly #blocks: Block[] = [];
  #shares = SHARES_MIN;

  /** The state of one replica; undefined where there is none. */
  stateOn(row: number, share: number): MappedReplicaState | undefined {
    const block = this.#blocks[row >> BLOCK_BITS];
    const code = block === undefined ? 0 : codeOf(block, row, share);
    return code === 0 ? undefined : REPLICA_STATES[code - 1];
  }

  /** How many shares have a replica of that layer. */
  countOf(row: number): number {
    return this.#blocks[row >> BLOCK_BITS]?.counts[row & (BLOCK_ROWS - 1)] ?? 0;
  }

  /** All replicas of a layer, by the shares' numbers. */
  *of(row: number): Generator<{ readonly share: number; readonly state: MappedReplicaState }, void> {
    for (let left = this.countOf(row), share = 0; left > 0; share += 1) {
      const state = this.stateOn(row, share);
      if (state === undefined) continue;
      left -= 1;
      yield { share, state };
    }
  }

  /** Sets a state. @returns true when there was no replica before. */
  set(row: number, share: number, state: MappedReplicaState): boolean {
    return this.#write(row, share, REPLICA_STATES.indexOf(state) + 1) === 0;
  }

  /** Forgets a replica. @returns true when there was one. */
  remove(row: number, share: number): boolean {
    return this.stateOn(row, share) !== undefined && this.#write(row, share, 0) !== 0;
  }

  /** Bytes that the states of one layer take now. */
  get codeBytes(): number {
    return this.#shares / 2;
  }

  /** The states of some rows that lie in one block, for a snapshot, as so many bytes each, and how many replicas each has. @throws {Error} where a row takes more bytes. */
  bytesOfRows(first: number, count: number, codeBytes: number): readonly Uint8Array[] {
    const { codes, counts, bytesPerRow } = this.#blockFor(first, codeBytes * 2 - 1);
    if (bytesPerRow !== codeBytes) throw new Error(`rows of ${codeBytes} bytes after rows of ${bytesPerRow}`);
    const at = first & (BLOCK_ROWS - 1);
    return [codes.subarray(at * bytesPerRow, (at + count) * bytesPerRow), bytesOfColumn(counts, at, count)];
  }

  /** @returns the code that was there. */
  #write(row: number, share: number, code: number): number {
    const block = this.#blockFor(row, share);
    const before = codeOf(block, row, share);
    const shift = (share & 1) * CODE_BITS;
    const at = placeOf(block, row, share);
    block.codes[at] = (block.codes[at]! & ~(CODE_MASK << shift)) | (code << shift);
    block.counts[row & (BLOCK_ROWS - 1)]! += (code === 0 ? 0 : 1) - (before === 0 ? 0 : 1);
    return before;
  }

  /** The block of that layer, with room for that share. */
  #blockFor(row: number, share: number): Block {
    while (share >= this.#shares) this.#shares *= 2;
    const known = this.#blocks[row >> BLOCK_BITS];
    if (known !== undefined && share < known.bytesPerRow * 2) return known;
    const bytesPerRow = this.#shares / 2;
    const block = { codes: new Uint8Array(BLOCK_ROWS * bytesPerRow), bytesPerRow, counts: known?.counts ?? new Uint16Array(BLOCK_ROWS) };
    for (let each = 0; known !== undefined && each < BLOCK_ROWS; each += 1) {
      block.codes.set(known.codes.subarray(each * known.bytesPerRow, (each + 1) * known.bytesPerRow), each * bytesPerRow);
    }
    this.#blocks[row >> BLOCK_BITS] = block;
    return block;
  }
}

function placeOf({ bytesPerRow }: Block, row: number, share: number): number {
  return (row & (BLOCK_ROWS - 1)) * bytesPerRow + (share >> 1);
}

function codeOf(block: Block, row: number, share: number): number {
  if (share >= block.bytesPerRow * 2) return 0;
  return (block.codes[placeOf(block, row, share)]! >> ((share & 1) * CODE_BITS)) & CODE_MASK;
}
