import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import type { Digest } from '#oci';

import { DigestTable } from './digest-table.js';
import { digestNamed } from './testing/index.js';

/** Few and alike, so that they meet: with the same first or last words, and with one bit of difference. */
const alike = fc.tuple(fc.constantFrom('00000000', '80000000', 'ffffffff', '00000001'), fc.constantFrom('0', 'f'), fc.constantFrom('00000000', '00000001', 'fffffffe'))
  .map(([first, filling, last]): Digest => `sha256:${first}${filling.repeat(48)}${last}`);
const NAMED = Array.from({ length: 2000 }, (_, number) => digestNamed(`layer ${number}`));
const anyDigest = fc.oneof(alike, fc.nat(NAMED.length - 1).map((number) => NAMED[number]!));

describe('a table of digests', () => {
  it('knows what was added and not removed, each by one number that no other has', () => {
    fc.assert(fc.property(fc.array(fc.tuple(anyDigest, fc.boolean()), { maxLength: 2000, size: 'max' }), (steps) => {
      const table = new DigestTable();
      const numbers = new Map<Digest, number>();
      const wrong: Digest[] = [];
      for (const [digest, remove] of steps) {
        const known = numbers.get(digest);
        if (remove && known !== undefined) {
          table.remove(known);
          numbers.delete(digest);
        } else if (!remove) {
          const number = table.add(digest);
          if (known !== undefined && number !== known) wrong.push(digest);
          numbers.set(digest, number);
        }
        if (table.find(digest) !== (numbers.get(digest) ?? -1)) wrong.push(digest);
      }
      for (const [digest, number] of numbers) if (table.find(digest) !== number || table.textOf(number) !== digest) wrong.push(digest);
      expect({ wrong, size: table.size, distinct: new Set(numbers.values()).size }).toEqual({ wrong: [], size: numbers.size, distinct: numbers.size });
    }), { numRuns: 30 });
  });

  it('gives numbers again, so that what comes and goes takes no more room', () => {
    const table = new DigestTable();
    for (let n = 0; n < 5000; n += 1) table.remove(table.add(digestNamed(`layer ${n}`)));
    expect([table.size, table.end]).toEqual([0, 1]);
  });

  it('takes no other text for a digest, however like one it is', () => {
    const table = new DigestTable();
    const digest = digestNamed('layer');
    table.add(digest);
    const others = [digest.toUpperCase(), digest.slice(0, -1), `${digest}0`, digest.replace('sha256', 'sha512'), `${digest.slice(0, -1)}g`, `${digest.slice(0, -1)}é`, ` ${digest.slice(1)}`, ''];
    for (const other of others) {
      expect(table.find(other as Digest)).toBe(-1);
      expect(() => table.add(other as Digest)).toThrow(TypeError);
    }
    expect(table.size).toBe(1);
  });
});
