import { describe, expect, it } from 'vitest';

import { after } from '#clock';
import { digestOf } from '#oci';

import { HeldList } from './held-list.js';
import { COUNTED_LISTS_MAX, OWN_LEASES_MAX, SharedLeases } from './lease-sharing.js';

const NOW = new Date('2026-03-01T12:00:00.000Z');
const TTL_MS = 900_000;
const WINDOW_MS = TTL_MS / 15;
const LAYER = digestOf('layer');

/** Lists of one replica each. */
const lists = (count: number, name: string): HeldList[] => Array.from({ length: count }, (_, n) => HeldList.of([{ layer: LAYER, share: `${name}-${n}` }]));

/** Pulls more often than there are leases of their own; whether the last one shared. */
function isShared(leases: SharedLeases, held: HeldList, now: Date): boolean {
  const turns = Array.from({ length: OWN_LEASES_MAX + 1 }, () => leases.turn('eastus', held, now));
  return turns.at(-1)?.until !== undefined;
}

describe('leases that pulls share', () => {
  it('are counted for so many lists only, and for others again when generations have turned', () => {
    const leases = new SharedLeases(TTL_MS);
    leases.turnGenerations(NOW);
    for (const held of lists(COUNTED_LISTS_MAX, 'many')) leases.turn('eastus', held, NOW);
    const [late] = lists(1, 'late') as [HeldList];
    expect(isShared(leases, late, NOW)).toBe(false);
    leases.turnGenerations(after(NOW, WINDOW_MS - 1));
    expect(isShared(leases, late, NOW)).toBe(false);
    leases.turnGenerations(after(NOW, WINDOW_MS));
    expect(isShared(leases, late, NOW)).toBe(true);
  });

  it('go on to be shared over a turn of generations, until their own window ends', () => {
    const leases = new SharedLeases(TTL_MS);
    const [held] = lists(1, 'one') as [HeldList];
    expect(isShared(leases, held, NOW)).toBe(true);
    const { until } = leases.turn('eastus', held, NOW);
    leases.turnGenerations(NOW);
    expect(leases.turn('eastus', held, NOW).until).toEqual(until);
    expect(leases.turn('eastus', held, until!).until).toBeUndefined();
  });

  it('forget a list that nobody asked for in two turns of generations', () => {
    const leases = new SharedLeases(TTL_MS);
    const [held] = lists(1, 'one') as [HeldList];
    expect(isShared(leases, held, NOW)).toBe(true);
    for (const turns of [1, 2]) leases.turnGenerations(after(NOW, turns * WINDOW_MS));
    expect(leases.turn('eastus', held, NOW).until).toBeUndefined();
  });
});
