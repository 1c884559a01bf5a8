import { randomUUID } from 'node:crypto';

import { beforeEach, expect, it } from 'vitest';

import type { Claimed } from '#claims';
import { type Digest, digestOf } from '#oci';

import type { Replica, ReplicaCopy } from '../replica.js';
import type { PassingOutcome, ReplicaStore } from '../replica-store.js';
import type { RoomLedger } from '../room-ledger.js';
import type { ShareDrains } from '../share-drains.js';

const NOW = new Date('2026-03-01T12:00:00.000Z');
const LEASE_MS = 60_000;
const later = (ms: number): Date => new Date(NOW.getTime() + ms);
const EAST = { name: 'east', capacityBytes: 10_000 };
const SIZE = 1000;
const LAYER = digestOf('a layer');
/** What passed longer ago than this gives way to what passes. */
const TOGETHER_MS = 1000;

/** A store with the account of room and the drains that it goes by, all empty. */
export interface PassingStores {
  readonly store: ReplicaStore;
  readonly room: RoomLedger;
  readonly drains: Pick<ShareDrains, 'begin'>;
}

/** What every store of replicas promises of those that are made of what passed through a gateway. */
export function passingConforms(make: () => PassingStores): void {
  let stores: PassingStores;
  let store: ReplicaStore;
  beforeEach(async () => {
    stores = make();
    ({ store } = stores);
    await atHome('a layer');
  });
  const atHome = (name: string): Promise<boolean> => store.recordReady({ layer: digestOf(name), share: 'home', sizeBytes: SIZE, reason: 'expanded' }, NOW);
  const order = (name = 'a layer', share = EAST): Promise<unknown> => store.want(share, [{ layer: digestOf(name), sizeBytes: SIZE, priority: 5, reason: 'demand' }], NOW);
  const take = (name = 'a layer', change: { readonly bytesMax?: number; readonly stayingBytes?: number; readonly owner?: string; readonly now?: Date } = {}): Promise<PassingOutcome> => {
    const { bytesMax = 5000, stayingBytes = bytesMax, owner = 'gateway', now = NOW } = change;
    return store.takePassing(EAST, { layer: digestOf(name), sizeBytes: SIZE, reason: 'it passed', unordered: { bytesMax, stayingBytes, togetherMs: TOGETHER_MS, graceMs: LEASE_MS } }, { owner, now, leaseMs: LEASE_MS });
  };
  const taken = async (outcome: Promise<PassingOutcome>): Promise<Claimed<ReplicaCopy>> => {
    const settled = await outcome;
    if ('refused' in settled) throw new Error(`refused: ${settled.refused}`);
    return settled.claimed;
  };
  const replica = async (name = 'a layer', share = EAST.name): Promise<Replica | undefined> => (await store.find([digestOf(name)])).find((row) => row.share === share);
  const passedAt = async (): Promise<Date | null | undefined> => (await store.heldAfter(EAST.name, undefined, 1))[0]?.passedAt;
  /** Makes a replica of what passes then. @returns what gave way. */
  const keep = async (name: string, now = NOW, limits: { readonly bytesMax?: number; readonly stayingBytes?: number } = {}): Promise<readonly Digest[]> => {
    await atHome(name);
    const outcome = await take(name, { ...limits, now });
    const { claim } = await taken(Promise.resolve(outcome));
    await store.complete(claim.id, SIZE, now);
    return outcome.gaveWay;
  };
  const claimCopy = async (owner: string, now = NOW): Promise<Claimed<ReplicaCopy> | undefined> => (await store.copies.claim({ owner, limit: 1, now, leaseMs: LEASE_MS }))[0];

  it('are begun at once where nobody ordered them, hold their room, and are ready when they are whole', async () => {
    const outcome = await take();
    expect(outcome).toMatchObject({ ordered: false, claimed: { item: { layer: LAYER, share: 'east', state: 'copying', sizeBytes: SIZE, reason: 'it passed' }, claim: { owner: 'gateway', attempt: 1 } } });
    expect(await store.usage()).toContainEqual({ share: 'east', state: 'copying', count: 1, sizeBytes: SIZE });
    const { claim } = await taken(Promise.resolve(outcome));
    expect(await store.progress(claim.id, 0, { path: '.partial/x', pieces: new Uint8Array(0) })).toBe(true);
    expect(await store.complete(claim.id, SIZE, NOW)).toBe(true);
    expect(await replica()).toMatchObject({ state: 'ready', readyAt: NOW });
    await order('ordered');
    expect(new Map((await store.heldAfter(EAST.name, undefined, 2)).map(({ layer, passedAt }) => [layer, passedAt]))).toEqual(new Map([[LAYER, NOW], [digestOf('ordered'), null]]));
  });

  it('take an order over whatever its turn and its waiting time, beyond the part for what nobody ordered, and keep what an earlier copy verified', async () => {
    await order();
    const copy = await claimCopy('worker');
    await store.progress(copy!.claim.id, 10, { path: '.partial/x', pieces: Buffer.of(1) });
    await store.copies.postpone(copy!.claim.id, { now: NOW, waitMs: 1e9, reason: 'the link is used up' });
    const outcome = await take('a layer', { bytesMax: 0 });
    expect(outcome).toMatchObject({ ordered: true, claimed: { item: { reason: 'demand', priority: 5, copiedBytes: 10 } } });
    const { item, claim } = await taken(Promise.resolve(outcome));
    expect(Buffer.from(item.checkpoint!.pieces)).toEqual(Buffer.of(1));
    expect(await store.copies.release(claim.id)).toBe(true);
    expect(await replica()).toMatchObject({ state: 'wanted', attempts: 1 });
  });

  it('are not made of what is there, is being made, drains, or has no other source', async () => {
    const copy = await (async () => ((await order()), (await claimCopy('worker'))!))();
    expect(await take()).toMatchObject({ refused: 'COPYING' });
    await store.complete(copy.claim.id, SIZE, NOW);
    expect(await take()).toMatchObject({ refused: 'THERE' });
    await store.drain({ layer: LAYER, share: 'east' }, { reason: 'no demand', now: NOW, graceMs: 0 });
    expect(await take()).toMatchObject({ refused: 'DRAINING' });
    expect(await take('unknown')).toMatchObject({ refused: 'NO_SOURCE' });
  });

  it('are not made on a share that is being drained, ordered or not', async () => {
    await order('ordered');
    await atHome('ordered');
    await stores.drains.begin({ share: 'east', reason: 'maintenance', orderedBy: 'admin' });
    expect(await Promise.all([take(), take('ordered')])).toEqual([{ refused: 'SHARE_DRAINING', gaveWay: [] }, { refused: 'SHARE_DRAINING', gaveWay: [] }]);
  });

  it('never pass the capacity together with replicas and what is reserved', async () => {
    await stores.room.reserve(EAST, { id: randomUUID(), layer: digestOf('expanding'), bytes: 9500, holdMs: LEASE_MS }, NOW);
    expect(await take()).toMatchObject({ refused: 'SHARE_FULL' });
    expect(await take('a layer', { now: later(LEASE_MS) })).toMatchObject({ ordered: false });
  });

  it('have those that passed longest ago give way, which keep their grace, and what was ordered never', async () => {
    await order('ordered');
    await atHome('ordered');
    const ordered = await taken(take('ordered'));
    await store.complete(ordered.claim.id, SIZE, NOW);
    for (const [n, name] of ['b', 'a', 'c'].entries()) expect(await keep(name, later(n), { bytesMax: 3000 })).toEqual([]);
    expect(await keep('d', later(10), { bytesMax: 3000 })).toEqual([digestOf('b')]);
    expect(await replica('b')).toMatchObject({ state: 'draining', drainingSince: later(10), reason: `gave way to ${digestOf('d')}, which passed later` });
    expect(await store.removals.claim({ owner: 'worker', limit: 1, now: later(10 + LEASE_MS - 1), leaseMs: LEASE_MS })).toEqual([]);
    expect(await store.removals.claim({ owner: 'worker', limit: 9, now: later(10 + LEASE_MS), leaseMs: LEASE_MS })).toMatchObject([{ item: { layer: digestOf('b') } }]);
    expect(await replica('ordered')).toMatchObject({ state: 'ready' });
  });

  it('give way down to what stays, where they passed longer ago than those of one image do', async () => {
    const limits = { bytesMax: 4000, stayingBytes: 2000 };
    for (const [n, name] of ['a', 'b', 'c'].entries()) expect(await keep(name, later(n), limits)).toEqual([]);
    const passedLater = later(TOGETHER_MS + 2);
    expect(await keep('d', passedLater, limits)).toEqual([digestOf('a'), digestOf('b')].toSorted());
    expect(await keep('e', passedLater, limits)).toEqual([]);
  });

  it('are not made where nothing may give way: all is being made, is the last of its layer, or is less than the layer itself', async () => {
    await atHome('b');
    await taken(take('a layer', { bytesMax: 1999 }));
    expect(await take('b', { bytesMax: 1999 })).toEqual({ refused: 'UNORDERED_FULL', gaveWay: [] });
    await keep('c', NOW, { bytesMax: 2999 });
    await store.drainUnreferenced(digestOf('c'), { reason: 'gone', now: NOW, graceMs: 0 });
    expect(await take('b', { bytesMax: 1999 })).toEqual({ refused: 'UNORDERED_FULL', gaveWay: [] });
    expect(await take('b', { bytesMax: SIZE - 1 })).toEqual({ refused: 'UNORDERED_FULL', gaveWay: [] });
  });

  it('have others give way although the share has no room before these are gone', async () => {
    await keep('b');
    await stores.room.reserve(EAST, { id: randomUUID(), layer: digestOf('expanding'), bytes: 9000, holdMs: LEASE_MS }, NOW);
    expect(await take('a layer', { bytesMax: SIZE })).toEqual({ refused: 'SHARE_FULL', gaveWay: [digestOf('b')] });
  });

  it('have one maker: of two gateways at once, and of a gateway and a copy, one is refused', async () => {
    const outcomes = await Promise.all([take('a layer', { owner: 'one' }), take('a layer', { owner: 'two' })]);
    expect(outcomes.map((outcome) => ('refused' in outcome ? outcome.refused : 'taken')).toSorted()).toEqual(['COPYING', 'taken']);
    expect(await claimCopy('worker')).toBeUndefined();
    await atHome('b');
    await order('b');
    const [passing, copy] = await Promise.all([take('b'), claimCopy('worker')]);
    expect('refused' in passing).toBe(copy !== undefined);
  });

  it('are ordered once an order for them comes', async () => {
    const { claim } = await taken(take());
    await store.complete(claim.id, SIZE, NOW);
    expect([await order(), await passedAt(), (await replica())?.reason]).toEqual([['kept'], null, 'demand']);
  });

  it('that drain are ordered by the order that recalls them', async () => {
    const { claim } = await taken(take());
    await store.complete(claim.id, SIZE, NOW);
    await store.drain({ layer: LAYER, share: EAST.name }, { reason: 'NOT_WANTED', now: NOW, graceMs: 0 });
    expect([await order(), await passedAt()]).toEqual([['recalled'], null]);
  });

  it('that drain are ready again, as the last that passed, when their layer passes once more', async () => {
    const recalled = (share = EAST.name): Promise<boolean> => store.recallPassed({ layer: LAYER, share }, later(50));
    expect(await recalled()).toBe(false);
    await keep('a layer');
    expect(await recalled()).toBe(false);
    await store.drain({ layer: LAYER, share: EAST.name }, { reason: 'gave way', now: NOW, graceMs: 0 });
    expect([await recalled(), await recalled()]).toEqual([true, false]);
    expect([(await replica())?.state, await passedAt()]).toEqual(['ready', later(50)]);
    await store.drain({ layer: LAYER, share: EAST.name }, { reason: 'gave way', now: NOW, graceMs: 0 });
    const [removal] = await store.removals.claim({ owner: 'worker', limit: 1, now: later(60), leaseMs: LEASE_MS });
    await store.beginRemoval(removal!.claim.id);
    expect(await recalled()).toBe(false);
  });

  it('are not ready again on a share that is being drained, nor where they were ordered', async () => {
    for (const name of ['passed', 'ordered']) await keep(name);
    await order('ordered');
    for (const name of ['passed', 'ordered']) await store.drain({ layer: digestOf(name), share: EAST.name }, { reason: 'drain', now: NOW, graceMs: 0 });
    expect(await store.recallPassed({ layer: digestOf('ordered'), share: EAST.name }, NOW)).toBe(false);
    await stores.drains.begin({ share: 'east', reason: 'maintenance', orderedBy: 'admin' });
    expect(await store.recallPassed({ layer: digestOf('passed'), share: EAST.name }, NOW)).toBe(false);
  });

  it('do not hold up copies of the layer to other shares', async () => {
    await order('a layer', { ...EAST, name: 'asia' });
    await taken(take());
    expect(await claimCopy('worker')).toMatchObject({ item: { share: 'asia' } });
  });

  it('are copied once their maker is gone, and hold up others like any copy then', async () => {
    await taken(take());
    await order('a layer', { ...EAST, name: 'asia' });
    expect(await claimCopy('worker', later(LEASE_MS))).toMatchObject({ item: { share: 'asia' } });
    expect(await claimCopy('worker', later(LEASE_MS))).toMatchObject({ item: { share: 'east' }, claim: { attempt: 2 } });
    await order('a layer', { ...EAST, name: 'north' });
    expect(await claimCopy('another', later(LEASE_MS))).toBeUndefined();
  });

  it('that nobody ordered are taken over by a gateway, and can be given up by it still', async () => {
    await taken(take());
    expect(await take('a layer', { now: later(LEASE_MS) })).toMatchObject({ ordered: false, claimed: { claim: { attempt: 2 } } });
  });

  it('are given up by their holder alone: what was written goes, and is not recalled', async () => {
    const { claim } = await taken(take());
    expect(await store.abandon(claim.id, 'the bytes were wrong', NOW)).toBe(true);
    expect(await replica()).toMatchObject({ state: 'draining', reason: 'the bytes were wrong', drainingSince: NOW });
    expect(await store.abandon(claim.id, 'again', NOW)).toBe(false);
    expect(await store.complete(claim.id, SIZE, NOW)).toBe(false);
    expect(await store.want(EAST, [{ layer: LAYER, sizeBytes: SIZE, priority: 1, reason: 'demand' }], NOW)).toEqual(['DRAINING']);
    const [removal] = await store.removals.claim({ owner: 'worker', limit: 1, now: NOW, leaseMs: LEASE_MS });
    expect(await store.gone(removal!.claim.id)).toBe(true);
    expect(await replica()).toBeUndefined();
  });
}
