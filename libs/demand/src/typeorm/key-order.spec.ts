import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { digestOf } from '#oci';

import { demandKeyText } from '../demand-store.js';
import type { DemandKey } from '../observation.js';
import { inKeyOrder, STATEMENT_ROWS_MAX } from './key-order.js';

/** Names of which one begins another, and goes on with what sorts before and after a slash. */
const key = fc.record({
  region: fc.constantFrom('east', 'east-2', 'eastus', 'west'),
  repository: fc.constantFrom('a', 'a/b', 'a-b', 'a.b', 'a0', 'ab'),
  image: fc.constantFrom('one', 'two', 'three').map((name) => digestOf(name)),
});

describe('rows in the order of their keys', () => {
  it('come in the order of the texts of their keys, which processes of other versions keep, too', () => {
    fc.assert(fc.property(fc.uniqueArray(key, { selector: demandKeyText, maxLength: 60 }), (rows) => {
      expect([...inKeyOrder(rows)].flat().map(demandKeyText)).toEqual(rows.map(demandKeyText).toSorted());
    }));
  });

  it('come so many at a time, and none is ordered before its turn', () => {
    const row = (region: string, n: number): DemandKey => ({ region, repository: 'app', image: digestOf(`${n}`) });
    const first = Array.from({ length: STATEMENT_ROWS_MAX }, (_, n) => row('east', n));
    let looks = 0;
    const later = Array.from({ length: STATEMENT_ROWS_MAX + 1 }, (_, n) => ({
      ...row('west', n),
      get repository() {
        looks += 1;
        return 'app';
      },
    }));
    const statements = inKeyOrder([...later, ...first]);
    expect(statements.next().value).toHaveLength(STATEMENT_ROWS_MAX);
    expect(looks).toBe(0);
    expect([...statements].map(({ length }) => length)).toEqual([STATEMENT_ROWS_MAX, 1]);
  });
});
