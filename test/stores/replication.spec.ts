import { describe, expect, it } from 'vitest';

import { describeOnEveryDatabase } from '#database/testing';
import { MIGRATIONS } from '#migrations';
import { digestOf } from '#oci';
import { linkLedgerConforms, replicaOrder, replicaStoreConforms, roomLedgerConforms } from '#replication/testing';
import { PostgresLinkLedger, PostgresReplicaStore, PostgresRoomLedger } from '#replication/typeorm';

import { readToldChanges } from './told-changes.js';

describeOnEveryDatabase('replicas', MIGRATIONS, (dataSource, database) => {
  replicaStoreConforms(() => new PostgresReplicaStore(dataSource()));

  describe('the account of links', () => {
    linkLedgerConforms(() => new PostgresLinkLedger(dataSource()));
  });

  describe('the account of room', () => {
    roomLedgerConforms(() => ({ store: new PostgresReplicaStore(dataSource()), ledger: new PostgresRoomLedger(dataSource()) }));
  });

  if (database.severalSessions) {
    it('lets orders, drains, claims and renewals of the same rows pass each other without a deadlock', async () => {
      const store = new PostgresReplicaStore(dataSource());
      const now = new Date();
      const names = Array.from({ length: 40 }, (_, n) => `layer ${n}`);
      const shares = ['a', 'b', 'c', 'd'].map((name) => ({ name, capacityBytes: 1e9 }));
      for (const name of names) await store.recordReady({ layer: digestOf(name), share: 'a', sizeBytes: 1000, reason: 'expanded' }, now);
      await Promise.all(shares.map((share) => store.want(share, names.map((name) => replicaOrder(name)), now)));
      const rounds = Array.from({ length: 30 }, async (_, round) => {
        const held = await store.copies.claim({ owner: `${round}`, limit: 20, now, leaseMs: 60_000 });
        const ids = held.map(({ claim }) => claim.id);
        const order = { reason: 'no demand', now, graceMs: 0 };
        await Promise.all([
          store.want(shares[round % 4]!, names.toReversed().map((name) => replicaOrder(name, { priority: round })), now),
          store.copies.renew(ids.toReversed(), now),
          ...ids.slice(0, 5).map((id) => store.complete(id, 100, now)),
          ...ids.slice(5).map((id) => store.copies.release(id)),
          store.drain({ layer: digestOf(names[round]!), share: 'a' }, order),
          store.drainUnreferenced(digestOf(names[39 - round]!), order),
          store.recall(digestOf(names[39 - round]!), 'again'),
          store.removals.claim({ owner: `${round}`, limit: 5, now, leaseMs: 0 }).then((removals) => Promise.all(removals.map(({ claim }) => store.beginRemoval(claim.id)))),
        ]);
      });
      await Promise.all(rounds);
    });

    it('gives all copies of a layer to one of several workers that claim at the same time, while they are ordered one after another', async () => {
      const now = new Date();
      const layers = Array.from({ length: 20 }, (_, n) => digestOf(`spread ${n}`));
      const store = new PostgresReplicaStore(dataSource());
      for (const layer of layers) await store.recordReady({ layer, share: 'home', sizeBytes: 1000, reason: 'expanded' }, now);
      const ownersOf = new Map<string, Set<string>>(layers.map((layer) => [layer, new Set()]));
      let [ordering, claimedCount] = [true, 0];
      const worker = async (owner: string): Promise<void> => {
        const itsStore = new PostgresReplicaStore(dataSource());
        for (let found = 1; ordering || found > 0; ) {
          const claimed = await itsStore.copies.claim({ owner, limit: 3, now, leaseMs: 60_000 });
          found = claimed.length;
          claimedCount += found;
          for (const { item } of claimed) ownersOf.get(item.layer)!.add(owner);
        }
      };
      const orders = async (): Promise<void> => {
        for (let n = 0; n < 8; n += 1) await store.want({ name: `share ${n}`, capacityBytes: 1e9 }, layers.map((layer) => ({ ...replicaOrder(''), layer })), now);
        ordering = false;
      };
      await Promise.all([orders(), worker('one'), worker('two'), worker('three')]);
      expect(claimedCount).toBe(8 * layers.length);
      expect([...ownersOf.values()].map((owners) => owners.size)).toEqual(layers.map(() => 1));
    });
  }

  it('tells the feed of changes of state, not of progress, claims and priorities', async () => {
    const store = new PostgresReplicaStore(dataSource());
    const now = new Date();
    const layer = digestOf('a');
    const east = { name: 'east', capacityBytes: 1e6 };
    const told = await readToldChanges(dataSource());
    const once = [`replica ${layer} east`];
    await store.recordReady({ layer, share: 'home', sizeBytes: 1000, reason: 'expanded' }, now);
    expect(await told()).toEqual([`replica ${layer} home`]);
    await store.want(east, [replicaOrder('a')], now);
    expect(await told()).toEqual(once);
    await store.want(east, [replicaOrder('a', { priority: 9 })], now);
    expect(await told()).toEqual([]);
    const [copy] = await store.copies.claim({ owner: 'worker', limit: 1, now, leaseMs: 1000 });
    expect(await told()).toEqual(once);
    await store.progress(copy!.claim.id, 10, { path: 'x', pieces: Buffer.of(1) });
    await store.copies.renew([copy!.claim.id], now);
    expect(await told()).toEqual([]);
    await store.complete(copy!.claim.id, copy!.item.sizeBytes, now);
    expect(await told()).toEqual(once);
    await store.drain({ layer, share: 'east' }, { reason: 'no demand', now, graceMs: 0 });
    expect(await told()).toEqual(once);
    await store.want(east, [replicaOrder('a')], now);
    expect(await told()).toEqual(once);
    await store.drain({ layer, share: 'east' }, { reason: 'no demand', now, graceMs: 0 });
    expect(await told()).toEqual(once);
    await store.want(east, [replicaOrder('a')], now);
    expect(await told()).toEqual(once);
    await store.drain({ layer, share: 'east' }, { reason: 'no demand', now, graceMs: 0 });
    expect(await told()).toEqual(once);
    const [removal] = await store.removals.claim({ owner: 'worker', limit: 1, now, leaseMs: 1000 });
    expect(await told()).toEqual([]);
    await store.beginRemoval(removal!.claim.id);
    expect(await told()).toEqual([]);
    await store.beginRemoval(removal!.claim.id);
    expect(await told()).toEqual([]);
    await store.gone(removal!.claim.id);
    expect(await told()).toEqual(once);
  });
});
