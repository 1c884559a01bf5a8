import fc from 'fast-check';
import { expect, it } from 'vitest';

import { PieceSet } from './piece-set.js';

it('holds exactly what was added, through its bytes too', () => {
  const cases = fc.integer({ min: 1, max: 200 }).chain((count) => fc.tuple(fc.constant(count), fc.array(fc.nat(count - 1))));
  fc.assert(
    fc.property(cases, ([count, pieces]) => {
      const set = new PieceSet(count);
      for (const piece of pieces) set.add(piece);
      const read = PieceSet.from(set.toBytes(), count);
      for (const each of [set, read]) {
        expect(each.size).toBe(new Set(pieces).size);
        for (let piece = 0; piece < count; piece += 1) expect(each.has(piece)).toBe(pieces.includes(piece));
      }
    }),
  );
});

it('reads bytes of another file’s set without pieces that this one does not have', () => {
  const set = PieceSet.from(Buffer.of(0xff, 0xff, 0xff), 3);
  expect([set.size, set.has(2), set.has(3)]).toEqual([3, true, false]);
  expect(PieceSet.from(Buffer.alloc(0), 10).size).toBe(0);
});

it('gives pieces back', () => {
  const set = PieceSet.from(Buffer.of(0b1011), 4);
  set.remove(1);
  set.remove(2);
  expect([set.size, set.has(0), set.has(1), set.has(3), set.toBytes()]).toEqual([2, true, false, true, Buffer.of(0b1001)]);
});
