import fc from 'fast-check';
import { expect, it } from 'vitest';

import { REPLICA_STATES } from './map-row.js';
import { ReplicaStates } from './replica-states.js';

it('replica states are what was said last of each layer and share, however many shares there come to be', () => {
  const anyStep = fc.tuple(fc.oneof(fc.nat(3), fc.constantFrom(4095, 4096, 9000)), fc.oneof(fc.nat(5), fc.nat(200)), fc.constantFrom(...REPLICA_STATES, undefined));
  fc.assert(fc.property(fc.array(anyStep, { maxLength: 200, size: 'max' }), (steps) => {
    const states = new ReplicaStates();
    const said = new Map<string, (typeof REPLICA_STATES)[number]>();
    for (const [row, share, state] of steps) {
      const key = `${row} ${share}`;
      expect(state === undefined ? states.remove(row, share) : !states.set(row, share, state)).toBe(said.has(key));
      if (state === undefined) said.delete(key);
      else said.set(key, state);
    }
    for (const [row, share] of steps) expect(states.stateOn(row, share)).toBe(said.get(`${row} ${share}`));
    for (const row of new Set(steps.map(([each]) => each))) {
      const own = new Map([...said].filter(([key]) => key.startsWith(`${row} `)));
      expect(new Map([...states.of(row)].map((replica) => [`${row} ${replica.share}`, replica.state]))).toEqual(own);
      expect(states.countOf(row)).toBe(own.size);
    }
  }), { numRuns: 100 });
});
