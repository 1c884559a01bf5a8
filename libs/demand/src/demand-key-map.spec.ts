import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { digestOf } from '#oci';

import { DemandKeyMap } from './demand-key-map.js';
import { demandKeyText } from './demand-store.js';

const key = fc.record({ region: fc.constantFrom('east', 'west'), repository: fc.constantFrom('a', 'b', 'c'), image: fc.constantFrom('one', 'two').map((name) => digestOf(name)) });

describe('a map by demand keys', () => {
  it('holds what a map by the texts of the keys holds, whatever is added and deleted', () => {
    fc.assert(fc.property(fc.array(fc.tuple(fc.boolean(), key), { maxLength: 80 }), (steps) => {
      const [map, byText] = [new DemandKeyMap<number>(), new Map<string, number>()];
      for (const [n, [deletes, each]] of steps.entries()) {
        expect(map.get(each)).toBe(byText.get(demandKeyText(each)));
        if (deletes) {
          map.delete(each);
          byText.delete(demandKeyText(each));
        } else if (!byText.has(demandKeyText(each))) {
          map.add(each, n);
          byText.set(demandKeyText(each), n);
        }
      }
      expect(map.size).toBe(byText.size);
      expect(new Set(map.values())).toEqual(new Set(byText.values()));
    }));
  });
});
