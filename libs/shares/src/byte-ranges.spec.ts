import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { ByteRangeSet } from './byte-ranges.js';

const SPAN = 64;
const change = fc.record({ adds: fc.boolean(), offset: fc.nat({ max: SPAN - 1 }), length: fc.nat({ max: 20 }) });

describe('ByteRangeSet', () => {
  it('holds exactly the positions that were added and not removed since, in ascending ranges that do not touch', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 30 }), fc.nat({ max: SPAN }), fc.nat({ max: 20 }), (changes, offset, length) => {
        const set = new ByteRangeSet();
        const model = new Array<boolean>(SPAN * 2).fill(false);
        for (const { adds, ...range } of changes) {
          if (adds) set.add(range);
          else set.remove(range);
          model.fill(adds, range.offset, range.offset + range.length);
        }
        const seen = new Array<boolean>(SPAN * 2).fill(false);
        let previousEnd = -1;
        for (const range of set.toArray()) {
          expect(range.offset).toBeGreaterThan(previousEnd);
          expect(range.length).toBeGreaterThan(0);
          previousEnd = range.offset + range.length;
          seen.fill(true, range.offset, previousEnd);
        }
        expect(seen).toEqual(model);
        expect(set.byteCount).toBe(model.filter(Boolean).length);
        const wanted = model.slice(offset, offset + length);
        expect(set.touches({ offset, length })).toBe(wanted.includes(true));
        expect(set.within({ offset, length }).reduce((sum, part) => sum + part.length, 0)).toBe(wanted.filter(Boolean).length);
      }),
      { numRuns: 500 },
    );
  });
});
