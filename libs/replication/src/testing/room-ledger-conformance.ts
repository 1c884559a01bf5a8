import { randomUUID } from 'node:crypto';

import { beforeEach, expect, it } from 'vitest';

import { digestOf } from '#oci';
import { HOUR_MS } from '#quantities';

import type { ReplicaStore } from '../replica-store.js';
import type { RoomLedger } from '../room-ledger.js';
import { replicaOrder } from './replica-store-conformance.js';

const HOME = { name: 'home', capacityBytes: 10_000 };
const NOW = new Date('2026-03-01T12:00:00.000Z');
const LATER = new Date('2026-03-01T13:00:00.000Z');

/** What every account of room promises. `make` gives an empty one, and the store of the replicas that it counts. */
export function roomLedgerConforms(make: () => { readonly ledger: RoomLedger; readonly store: ReplicaStore }): void {
  let ledger: RoomLedger;
  let store: ReplicaStore;
  beforeEach(() => {
    ({ ledger, store } = make());
  });
  const reserve = (name: string, bytes: number, { now = NOW, id = randomUUID() }: { readonly now?: Date; readonly id?: string } = {}): ReturnType<RoomLedger['reserve']> =>
    ledger.reserve(HOME, { id, layer: digestOf(name), bytes, holdMs: HOUR_MS }, now);

  it('reserves what the replicas and the reservations of others leave', async () => {
    await store.recordReady({ layer: digestOf('there'), share: 'home', sizeBytes: 4000, reason: 'expanded' }, NOW);
    expect(await reserve('a', 3000)).toEqual({ reserved: true, roomBytes: 6000 });
    expect(await reserve('b', 3001)).toEqual({ reserved: false, roomBytes: 3000 });
    expect(await reserve('b', 3000)).toEqual({ reserved: true, roomBytes: 3000 });
    expect(await ledger.reservedBytes('home', NOW)).toBe(6000);
    expect(await ledger.reservedBytes('east', NOW)).toBe(0);
  });

  it('replaces a reservation for the same layer', async () => {
    await reserve('a', 9000);
    expect(await reserve('a', 10_000)).toEqual({ reserved: true, roomBytes: 10_000 });
    expect(await ledger.reservedBytes('home', NOW)).toBe(10_000);
  });

  it('gives back what is released, and what is over', async () => {
    const id = randomUUID();
    await reserve('a', 9000, { id });
    for (let n = 0; n < 2; n += 1) await ledger.release('home', { layer: digestOf('a'), id });
    expect(await reserve('b', 9000)).toMatchObject({ reserved: true });
    expect(await ledger.reservedBytes('home', LATER)).toBe(0);
    expect(await reserve('c', 9000, { now: LATER })).toMatchObject({ reserved: true });
  });

  it('leaves what another has reserved meanwhile', async () => {
    const id = randomUUID();
    await reserve('a', 9000, { id });
    await reserve('a', 8000);
    await ledger.release('home', { layer: digestOf('a'), id });
    expect(await ledger.reservedBytes('home', NOW)).toBe(8000);
  });

  it('counts a layer once when it is recorded, whether or not its reservation was given back', async () => {
    await reserve('a', 5000);
    await store.recordReady({ layer: digestOf('a'), share: 'home', sizeBytes: 6000, reason: 'expanded' }, NOW);
    expect(await ledger.reservedBytes('home', NOW)).toBe(0);
    expect(await reserve('a', 9_000_000)).toMatchObject({ reserved: true });
    expect(await ledger.reservedBytes('home', NOW)).toBe(0);
    expect(await reserve('b', 4000)).toEqual({ reserved: true, roomBytes: 4000 });
  });

  it('is seen by the plan’s orders', async () => {
    await reserve('a', 9500);
    expect(await store.want(HOME, [replicaOrder('x')], NOW)).toEqual(['SHARE_FULL']);
    expect(await store.want(HOME, [replicaOrder('x')], LATER)).toEqual(['taken']);
  });

  it('never lets many callers at once pass the capacity', async () => {
    const outcomes = await Promise.all(Array.from({ length: 20 }, (_, n) => reserve(`layer ${n}`, 1500)));
    expect(outcomes.filter((outcome) => outcome.reserved)).toHaveLength(6);
  });
}
