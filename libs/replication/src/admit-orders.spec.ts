import fc from 'fast-check';
import { expect, it } from 'vitest';

import { digestOf } from '#oci';

import { admitOrders, type OrderOutcome, type PresentReplica, type ReplicaOrder } from './admit-orders.js';
import type { ReplicaState } from './replica-state.js';

const order = (name: string, sizeBytes: number): ReplicaOrder => ({ layer: digestOf(name), sizeBytes, priority: 1, reason: 'demand' });
const presence = (state: ReplicaState | 'recallable'): PresentReplica =>
  state === 'recallable' ? { state: 'draining', isRecallable: true } : { state, isRecallable: false };
const answer = (state: string, again: boolean): OrderOutcome =>
  ({ draining: 'DRAINING' as const, recallable: again ? ('kept' as const) : ('recalled' as const) })[state] ?? 'kept';

it('never takes more than the capacity leaves, and refuses only what does not fit', () => {
  const orders = fc.array(fc.record({ name: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'), sizeBytes: fc.integer({ min: 1, max: 50 }) }), { maxLength: 12 });
  const there = fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.constantFrom<ReplicaState | 'recallable'>('wanted', 'copying', 'ready', 'draining', 'recallable'));
  fc.assert(
    fc.property(orders, fc.nat(200), fc.nat(200), there, (list, usedBytes, capacityBytes, known) => {
      const states = new Map(Object.entries(known).map(([name, state]) => [digestOf(name), presence(state)]));
      const seen = new Set<string>();
      const outcomes = admitOrders(list.map(({ name, sizeBytes }) => order(name, sizeBytes)), states, { usedBytes, capacityBytes });
      expect(outcomes).toHaveLength(list.length);
      let sum = usedBytes;
      for (const [n, { name, sizeBytes }] of list.entries()) {
        if (outcomes[n] === 'taken') sum += sizeBytes;
        if (outcomes[n] === 'SHARE_FULL') expect(sum + sizeBytes).toBeGreaterThan(capacityBytes);
        if (outcomes[n] === 'taken') expect(sum).toBeLessThanOrEqual(capacityBytes);
        if (known[name] !== undefined) expect(outcomes[n]).toBe(answer(known[name], seen.has(name)));
        seen.add(name);
      }
    }),
  );
});

it('lets a smaller order pass one that does not fit', () => {
  expect(admitOrders([order('a', 60), order('b', 50), order('c', 40)], new Map(), { usedBytes: 0, capacityBytes: 100 })).toEqual(['taken', 'SHARE_FULL', 'taken']);
});

it('takes nothing for a share that is being drained, not even what could be recalled', () => {
  const there = new Map([[digestOf('a'), presence('recallable')], [digestOf('b'), presence('ready')]]);
  expect(admitOrders([order('a', 1), order('b', 1), order('c', 1)], there, { usedBytes: 2, capacityBytes: 100, isDraining: true })).toEqual(['SHARE_DRAINING', 'SHARE_DRAINING', 'SHARE_DRAINING']);
});
