import { hash } from 'node:crypto';

import { blockDigests, HASH_BLOCK_BYTES, TREE_DIGEST_BYTES } from './block-digests.js';

const DIGESTS_PER_BLOCK = HASH_BLOCK_BYTES / TREE_DIGEST_BYTES;

/** How large the tree over a filesystem is: it follows from the number of blocks alone. */
export interface HashTreeShape {
  /** Blocks of the filesystem, one or more. */
  readonly dataBlockCount: number;
  /** Blocks of each level, from level 0 (digests of data blocks) up to the topmost, which is one block; none over a single data block. */
  readonly levelBlockCounts: readonly number[];
  /** Where level 0 begins, in bytes from the start of the superblock: everything above it comes first. */
  readonly level0Offset: number;
  /** Bytes of all, the superblock's block included. */
  readonly sizeBytes: number;
}

/**
 * The shape of the tree over `dataBlockCount` blocks. On disk: the superblock, then the levels, the topmost first; each block of a level holds 128 digests of the blocks
 * below it, and zeros behind the last one (cryptsetup, `lib/verity/verity_hash.c`, `hash_levels`).
 */
export function shapeHashTree(dataBlockCount: number): HashTreeShape {
  const levelBlockCounts: number[] = [];
  for (let below = dataBlockCount; below > 1; below = levelBlockCounts.at(-1)!) levelBlockCounts.push(Math.ceil(below / DIGESTS_PER_BLOCK));
  const blockCount = levelBlockCounts.reduce((sum, count) => sum + count, 1);
  return {
    dataBlockCount,
    levelBlockCounts,
    level0Offset: (blockCount - (levelBlockCounts[0] ?? 0)) * HASH_BLOCK_BYTES,
    sizeBytes: blockCount * HASH_BLOCK_BYTES,
  };
}

/**
 * The block that begins a dm-verity hash tree (`struct verity_sb` in cryptsetup's `lib/verity/verity.c`). Numbers are little-endian; the rest of the block is zeros.
 *
 * | offset | bytes | field of `verity_sb` | value |
 * |-------:|------:|----------------------|-------|
 * |      0 |     8 | signature            | `verity`, two NULs |
 * |      8 |     4 | version              | 1 |
 * |     12 |     4 | hash_type            | 1: the salt, if any, before the block |
 * |     16 |    16 | uuid                 | given |
 * |     32 |    32 | algorithm            | `sha256`, NULs |
 * |     64 |     4 | data_block_size      | 4096 |
 * |     68 |     4 | hash_block_size      | 4096 |
 * |     72 |     8 | data_blocks          | blocks of the filesystem |
 * |     80 |     2 | salt_size            | 0 |
 * |     82 |     6 | padding              | 0 |
 * |     88 |   256 | salt                 | 0 |
 * |    344 |   168 | padding              | 0 |
 *
 * @param uuid 16 bytes.
 */
export function hashTreeSuperblock({ dataBlockCount }: HashTreeShape, uuid: Uint8Array): Buffer {
  const block = Buffer.alloc(HASH_BLOCK_BYTES);
  block.write('verity', 0, 'latin1');
  block.writeUInt32LE(1, 8);
  block.writeUInt32LE(1, 12);
  block.set(uuid, 16);
  block.write('sha256', 32, 'latin1');
  block.writeUInt32LE(HASH_BLOCK_BYTES, 64);
  block.writeUInt32LE(HASH_BLOCK_BYTES, 68);
  block.writeBigUInt64LE(BigInt(dataBlockCount), 72);
  return block;
}

/** A tree that is finished, apart from level 0. */
export interface HashTreeTop {
  /** sha256 of the topmost block, or of the only data block: 64 hexadecimal digits. */
  readonly rootHash: string;
  /** What stands between the superblock and level 0: the levels above it, the topmost first. */
  readonly upperLevels: Buffer;
}

/**
 * Builds a tree from the digests of all data blocks in their order. Level 0 is handed on block by block; the levels above it are held, which is
 * 1/128 of level 0, or 1/16384 of the data.
 */
export class HashTreeBuilder {
  readonly #shape: HashTreeShape;
  readonly #takeLevel0: (block: Buffer) => void;
  readonly #block = Buffer.alloc(HASH_BLOCK_BYTES);
  #filled = 0;
  #digestCount = 0;
  /** Digests of the level 0 blocks that were handed on, from the start of level 1; with a single one it is the root. */
  readonly #level1: Buffer;
  #level1Filled = 0;
  #only: Buffer | undefined;

  /** @param takeLevel0 gets each block of level 0, in order; the buffer is used again. */
  constructor(shape: HashTreeShape, takeLevel0: (block: Buffer) => void) {
    this.#shape = shape;
    this.#takeLevel0 = takeLevel0;
    this.#level1 = Buffer.alloc((shape.levelBlockCounts[1] ?? 1) * HASH_BLOCK_BYTES);
  }

  /** Takes the digests of the next data blocks. */
  add(digests: Uint8Array): void {
    this.#digestCount += digests.length / TREE_DIGEST_BYTES;
    if (this.#shape.dataBlockCount === 1) this.#only = Buffer.from(digests);
    else for (let at = 0; at < digests.length; ) at += this.#fill(digests.subarray(at));
  }

  /** Ends the tree. @throws {RangeError} when there were not as many digests as the shape has blocks. */
  finish(): HashTreeTop {
    const { dataBlockCount, levelBlockCounts } = this.#shape;
    if (this.#digestCount !== dataBlockCount) throw new RangeError(`a tree over ${dataBlockCount} blocks got the digests of ${this.#digestCount}`);
    if (this.#only !== undefined) return { rootHash: this.#only.toString('hex'), upperLevels: Buffer.alloc(0) };
    if (this.#filled > 0) this.#endBlock();
    if (levelBlockCounts.length === 1) return { rootHash: this.#level1.toString('hex', 0, TREE_DIGEST_BYTES), upperLevels: Buffer.alloc(0) };
    const levels = [this.#level1];
    for (const blockCount of levelBlockCounts.slice(2)) {
      const level = Buffer.alloc(blockCount * HASH_BLOCK_BYTES);
      level.set(blockDigests(levels[0]!));
      levels.unshift(level);
    }
    return { rootHash: sha256(levels[0]!).toString('hex'), upperLevels: Buffer.concat(levels) };
  }

  #fill(digests: Uint8Array): number {
    const count = Math.min(digests.length, HASH_BLOCK_BYTES - this.#filled);
    this.#block.set(digests.subarray(0, count), this.#filled);
    this.#filled += count;
    if (this.#filled === HASH_BLOCK_BYTES) this.#endBlock();
    return count;
  }

  #endBlock(): void {
    this.#block.fill(0, this.#filled);
    this.#filled = 0;
    this.#level1.set(sha256(this.#block), this.#level1Filled);
    this.#level1Filled += TREE_DIGEST_BYTES;
    this.#takeLevel0(this.#block);
  }
}

function sha256(bytes: Uint8Array): Buffer {
  return hash('sha256', bytes, 'buffer');
}
