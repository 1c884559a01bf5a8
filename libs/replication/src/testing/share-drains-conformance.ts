import { beforeEach, expect, it } from 'vitest';

import { digestOf } from '#oci';

import type { ReplicaStore } from '../replica-store.js';
import type { ShareDrains } from '../share-drains.js';
import { replicaOrder } from './replica-store-conformance.js';

const NOW = new Date('2026-03-01T12:00:00.000Z');
const EAST = { name: 'east', capacityBytes: 10_000 };
const ORDER = { share: 'east', reason: 'maintenance', orderedBy: 'admin' };
const NOTHING = { count: 0, sizeBytes: 0 };

/** What every account of drains promises. `make` gives an empty one, and the store of the replicas that it counts. */
export function shareDrainsConform(make: () => { readonly store: ReplicaStore; readonly drains: ShareDrains }): void {
  let store: ReplicaStore;
  let drains: ShareDrains;
  beforeEach(() => {
    ({ store, drains } = make());
  });
  const ready = (name: string, share: string): Promise<boolean> => store.recordReady({ layer: digestOf(name), share, sizeBytes: 1000, reason: 'expanded' }, NOW);
  const drainOrder = (drain: { readonly share: string; readonly id: string }) => ({ reason: 'drained', now: NOW, graceMs: 0, fence: drains.fence(drain) });

  it('begins a drain once, and tells of it until it is ended', async () => {
    const begun = await drains.begin(ORDER);
    expect(begun).toMatchObject({ ...ORDER, state: 'draining', withoutRoom: 0 });
    expect(await drains.begin({ ...ORDER, reason: 'another' })).toEqual(begun);
    expect(await drains.list()).toEqual([begun]);
    expect([await drains.end('east'), await drains.end('east'), await drains.end('west')]).toEqual([true, false, false]);
    expect(await drains.list()).toEqual([]);
    expect((await drains.begin(ORDER)).id).not.toBe(begun.id);
  });

  it('keeps every order from a share that is drained, new ones and recalls, until the drain ends', async () => {
    for (const share of ['home', 'east']) await ready('a', share);
    const drain = await drains.begin(ORDER);
    await store.drain({ layer: digestOf('a'), share: 'east' }, drainOrder(drain));
    expect(await store.want(EAST, [replicaOrder('a'), replicaOrder('b')], NOW)).toEqual(['SHARE_DRAINING', 'SHARE_DRAINING']);
    expect(await store.want({ name: 'west', capacityBytes: 10_000 }, [replicaOrder('b')], NOW)).toEqual(['taken']);
    await drains.end('east');
    expect(await store.want(EAST, [replicaOrder('a'), replicaOrder('b')], NOW)).toEqual(['recalled', 'taken']);
  });

  it('is drained when nothing is left, once, and not before', async () => {
    for (const share of ['home', 'east']) await ready('a', share);
    const drain = await drains.begin(ORDER);
    await drains.noteWithoutRoom(drain, 3);
    expect(await drains.finish(drain)).toBe(false);
    expect(await drains.list()).toMatchObject([{ state: 'draining', withoutRoom: 3 }]);
    await store.drain({ layer: digestOf('a'), share: 'east' }, drainOrder(drain));
    expect(await drains.finish(drain)).toBe(false);
    const [removal] = await store.removals.claim({ owner: 'worker', limit: 1, now: NOW, leaseMs: 1000 });
    await store.gone(removal!.claim.id);
    expect(await Promise.all([drains.finish(drain), drains.finish(drain)])).toEqual(expect.arrayContaining([true, false]));
    expect(await drains.list()).toMatchObject([{ state: 'drained', withoutRoom: 0, drainedAt: expect.any(Date) }]);
    expect(await store.want(EAST, [replicaOrder('a')], NOW)).toEqual(['SHARE_DRAINING']);
  });

  it('takes nothing for a drain that was ended, nor for one that another followed', async () => {
    for (const share of ['home', 'east']) await ready('a', share);
    const first = await drains.begin(ORDER);
    await drains.end('east');
    const take = () => store.drain({ layer: digestOf('a'), share: 'east' }, drainOrder(first));
    await expect(take()).rejects.toMatchObject({ code: 'DRAIN_ENDED' });
    await drains.begin(ORDER);
    await expect(take()).rejects.toMatchObject({ code: 'DRAIN_ENDED' });
    expect(await drains.finish(first)).toBe(false);
    expect((await store.find([digestOf('a')])).map(({ state }) => state)).toEqual(['ready', 'ready']);
  });

  it('counts what is left by what has to become of it', async () => {
    expect(await drains.left('east')).toEqual({ ready: NOTHING, last: NOTHING, ordered: NOTHING, draining: NOTHING });
    for (const [name, share] of [['a', 'home'], ['a', 'east'], ['b', 'east'], ['c', 'home'], ['d', 'home'], ['d', 'east']] as const) await ready(name, share);
    await store.want(EAST, [replicaOrder('c', { sizeBytes: 500 })], NOW);
    await store.drain({ layer: digestOf('d'), share: 'east' }, { reason: 'no demand', now: NOW, graceMs: 0 });
    expect(await drains.left('east')).toEqual({
      ready: { count: 2, sizeBytes: 2000 }, last: { count: 1, sizeBytes: 1000 }, ordered: { count: 1, sizeBytes: 500 }, draining: { count: 1, sizeBytes: 1000 },
    });
    const now = new Date();
    await store.drain({ layer: digestOf('a'), share: 'east' }, { reason: 'no demand', now, graceMs: 3_600_000 });
    expect(Math.abs((await drains.left('east')).restingUntil!.getTime() - now.getTime() - 3_600_000)).toBeLessThan(60_000);
  });
}
