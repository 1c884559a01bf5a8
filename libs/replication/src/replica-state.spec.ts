import { describe, expect, it } from 'vitest';

import { nextReplicaState, REPLICA_EVENTS, REPLICA_STATES, REPLICA_TRANSITIONS, type ReplicaState, statesThatTake } from './replica-state.js';

const steps = REPLICA_STATES.flatMap((from) => REPLICA_EVENTS.map((event) => ({ from, event, to: nextReplicaState(from, event) })));

function reachable(start: ReplicaState): Set<ReplicaState> {
  const found = new Set<ReplicaState>([start]);
  for (const state of found) for (const step of steps) if (step.from === state && step.to !== null) found.add(step.to);
  return found;
}

describe('the life of a replica', () => {
  it('says for every state and event what follows', () => {
    expect(Object.keys(REPLICA_TRANSITIONS).toSorted()).toEqual(REPLICA_STATES.toSorted());
    for (const row of Object.values(REPLICA_TRANSITIONS)) expect(Object.keys(row).toSorted()).toEqual(REPLICA_EVENTS.toSorted());
  });

  it('only complete, record and recall lead to ready', () => {
    const making = steps.filter((step) => step.to === 'ready' && step.from !== 'ready');
    expect(new Set(making.map((step) => step.event))).toEqual(new Set(['complete', 'record', 'recall']));
    expect(statesThatTake('complete')).toEqual(['copying']);
  });

  it('nothing that may have a file goes without draining', () => {
    const going = steps.filter((step) => step.to === 'gone').map((step) => `${step.from} ${step.event}`);
    expect(going).toEqual(['wanted cancel', 'draining removed']);
  });

  it('a draining replica becomes gone, or ready as it is', () => {
    const ends = steps.filter((step) => step.from === 'draining' && step.to !== null).map((step) => step.to);
    expect(new Set(ends)).toEqual(new Set(['draining', 'gone', 'ready']));
  });

  it('every state leads to gone and to ready', () => {
    for (const state of REPLICA_STATES) {
      expect(reachable(state)).toContain('gone');
      expect(reachable(state)).toContain('ready');
    }
  });
});
