import { createHash } from 'node:crypto';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { blockDigests, HASH_BLOCK_BYTES, TREE_DIGEST_BYTES } from './block-digests.js';
import { HashTreeBuilder, hashTreeSuperblock, shapeHashTree } from './hash-tree.js';

const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();
/** A digest per number: stands for the digest of a data block. */
const digestsOf = (count: number): Buffer => Buffer.concat(Array.from({ length: count }, (_, index) => sha256(Buffer.from(`block ${index % 1000}`))));

/** The definition, word for word: every level whole in memory, from the bottom up. */
function naiveTree(digests: Buffer): { readonly rootHash: string; readonly levels: Buffer } {
  if (digests.length === TREE_DIGEST_BYTES) return { rootHash: digests.toString('hex'), levels: Buffer.alloc(0) };
  const blocks: Buffer[] = [];
  for (let at = 0; at < digests.length; at += HASH_BLOCK_BYTES) {
    const block = Buffer.alloc(HASH_BLOCK_BYTES);
    digests.copy(block, 0, at, at + HASH_BLOCK_BYTES);
    blocks.push(block);
  }
  const above = naiveTree(Buffer.concat(blocks.map(sha256)));
  return { rootHash: above.rootHash, levels: Buffer.concat([above.levels, ...blocks]) };
}

/** @param cuts where the digests are cut into parts. */
function builtTree(digests: Buffer, cuts: readonly number[] = []): { readonly rootHash: string; readonly levels: Buffer; readonly sizeBytes: number } {
  const shape = shapeHashTree(digests.length / TREE_DIGEST_BYTES);
  const level0: Buffer[] = [];
  const builder = new HashTreeBuilder(shape, (block) => level0.push(Buffer.from(block)));
  const bounds = [0, ...cuts.map((cut) => (cut % (shape.dataBlockCount + 1)) * TREE_DIGEST_BYTES).toSorted((a, b) => a - b), digests.length];
  bounds.slice(1).forEach((end, index) => {
    if (end > bounds[index]!) builder.add(digests.subarray(bounds[index], end));
  });
  const { rootHash, upperLevels } = builder.finish();
  expect(HASH_BLOCK_BYTES + upperLevels.length).toBe(shape.level0Offset);
  return { rootHash, levels: Buffer.concat([upperLevels, ...level0]), sizeBytes: shape.sizeBytes };
}

describe('HashTreeBuilder', () => {
  it.each([1, 2, 127, 128, 129, 128 ** 2 - 1, 128 ** 2, 128 ** 2 + 1, 128 ** 2 + 129])('gives the tree of the definition over %i blocks', (count) => {
    const digests = digestsOf(count);
    const { rootHash, levels, sizeBytes } = builtTree(digests);
    const naive = naiveTree(digests);
    expect(rootHash).toBe(naive.rootHash);
    expect(levels.equals(naive.levels)).toBe(true);
    expect(sizeBytes).toBe(HASH_BLOCK_BYTES + naive.levels.length);
  });

  it('gives the tree of the definition over any number of blocks, however the digests come', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 3000 }), fc.array(fc.nat(), { maxLength: 5 }), (count, cuts) => {
      const digests = digestsOf(count);
      const { rootHash, levels } = builtTree(digests, cuts);
      const naive = naiveTree(digests);
      expect(rootHash).toBe(naive.rootHash);
      expect(levels.equals(naive.levels)).toBe(true);
    }), { numRuns: 60 });
  });

  it('refuses to end with another number of digests than its shape says', () => {
    const builder = new HashTreeBuilder(shapeHashTree(3), () => {});
    builder.add(digestsOf(2));
    expect(() => builder.finish()).toThrow(RangeError);
  });
});

describe('shapeHashTree', () => {
  it('holds less than a thousandth of the largest layer above level 0', () => {
    const { levelBlockCounts, sizeBytes } = shapeHashTree(2 ** 38 / HASH_BLOCK_BYTES);
    expect(levelBlockCounts).toEqual([524_288, 4096, 32, 1]);
    expect(sizeBytes).toBe((524_288 + 4096 + 32 + 1 + 1) * HASH_BLOCK_BYTES);
  });
});

describe('hashTreeSuperblock', () => {
  it('is the one that veritysetup writes, but for its uuid', () => {
    const block = hashTreeSuperblock(shapeHashTree(129), Buffer.alloc(16, 7));
    expect(block).toHaveLength(4096);
    expect(block.toString('hex', 0, 96)).toBe(`7665726974790000${'01000000'.repeat(2)}${'07'.repeat(16)}${Buffer.from('sha256').toString('hex')}${'00'.repeat(26)}0010000000100000${'8100000000000000'}${'00'.repeat(16)}`);
    expect(block.subarray(96).every((byte) => byte === 0)).toBe(true);
  });
});

describe('blockDigests', () => {
  it('gives the digest of every block, also of those that are zeros', () => {
    const bytes = Buffer.alloc(4 * HASH_BLOCK_BYTES);
    bytes.write('x', 4095);
    bytes.write('y', 3 * HASH_BLOCK_BYTES);
    const expected = [0, 1, 2, 3].map((index) => sha256(bytes.subarray(index * HASH_BLOCK_BYTES, (index + 1) * HASH_BLOCK_BYTES)));
    expect(blockDigests(bytes).equals(Buffer.concat(expected))).toBe(true);
  });
});
