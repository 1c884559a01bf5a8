import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { GdsfKeeper } from './gdsf-keeper.js';
import type { LayerKeeper } from './layer-keeper.js';
import { LruKeeper } from './lru-keeper.js';
import { S3FifoKeeper } from './s3-fifo-keeper.js';
import { TinyLfuKeeper } from './tiny-lfu-keeper.js';

const KEEPERS: readonly [string, (capacityBytes: number) => LayerKeeper][] = [
  ['LRU', (capacityBytes) => new LruKeeper(capacityBytes)],
  ['GDSF', (capacityBytes) => new GdsfKeeper(capacityBytes)],
  ['W-TinyLFU', (capacityBytes) => new TinyLfuKeeper(capacityBytes)],
  ['S3-FIFO', (capacityBytes) => new S3FifoKeeper(capacityBytes)],
];

describe.each(KEEPERS)('%s', (_name, keeperOf) => {
  it('keeps no more than its capacity, and evicts only what it kept', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 400 }), fc.array(fc.nat({ max: 30 }), { maxLength: 200 }), (capacityBytes, pulls) => {
        const keeper = keeperOf(capacityBytes);
        const held = new Map<number, number>();
        for (const layer of pulls) {
          const sizeBytes = 1 + ((layer * 37) % 90);
          if (held.has(layer)) {
            keeper.touch(layer);
            continue;
          }
          const { kept, evicted } = keeper.offer(layer, sizeBytes);
          for (const gone of evicted) expect(held.delete(gone)).toBe(true);
          if (kept) held.set(layer, sizeBytes);
          expect([...held.values()].reduce((sum, bytes) => sum + bytes, 0)).toBeLessThanOrEqual(capacityBytes);
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe('what goes first', () => {
  it('is the longest unused for LRU, and the least pulled for its size for GDSF', () => {
    const evictedBy = (keeper: LayerKeeper): readonly number[] => {
      keeper.offer(1, 60);
      keeper.offer(2, 30);
      keeper.touch(1);
      return keeper.offer(3, 40).evicted;
    };
    expect(evictedBy(new LruKeeper(100))).toEqual([2]);
    // Two pulls of 60 bytes are worth as much as one of 30: a third tips it.
    const keeper = new GdsfKeeper(100);
    keeper.offer(1, 60);
    keeper.offer(2, 20);
    keeper.touch(2);
    expect(keeper.offer(3, 40).evicted).toEqual([1]);
  });
});
