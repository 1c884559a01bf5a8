import { hash } from 'node:crypto';

/** Bytes of a data block and of a block of the hash tree. */
export const HASH_BLOCK_BYTES = 4096;
/** Bytes of one digest in the hash tree: sha256. */
export const TREE_DIGEST_BYTES = 32;

const ZERO_BLOCK = Buffer.alloc(HASH_BLOCK_BYTES);
const ZERO_BLOCK_DIGEST = hash('sha256', ZERO_BLOCK, 'buffer');

/** The digests of the blocks of `bytes`, one behind the other. Blocks of zeros cost a comparison. @param bytes whole blocks. */
export function blockDigests(bytes: Uint8Array): Buffer {
  const digests = Buffer.allocUnsafeSlow((bytes.length / HASH_BLOCK_BYTES) * TREE_DIGEST_BYTES);
  for (let at = 0, to = 0; at < bytes.length; at += HASH_BLOCK_BYTES, to += TREE_DIGEST_BYTES) {
    const block = bytes.subarray(at, at + HASH_BLOCK_BYTES);
    digests.set(ZERO_BLOCK.equals(block) ? ZERO_BLOCK_DIGEST : hash('sha256', block, 'buffer'), to);
  }
  return digests;
}
