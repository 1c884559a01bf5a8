import { randomUUID } from 'node:crypto';

import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';

import { type Claimed, WriteFence } from '#claims';
import { claimSourceConforms, workListConforms } from '#claims/testing';
import { type Digest, digestOf } from '#oci';

import type { ReplicaOrder } from '../admit-orders.js';
import type { Replica, ReplicaCopy } from '../replica.js';
import { nextReplicaState, REPLICA_EVENTS, REPLICA_STATES, type ReplicaEvent, type ReplicaState } from '../replica-state.js';
import type { DrainOrder, ReplicaStore } from '../replica-store.js';

const NOW = new Date('2026-03-01T12:00:00.000Z');
const LEASE_MS = 60_000;
const GRACE_MS = 600_000;
const later = (ms: number): Date => new Date(NOW.getTime() + ms);
const HOME = 'home';
const EAST = { name: 'east', capacityBytes: 10_000 };
/** Of files, once they are copied. */
const SIZE = 1024;
const layer = digestOf('a layer');
const drainOrder = (now = NOW): DrainOrder => ({ reason: 'no demand', now, graceMs: GRACE_MS });

/** An order for the layer named `name`. */
export function replicaOrder(name: string, change: Partial<ReplicaOrder> = {}): ReplicaOrder {
  return { layer: digestOf(name), sizeBytes: 1000, priority: 1, reason: 'demand', ...change };
}

/** What every store of replicas promises. `make` gives an empty one. */
export function replicaStoreConforms(make: () => ReplicaStore): void {
  let store: ReplicaStore;
  beforeEach(() => {
    store = make();
  });
  const atHome = (of: Digest, share = HOME): Promise<boolean> => store.recordReady({ layer: of, share, sizeBytes: 1000, reason: 'expanded' }, NOW);
  const stateAt = async (share: string, of = layer): Promise<ReplicaState> => (await store.find([of])).find((row) => row.share === share)?.state ?? 'gone';
  const claimCopy = async (now = NOW): Promise<Claimed<ReplicaCopy> | undefined> => (await store.copies.claim({ owner: 'worker', limit: 1, now, leaseMs: LEASE_MS }))[0];
  const claimRemoval = async (now = later(GRACE_MS)): Promise<Claimed<Replica> | undefined> =>
    (await store.removals.claim({ owner: 'worker', limit: 1, now, leaseMs: LEASE_MS }))[0];

  /** Brings the replica of `layer` on EAST into a state. @returns the claim that holds it, or one that never was. */
  async function bring(state: ReplicaState): Promise<string> {
    await atHome(layer);
    if (state === 'wanted' || state === 'copying') await store.want(EAST, [{ ...replicaOrder(''), layer }], NOW);
    if (state === 'copying') return (await claimCopy())!.claim.id;
    if (state === 'ready' || state === 'draining') await atHome(layer, EAST.name);
    if (state !== 'draining') return randomUUID();
    await store.drain({ layer, share: EAST.name }, drainOrder());
    return (await claimRemoval())!.claim.id;
  }

  async function apply(event: ReplicaEvent, claimId: string): Promise<void> {
    const key = { layer, share: EAST.name };
    const acts: Record<ReplicaEvent, () => Promise<unknown>> = {
      want: () => store.want(EAST, [{ ...replicaOrder(''), layer }], NOW),
      begin: () => claimCopy(later(LEASE_MS)),
      giveBack: async () => (await store.copies.postpone(claimId, { now: NOW, waitMs: 0, reason: 'failed' })) || store.removals.postpone(claimId, { now: NOW, waitMs: 0, reason: 'failed' }),
      complete: () => store.complete(claimId, SIZE, NOW),
      record: () => atHome(layer, EAST.name),
      drain: () => store.drain(key, drainOrder()),
      recall: async () => ((await stateAt(EAST.name)) === 'draining' ? store.want(EAST, [{ ...replicaOrder(''), layer }], NOW) : store.recall(layer, 'again')),
      lose: () => store.lose(key, 'its file was missing', NOW),
      cancel: () => store.cancel(key, drainOrder()),
      abandon: async () => {
        if ((await stateAt(EAST.name)) === 'wanted') {
          const copy = await claimCopy();
          await store.progress(copy!.claim.id, 10, { path: '.partial/x', pieces: Buffer.of(1) });
          await store.copies.postpone(copy!.claim.id, { now: NOW, waitMs: 0, reason: 'failed' });
        }
        await store.cancel(key, drainOrder());
      },
      removed: () => store.gone(claimId),
    };
    await acts[event]();
  }

  describe('the table of transitions', () => {
    for (const state of REPLICA_STATES) {
      for (const event of REPLICA_EVENTS) {
        // A copying replica is never merely cancelled: the store abandons it.
        if ((state === 'copying' && event === 'cancel') || (state === 'draining' && event === 'giveBack')) continue;
        const next = nextReplicaState(state, event);
        it(`${state} ${next === null ? `refuses ${event}` : `becomes ${next} by ${event}`}`, async () => {
          const claimId = await bring(state);
          // An order of what drains is a recall as long as it can be.
          if (state === 'draining' && event === 'want') await store.beginRemoval(claimId);
          await apply(event, claimId);
          expect(await stateAt(EAST.name)).toBe(next ?? state);
        });
      }
    }
  });

  describe('copies', () => {
    const underTest = () => ({
      source: store.copies,
      add: async (count: number) => {
        const orders = Array.from({ length: count }, (_, n) => replicaOrder(`layer ${n}`, { priority: count - n, sizeBytes: 1 }));
        for (const order of orders) await atHome(order.layer);
        await store.want(EAST, orders, NOW);
        return orders.map((order) => order.layer);
      },
      nameOf: (replica: ReplicaCopy) => replica.layer,
      work: store.copyWork,
      subject: { share: EAST.name },
    });
    claimSourceConforms(underTest);
    workListConforms(underTest);

    it('are given only for layers that another share has ready', async () => {
      await store.want(EAST, [replicaOrder('a')], NOW);
      await store.want({ name: 'asia', capacityBytes: 10_000 }, [replicaOrder('a')], NOW);
      expect(await claimCopy()).toBeUndefined();
      await atHome(digestOf('a'));
      expect(await claimCopy()).toMatchObject({ item: { layer: digestOf('a'), state: 'copying' } });
      expect(await claimCopy()).toMatchObject({ item: { layer: digestOf('a') } });
    });

    it('are listed with what keeps them from workers', async () => {
      const blocks = async (now = NOW): Promise<unknown> => (await store.copyWork.list({ limit: 9 }, now)).entries.map(({ key, standing, blockedBy }) => [key[1], standing, blockedBy]);
      for (const share of ['east', 'north']) await store.want({ ...EAST, name: share }, [{ ...replicaOrder(''), layer }], NOW);
      expect(await blocks()).toEqual([['east', 'blocked', 'SOURCE_MISSING'], ['north', 'blocked', 'SOURCE_MISSING']]);
      await atHome(layer);
      expect(await blocks()).toEqual([['east', 'due', undefined], ['north', 'due', undefined]]);
      await claimCopy();
      expect(await blocks()).toEqual([['east', 'claimed', undefined], ['north', 'blocked', 'COPIED_ELSEWHERE']]);
      expect(await blocks(later(LEASE_MS))).toEqual([['east', 'due', undefined], ['north', 'due', undefined]]);
    });

    it('of one layer are left to the worker that has begun one of them, until that one ends or its claim does', async () => {
      await atHome(layer);
      const claimedBy = (owner: string, now = NOW): Promise<Claimed<ReplicaCopy>[]> => store.copies.claim({ owner, limit: 1, now, leaseMs: LEASE_MS });
      for (const share of ['east', 'north', 'south']) await store.want({ ...EAST, name: share }, [{ ...replicaOrder(''), layer }], NOW);
      const [first] = await claimedBy('one');
      expect(await claimedBy('other')).toEqual([]);
      expect(await claimedBy('one')).toHaveLength(1);
      expect(await claimedBy('other', later(LEASE_MS))).toHaveLength(1);
      expect(await claimedBy('one', later(LEASE_MS))).toEqual([]);
      expect(await store.complete(first!.claim.id, SIZE, later(LEASE_MS))).toBe(false);
    });

    it('of a layer go to anybody again when the one that was begun is done', async () => {
      await atHome(layer);
      for (const share of ['east', 'north']) await store.want({ ...EAST, name: share }, [{ ...replicaOrder(''), layer }], NOW);
      const [first] = await store.copies.claim({ owner: 'one', limit: 1, now: NOW, leaseMs: LEASE_MS });
      expect(await store.complete(first!.claim.id, SIZE, NOW)).toBe(true);
      expect(await store.copies.claim({ owner: 'other', limit: 9, now: NOW, leaseMs: LEASE_MS })).toHaveLength(1);
    });

    it('give what an earlier try noted to the next one', async () => {
      const first = await bring('copying');
      expect(await store.progress(first, 512, { path: '.partial/a.vhd', pieces: Buffer.of(5, 1) })).toBe(true);
      const second = await claimCopy(later(LEASE_MS));
      expect(second).toMatchObject({ claim: { attempt: 2 }, item: { copiedBytes: 512, checkpoint: { path: '.partial/a.vhd' } } });
      expect(Buffer.from(second!.item.checkpoint!.pieces)).toEqual(Buffer.of(5, 1));
    });

    it('are not settled, noted or held by a claim that was lost', async () => {
      const lost = await bring('copying');
      const held = await claimCopy(later(LEASE_MS));
      expect(await store.progress(lost, 1, { path: 'x', pieces: Buffer.of(0) })).toBe(false);
      expect(await store.complete(lost, SIZE, NOW)).toBe(false);
      expect(await store.copies.renew([lost, held!.claim.id], NOW, 9 * LEASE_MS)).toEqual(new Set([held!.claim.id]));
      expect(await stateAt(EAST.name)).toBe('copying');
      expect(await store.complete(held!.claim.id, SIZE, later(5))).toBe(true);
      expect((await store.find([layer])).find((row) => row.share === EAST.name)).toMatchObject({ state: 'ready', readyAt: later(5), attempts: 0 });
    });

    it('lose their claim when the layer is expanded onto the share meanwhile', async () => {
      const claimId = await bring('copying');
      expect(await atHome(layer, EAST.name)).toBe(true);
      expect(await store.complete(claimId, SIZE, NOW)).toBe(false);
      expect(await stateAt(EAST.name)).toBe('ready');
    });

    it('show why their last try failed', async () => {
      const claimId = await bring('copying');
      await store.copies.postpone(claimId, { now: NOW, waitMs: 10, reason: 'PIECE_MISMATCH: piece 3 is not what the record says' });
      expect(await store.page(undefined, 10, { share: EAST.name })).toMatchObject([{ state: 'wanted', attempts: 1, lastError: 'PIECE_MISMATCH: piece 3 is not what the record says' }]);
    });
  });

  describe('removals', () => {
    it('are listed while they wait out their grace, which nobody shortens', async () => {
      await bring('ready');
      await store.drain({ layer, share: EAST.name }, drainOrder());
      const listed = { key: [layer, EAST.name], standing: 'waiting', wantedAt: NOW, nextTryAt: later(GRACE_MS) };
      expect((await store.removalWork.list({ limit: 9 }, NOW)).entries).toMatchObject([listed]);
      expect(await store.removalWork.retry(listed.key, NOW)).toBe('NOT_FAILED');
      expect(await claimRemoval(later(GRACE_MS - 1))).toBeUndefined();
      expect((await store.removalWork.list({ limit: 9 }, later(GRACE_MS))).entries).toMatchObject([{ standing: 'due' }]);
    });

    const underTest = () => ({
      source: store.removals,
      add: async (count: number) => {
        const layers = Array.from({ length: count }, (_, n) => digestOf(`layer ${n}`));
        for (const [n, each] of layers.entries()) {
          for (const share of [HOME, EAST.name]) await atHome(each, share);
          await store.drain({ layer: each, share: EAST.name }, drainOrder(later(n - GRACE_MS - 1000)));
        }
        return layers;
      },
      nameOf: (replica: Replica) => replica.layer,
      work: store.removalWork,
      subject: { share: EAST.name },
    });
    claimSourceConforms(underTest);
    workListConforms(underTest);

    it('are due a grace time after the replica left the answers', async () => {
      await bring('ready');
      await store.drain({ layer, share: EAST.name }, drainOrder());
      expect(await claimRemoval(later(GRACE_MS - 1))).toBeUndefined();
      const due = await claimRemoval(later(GRACE_MS));
      expect(due).toMatchObject({ item: { layer, share: EAST.name, state: 'draining', drainingSince: NOW, reason: 'no demand' } });
    });

    it('keep the row when their claim was lost', async () => {
      const lost = await bring('draining');
      const held = await claimRemoval(later(GRACE_MS + LEASE_MS));
      expect(await store.beginRemoval(lost)).toBe(false);
      expect(await store.gone(lost)).toBe(false);
      expect(await stateAt(EAST.name)).toBe('draining');
      expect(await store.gone(held!.claim.id)).toBe(true);
      expect(await stateAt(EAST.name)).toBe('gone');
    });
  });

  describe('draining', () => {
    it('keeps the last ready replica of a layer', async () => {
      await atHome(layer);
      expect(await store.drain({ layer, share: HOME }, drainOrder())).toBe('LAST_REPLICA');
      await store.want(EAST, [{ ...replicaOrder(''), layer }], NOW);
      expect(await store.drain({ layer, share: HOME }, drainOrder())).toBe('LAST_REPLICA');
      expect(await stateAt(HOME)).toBe('ready');
    });

    it('leaves one of two replicas that are drained at the same time', async () => {
      for (let round = 0; round < 10; round += 1) {
        const each = digestOf(`round ${round}`);
        for (const share of [HOME, EAST.name]) await atHome(each, share);
        const outcomes = await Promise.all([HOME, EAST.name].map((share) => store.drain({ layer: each, share }, drainOrder())));
        expect(outcomes.toSorted()).toEqual(['LAST_REPLICA', 'draining']);
        expect((await store.find([each])).filter((row) => row.state === 'ready')).toHaveLength(1);
      }
    });

    it('says draining again, and keeps its first time', async () => {
      await bring('ready');
      await store.drain({ layer, share: EAST.name }, drainOrder());
      expect(await store.drain({ layer, share: EAST.name }, drainOrder(later(1000)))).toBe('draining');
      expect((await store.find([layer])).find((row) => row.share === EAST.name)?.drainingSince).toEqual(NOW);
    });

    it('takes everything of a layer that nothing references, the last replica and unfinished copies too', async () => {
      await bring('copying');
      await store.want({ name: 'asia', capacityBytes: 10_000 }, [{ ...replicaOrder(''), layer }], NOW);
      expect(await store.drainUnreferenced(layer, drainOrder())).toBe(2);
      expect([await stateAt(HOME), await stateAt(EAST.name), await stateAt('asia')]).toEqual(['draining', 'draining', 'gone']);
      expect(await store.drainUnreferenced(layer, drainOrder(later(1)))).toBe(2);
      expect(await store.drainUnreferenced(digestOf('unknown'), drainOrder())).toBe(0);
    });
  });

  describe('a recall', () => {
    const again = { ...replicaOrder(''), layer, priority: 7, reason: 'pinned' };
    const east = async (): Promise<Replica | undefined> => (await store.find([layer])).find((row) => row.share === EAST.name);

    it('makes a draining replica that is ordered again ready at once, and takes the removal from who claimed it', async () => {
      const claimId = await bring('draining');
      expect(await store.want({ ...EAST, capacityBytes: 0 }, [again, again], later(5))).toEqual(['recalled', 'kept']);
      expect(await east()).toMatchObject({ state: 'ready', readyAt: NOW, priority: 7, reason: 'pinned', attempts: 0 });
      expect(await east()).not.toHaveProperty('drainingSince');
      expect(await store.removals.renew([claimId], NOW, 9 * LEASE_MS)).toEqual(new Set());
      expect(await store.beginRemoval(claimId)).toBe(false);
      expect(await store.gone(claimId)).toBe(false);
      expect(await store.want(EAST, [again], later(6))).toEqual(['kept']);
      expect(await claimRemoval(later(99 * GRACE_MS))).toBeUndefined();
    });

    it('comes too late once the removal has begun, whatever became of its claim', async () => {
      const ends: readonly ((claimId: string) => Promise<unknown>)[] = [
        () => Promise.resolve(),
        (claimId) => store.removals.release(claimId),
        (claimId) => store.removals.postpone(claimId, { now: NOW, waitMs: 2 * GRACE_MS, reason: 'in use' }),
        () => claimRemoval(later(2 * GRACE_MS)),
      ];
      for (const end of ends) {
        store = make();
        const each = digestOf(`${ends.indexOf(end)}`);
        for (const share of [HOME, EAST.name]) await atHome(each, share);
        await store.drain({ layer: each, share: EAST.name }, drainOrder());
        const claimId = (await claimRemoval())!.claim.id;
        expect(await store.beginRemoval(claimId)).toBe(true);
        expect(await store.beginRemoval(claimId)).toBe(true);
        await end(claimId);
        expect(await store.want(EAST, [{ ...again, layer: each }], NOW)).toEqual(['DRAINING']);
        expect(await atHome(each, EAST.name)).toBe(false);
        await store.drainUnreferenced(each, drainOrder());
        expect(await store.recall(each, 'again')).toBe(1);
        expect([await stateAt(HOME, each), await stateAt(EAST.name, each)]).toEqual(['ready', 'draining']);
        const last = await claimRemoval(later(9 * GRACE_MS));
        expect(await store.gone(last!.claim.id)).toBe(true);
      }
    });

    it('is of no use for what never was ready, until that is expanded there', async () => {
      const copy = await bring('copying');
      await store.progress(copy, 1, { path: '.partial/x', pieces: Buffer.of(1) });
      await store.cancel({ layer, share: EAST.name }, drainOrder());
      expect(await store.want(EAST, [again], NOW)).toEqual(['DRAINING']);
      expect(await store.recall(layer, 'again')).toBe(0);
      expect(await atHome(layer, EAST.name)).toBe(true);
      expect(await east()).toMatchObject({ state: 'ready' });
      expect(await claimRemoval(later(9 * GRACE_MS))).toBeUndefined();
    });

    it('of a layer takes all that can be recalled, and nothing while one is ready', async () => {
      await bring('copying');
      for (const share of ['asia', 'west']) await atHome(layer, share);
      expect(await store.recall(layer, 'again')).toBe(0);
      await store.drainUnreferenced(layer, drainOrder());
      expect(await store.recall(layer, 'again')).toBe(3);
      expect((await store.find([layer])).map((row) => `${row.share} ${row.state}`)).toEqual(['asia ready', 'east draining', 'home ready', 'west ready']);
      expect((await store.find([layer])).filter((row) => row.reason === 'again')).toHaveLength(3);
      expect(await store.recall(layer, 'again')).toBe(0);
    });

    it('wins or loses whole against the begin of the removal, and against its claim', async () => {
      for (let round = 0; round < 20; round += 1) {
        const each = digestOf(`round ${round}`);
        for (const share of [HOME, EAST.name]) await atHome(each, share);
        await store.drain({ layer: each, share: EAST.name }, drainOrder());
        const early = round % 2 === 0 ? await claimRemoval() : undefined;
        const begin = async (): Promise<boolean> => {
          const claimId = (early ?? (await claimRemoval()))?.claim.id;
          return claimId !== undefined && (await store.beginRemoval(claimId));
        };
        const want = (): Promise<string[]> => store.want(EAST, [{ ...again, layer: each }], NOW);
        const [begun, ...wanted] = await Promise.all([begin(), want(), want()]);
        expect(wanted.flat().toSorted()).toEqual(begun ? ['DRAINING', 'DRAINING'] : ['kept', 'recalled']);
        expect(await stateAt(EAST.name, each)).toBe(begun ? 'draining' : 'ready');
        if (begun) for (const { claim } of await store.removals.claim({ owner: 'x', limit: 9, now: later(9 * GRACE_MS), leaseMs: 1 })) await store.gone(claim.id);
        await store.drainUnreferenced(each, drainOrder(later(99 * GRACE_MS)));
      }
    });

    it('and a second one at the same time change the replica once', async () => {
      await bring('draining');
      await store.drainUnreferenced(layer, drainOrder());
      expect((await Promise.all([1, 2, 3].map(() => store.recall(layer, 'again')))).toSorted((a, b) => a - b)).toEqual([0, 0, 2]);
    });
  });

  describe('a loss', () => {
    it('orders a ready replica anew, as if it never was there', async () => {
      await bring('ready');
      expect(await store.lose({ layer, share: EAST.name }, 'its file was missing', later(5))).toBe('wanted');
      const row = (await store.find([layer])).find((replica) => replica.share === EAST.name);
      expect(row).toMatchObject({ state: 'wanted', reason: 'its file was missing', wantedAt: later(5), copiedBytes: 0 });
      expect(row).not.toHaveProperty('readyAt');
      expect(await store.lose({ layer, share: EAST.name }, 'x', NOW)).toBe('NOT_READY');
      expect(await claimCopy(later(5))).toMatchObject({ item: { share: EAST.name } });
    });

    it('keeps the last ready replica of a layer, also of two losses at the same time', async () => {
      await bring('ready');
      const outcomes = await Promise.all([HOME, EAST.name].map((share) => store.lose({ layer, share }, 'x', NOW)));
      expect(outcomes.toSorted()).toEqual(['LAST_REPLICA', 'wanted']);
    });

    it('has what may still stand there removed when its order is taken back, and is not recalled then', async () => {
      await bring('ready');
      await store.lose({ layer, share: EAST.name }, 'x', NOW);
      expect(await store.cancel({ layer, share: EAST.name }, drainOrder())).toBe('draining');
      expect(await store.want(EAST, [{ ...replicaOrder(''), layer }], NOW)).toEqual(['DRAINING']);
    });
  });

  describe('taking an order back', () => {
    it('ends a wanted replica at once', async () => {
      await bring('wanted');
      expect(await store.cancel({ layer, share: EAST.name }, drainOrder())).toBe('gone');
      expect(await store.cancel({ layer, share: EAST.name }, drainOrder())).toBe('NOT_OPEN');
    });

    it('has what a running copy wrote removed, not before its claim would have ended', async () => {
      const claimId = await bring('copying');
      expect(await store.cancel({ layer, share: EAST.name }, drainOrder())).toBe('draining');
      expect(await store.complete(claimId, SIZE, NOW)).toBe(false);
      expect(await store.copies.renew([claimId], NOW, LEASE_MS)).toEqual(new Set());
      expect(await claimRemoval(later(LEASE_MS - 1))).toBeUndefined();
      expect(await claimRemoval(later(LEASE_MS))).toMatchObject({ item: { share: EAST.name } });
    });
  });

  describe('orders', () => {
    it('are taken as long as the share holds them, counting everything that is not gone', async () => {
      const share = { name: 'east', capacityBytes: 3000 };
      await bring('draining');
      const outcomes = await store.want(share, [replicaOrder('b'), replicaOrder('c', { sizeBytes: 1001 }), replicaOrder('d'), replicaOrder('e', { sizeBytes: 1 })], NOW);
      expect(outcomes).toEqual(['taken', 'SHARE_FULL', 'taken', 'SHARE_FULL']);
      expect(await store.want(share, [replicaOrder('d')], NOW)).toEqual(['kept']);
      expect(await store.want(share, [{ ...replicaOrder(''), layer }], NOW)).toEqual(['recalled']);
    });

    it('never pass the capacity together, whoever gives them at the same time', async () => {
      const share = { name: 'east', capacityBytes: 10_000 };
      const callers = Array.from({ length: 8 }, (_, caller) => Array.from({ length: 5 }, (_unused, n) => replicaOrder(`layer ${caller} ${n}`)));
      const records = ['x', 'y'].map((name) => atHome(digestOf(name), 'east'));
      const outcomes = (await Promise.all([...callers.map((orders) => store.want(share, orders, NOW)), ...records])).flat();
      const taken = outcomes.filter((outcome) => outcome === 'taken').length;
      const used = (await store.usage()).reduce((sum, usage) => sum + usage.sizeBytes, 0);
      expect(used).toBe((taken + 2) * 1000);
      // What is expanded onto a share is recorded even beyond its capacity; orders never are taken beyond it.
      expect(taken).toBeLessThanOrEqual(10);
      expect(taken).toBeGreaterThanOrEqual(8);
    });

    it('raise the priority of what is wanted already, and never lower it', async () => {
      for (const order of [replicaOrder('a'), replicaOrder('b', { priority: 5 })]) await atHome(order.layer);
      await store.want(EAST, [replicaOrder('a'), replicaOrder('b', { priority: 5 })], NOW);
      expect(await store.want(EAST, [replicaOrder('a', { priority: 9, reason: 'pinned' }), replicaOrder('b', { priority: 2 })], later(1))).toEqual(['kept', 'kept']);
      expect(await claimCopy()).toMatchObject({ item: { layer: digestOf('a'), priority: 9, reason: 'pinned', wantedAt: NOW } });
      expect(await claimCopy()).toMatchObject({ item: { layer: digestOf('b'), priority: 5 } });
    });

    it('change nothing under a fence that does not hold', async () => {
      const fence = new (class extends WriteFence {
        hold(): Promise<void> {
          return Promise.reject(new Error('taken over'));
        }
      })();
      for (const name of ['a', 'b']) await atHome(digestOf(name));
      await atHome(digestOf('a'), EAST.name);
      await store.want(EAST, [replicaOrder('b')], NOW);
      await expect(store.want(EAST, [replicaOrder('c')], NOW, fence)).rejects.toThrow('taken over');
      await expect(store.drain({ layer: digestOf('a'), share: EAST.name }, { ...drainOrder(), fence })).rejects.toThrow('taken over');
      await expect(store.cancel({ layer: digestOf('b'), share: EAST.name }, { ...drainOrder(), fence })).rejects.toThrow('taken over');
      expect(await Promise.all(['a', 'b', 'c'].map((name) => stateAt(EAST.name, digestOf(name))))).toEqual(['ready', 'wanted', 'gone']);
    });

    it('are taken once when one list names a layer twice', async () => {
      expect(await store.want(EAST, [replicaOrder('a'), replicaOrder('a', { priority: 7 })], NOW)).toEqual(['taken', 'kept']);
      expect(await store.find([digestOf('a')])).toMatchObject([{ priority: 7 }]);
      expect(await store.want(EAST, [], NOW)).toEqual([]);
    });
  });

  describe('reading', () => {
    it('pages through all rows by layer and share, and through those that match', async () => {
      const names = ['a', 'b', 'c'];
      for (const name of names) await atHome(digestOf(name));
      await store.want(EAST, names.map((name) => replicaOrder(name)), NOW);
      const seen: string[] = [];
      for (let page = await store.page(undefined, 4); page.length > 0; page = await store.page(page.at(-1), 4)) seen.push(...page.map((row) => `${row.layer} ${row.share}`));
      expect(seen).toEqual(names.flatMap((name) => [`${digestOf(name)} east`, `${digestOf(name)} home`]).toSorted());
      expect(await store.page(undefined, 10, { share: 'east', state: 'wanted' })).toHaveLength(3);
      expect(await store.page(undefined, 10, { layer: digestOf('a') })).toHaveLength(2);
      expect(await store.page(undefined, 10, { share: 'home', state: 'wanted' })).toEqual([]);
    });

    it('pages through the states of all replicas by layer', async () => {
      const names = ['a', 'b', 'c'];
      for (const name of names) await atHome(digestOf(name));
      await store.want(EAST, [replicaOrder('a')], NOW);
      const [first, ...others] = names.map((name) => digestOf(name)).toSorted();
      const pages = [...(await store.statesAfter(undefined, 1)), ...(await store.statesAfter(first, 5))];
      expect(pages.map(({ layer }) => layer)).toEqual([first, ...others]);
      const byShare = pages.find(({ layer }) => layer === digestOf('a'))?.replicas.toSorted((a, b) => (a.share < b.share ? -1 : 1));
      expect(byShare).toEqual([{ share: 'east', state: 'wanted' }, { share: 'home', state: 'ready' }]);
      expect(await store.statesAfter(others.at(-1), 5)).toEqual([]);
      const held = [...(await store.heldAfter(HOME, undefined, 1)), ...(await store.heldAfter(HOME, first, 5))];
      expect(held).toEqual((await store.page(undefined, 10, { share: HOME })).map(({ layer: of, sizeBytes, state, priority }) => ({ layer: of, sizeBytes, state, priority, passedAt: null })));
      expect((await store.heldAfter('east', undefined, 5)).map(({ layer: of, state }) => [of, state])).toEqual([[digestOf('a'), 'wanted']]);
    });

    it('tells what tries left of copies that are still to be made, and of no others', async () => {
      const copying = await bring('copying');
      await store.progress(copying, 10, { path: '.partial/x', pieces: Buffer.of(1) });
      expect(await store.checkpointPaths(EAST.name, [layer, digestOf('other')])).toEqual(new Set(['.partial/x']));
      expect(await store.checkpointPaths(HOME, [layer])).toEqual(new Set());
      expect(await store.checkpointPaths(EAST.name, [digestOf('other')])).toEqual(new Set());
      await store.copies.postpone(copying, { now: NOW, waitMs: 0, reason: 'failed' });
      expect(await store.checkpointPaths(EAST.name, [layer])).toEqual(new Set(['.partial/x']));
      await store.cancel({ layer, share: EAST.name }, drainOrder());
      expect(await store.checkpointPaths(EAST.name, [layer])).toEqual(new Set());
    });

    it('sums up what each share holds by state', async () => {
      await bring('draining');
      await store.want(EAST, [replicaOrder('b', { sizeBytes: 7 }), replicaOrder('c', { sizeBytes: 8 })], NOW);
      expect(await store.usage()).toEqual([
        { share: 'east', state: 'draining', count: 1, sizeBytes: 1000 },
        { share: 'east', state: 'wanted', count: 2, sizeBytes: 15 },
        { share: 'home', state: 'ready', count: 1, sizeBytes: 1000 },
      ]);
    });
  });

  it('keeps a ready replica and every capacity through any order of orders, drains and work', async () => {
    const names = ['p', 'q'].map((name) => digestOf(name));
    const shares = [HOME, 'east', 'asia'];
    const step = fc.record({ act: fc.constantFrom('want', 'drain', 'cancel', 'copy', 'fail', 'remove', 'begin'), of: fc.constantFrom(...names), share: fc.constantFrom(...shares) });
    let seed = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        // One store serves all runs: each has layers and shares of its own.
        seed += 1;
        const own = (text: string): string => `${text}-${seed}`;
        const layerOf = (digest: Digest): Digest => digestOf(own(digest));
        for (const digest of names) await atHome(layerOf(digest), own(HOME));
        let now = NOW;
        for (const { act, of, share } of steps) {
          now = new Date(now.getTime() + GRACE_MS + LEASE_MS);
          const key = { layer: layerOf(of), share: own(share) };
          if (act === 'want') await store.want({ name: key.share, capacityBytes: share === HOME ? 2000 : 1500 }, [{ ...replicaOrder(''), layer: key.layer }], now);
          if (act === 'drain') await store.drain(key, drainOrder(now));
          if (act === 'cancel') await store.cancel(key, drainOrder(now));
          const copy = act === 'copy' || act === 'fail' ? await claimCopy(now) : undefined;
          if (copy !== undefined) await (act === 'copy' ? store.complete(copy.claim.id, copy.item.sizeBytes, now) : store.copies.postpone(copy.claim.id, { now, waitMs: 0, reason: 'failed' }));
          const removal = act === 'remove' || act === 'begin' ? await claimRemoval(now) : undefined;
          if (removal !== undefined) expect(await store.beginRemoval(removal.claim.id)).toBe(true);
          if (removal !== undefined) await (act === 'remove' ? store.gone(removal.claim.id) : store.removals.postpone(removal.claim.id, { now, waitMs: 0, reason: 'in use' }));
          const rows = await store.find(names.map(layerOf));
          for (const digest of names) expect(rows.some((row) => row.layer === layerOf(digest) && row.state === 'ready')).toBe(true);
          for (const name of ['east', 'asia']) expect(rows.filter((row) => row.share === own(name)).length).toBeLessThanOrEqual(1);
        }
      }),
      { numRuns: 20 },
    );
  });
}
