import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { cheapestTreeCost } from './cheapest-tree.js';

/** Tries every choice of one arc into each node. */
function leastOfAll(count: number, cost: readonly (readonly number[])[]): number {
  let least = Number.POSITIVE_INFINITY;
  for (let choice = 0; choice < count ** (count - 1); choice += 1) {
    const parents = Array.from({ length: count - 1 }, (_, n) => Math.floor(choice / count ** n) % count);
    const reaches = (node: number, left = count): boolean => node === 0 || (left > 0 && reaches(parents[node - 1]!, left - 1));
    if (parents.every((_, n) => reaches(n + 1))) least = Math.min(least, parents.reduce((sum, parent, n) => sum + cost[parent]![n + 1]!, 0));
  }
  return least;
}

describe('the cheapest tree', () => {
  it('costs what the cheapest of all trees does', () => {
    const costs = fc.array(fc.array(fc.nat({ max: 9 }), { minLength: 5, maxLength: 5 }), { minLength: 5, maxLength: 5 });
    fc.assert(fc.property(costs, (cost) => {
      const arcs = cost.flatMap((row, from) => row.map((each, to) => ({ from, to, cost: each })));
      expect(cheapestTreeCost(5, 0, arcs)).toBe(leastOfAll(5, cost));
    }), { numRuns: 200 });
  });

  it('is not there where a node cannot be reached', () => {
    expect(() => cheapestTreeCost(2, 0, [])).toThrow('node 1 cannot be reached');
  });
});
