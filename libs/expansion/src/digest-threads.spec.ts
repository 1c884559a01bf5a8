import { createHash, randomBytes } from 'node:crypto';

import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';

import { expandBytes, layerOf, tarOf } from '#expansion/testing';
import { PIECE_BYTES } from '#shares';
import { MemoryShare } from '#shares/testing';

import { blockDigests } from './block-digests.js';
import { BlockDigester, DIGEST_THREADS_MAX, digestThreadCount, StreamHash } from './digest-threads.js';
import { expandLayer } from './expand-layer.js';

const BYTES = randomBytes(9_000_000);
const FAILED = { name: 'ExpansionError', code: 'DIGEST_THREAD_FAILED', transient: true };
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

async function hashed(bytes: Buffer, cuts: readonly number[] = []): Promise<string> {
  const hash = new StreamHash();
  const bounds = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length];
  for (const [index, end] of bounds.slice(1).entries()) {
    hash.update(bytes.subarray(bounds[index], end));
    await hash.ready();
  }
  return hash.digest();
}

describe('StreamHash', () => {
  it('is sha256, however the bytes come', async () => {
    await fc.assert(fc.asyncProperty(fc.nat({ max: BYTES.length }), fc.array(fc.nat(), { maxLength: 20 }), async (length, cuts) => {
      const bytes = BYTES.subarray(0, length);
      expect(await hashed(bytes, cuts)).toBe(sha256(bytes));
    }), { numRuns: 20, examples: [[0, []], [2 ** 20, []], [2 ** 20 + 1, []]] });
  });

  it('keeps many streams apart, on no more threads than may be', async () => {
    const parts = Array.from({ length: 20 }, (_, index) => BYTES.subarray(index * 100_000, index * 100_000 + 3_000_000));
    expect(await Promise.all(parts.map((bytes) => hashed(bytes, [1_000_000, 2_000_000])))).toEqual(parts.map(sha256));
    expect(digestThreadCount()).toBeGreaterThan(0);
    expect(digestThreadCount()).toBeLessThanOrEqual(DIGEST_THREADS_MAX);
  });

  it('may be closed in the middle, and after its end', async () => {
    const dropped = new StreamHash();
    dropped.update(BYTES);
    dropped.close();
    const ended = new StreamHash();
    ended.update(BYTES);
    expect(await ended.digest()).toBe(sha256(BYTES));
    ended.close();
  });
});

describe('BlockDigester', () => {
  it.each([4096, PIECE_BYTES - 4096, PIECE_BYTES])('gives the digests of all blocks of %i bytes, and of zeros', async (length) => {
    const digester = new BlockDigester();
    for (const bytes of [BYTES.subarray(5, 5 + length), Buffer.alloc(length), BYTES.subarray(7, 7 + length)]) {
      expect(Buffer.from(await digester.digests(bytes)).equals(blockDigests(bytes))).toBe(true);
    }
    digester.close();
  });
});

describe('digest threads', () => {
  it('end when they have had nothing to do for a while, and not before', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      // Those of other tests began their rest by the real clock.
      const digesters = Array.from({ length: DIGEST_THREADS_MAX }, () => new BlockDigester());
      for (const digester of digesters) await digester.digests(BYTES.subarray(0, PIECE_BYTES));
      digesters.slice(1).forEach((digester) => digester.close());
      await vi.advanceTimersByTimeAsync(3_600_000);
      expect(digestThreadCount()).toBe(1);
      expect(await digesters[0]!.digests(BYTES.subarray(0, PIECE_BYTES))).toHaveLength(32_768);
      digesters[0]!.close();
      await vi.advanceTimersByTimeAsync(9_999);
      expect(digestThreadCount()).toBe(1);
      await vi.advanceTimersByTimeAsync(1);
      expect(digestThreadCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
    expect(await hashed(BYTES)).toBe(sha256(BYTES));
  });
});

describe('a digest thread that fails', () => {
  it('takes what it was doing down with it, and others get another one', async () => {
    const digester = new BlockDigester();
    await digester.digests(BYTES.subarray(0, PIECE_BYTES));
    // No whole blocks: the thread does not expect it.
    const failing = digester.digests(BYTES.subarray(0, 4100));
    const behind = digester.digests(BYTES.subarray(0, PIECE_BYTES));
    await expect(failing).rejects.toMatchObject(FAILED);
    await expect(behind).rejects.toMatchObject(FAILED);
    await expect(digester.digests(BYTES.subarray(0, PIECE_BYTES))).rejects.toMatchObject(FAILED);
    digester.close();
    expect(await hashed(BYTES)).toBe(sha256(BYTES));
  });

  it('fails the expansions that count on it, which publish nothing and succeed when tried again', async () => {
    const share = new MemoryShare({ name: 'home' });
    const layer = layerOf(tarOf({ name: 'a', contents: BYTES }));
    const killAll = async (): Promise<void> => {
      const digesters = Array.from({ length: DIGEST_THREADS_MAX }, () => new BlockDigester());
      await Promise.all(digesters.map((digester) => digester.digests(BYTES.subarray(0, PIECE_BYTES))));
      await Promise.allSettled(digesters.map((digester) => digester.digests(BYTES.subarray(0, 4100))));
      digesters.forEach((digester) => digester.close());
    };
    async function* blob(): AsyncGenerator<Uint8Array> {
      yield layer.blob.subarray(0, 6_000_000);
      await killAll();
      yield layer.blob.subarray(6_000_000);
    }
    const expansion = { layer: layer.layer, share, claimId: 'first', isHeld: () => Promise.resolve(true), signal: new AbortController().signal };
    await expect(expandLayer({ ...expansion, blob: blob() })).rejects.toMatchObject(FAILED);
    expect(share.paths.filter((path) => !path.startsWith('.partial/'))).toEqual([]);
    const { expanded } = await expandBytes(layer, { share });
    expect(expanded).toEqual((await expandBytes(layer)).expanded);
  });
});
