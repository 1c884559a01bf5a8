import { describe, expect, it } from 'vitest';

import { ChangeFeed } from '#database';
import { describeOnEveryDatabase } from '#database/testing';
import { MIGRATIONS } from '#migrations';
import { digestOf } from '#oci';
import { linkLedgerConforms, replicaOrder, replicaStoreConforms } from '#replication/testing';
import { PostgresLinkLedger, PostgresReplicaStore } from '#replication/typeorm';

describeOnEveryDatabase('replicas', MIGRATIONS, (dataSource) => {
  replicaStoreConforms(() => new PostgresReplicaStore(dataSource()));

  describe('the account of links', () => {
    linkLedgerConforms(() => new PostgresLinkLedger(dataSource()));
  });

  it('tells the feed of changes of state, not of progress, claims and priorities', async () => {
    const store = new PostgresReplicaStore(dataSource());
    const feed = new ChangeFeed(dataSource());
    const now = new Date();
    const layer = digestOf('a');
    const east = { name: 'east', capacityBytes: 1e6 };
    let position = await feed.end();
    const told = async (): Promise<string[]> => {
      const batch = await feed.readAfter(position, 100);
      position = batch.position;
      return batch.changes.map((change) => `${change.topic} ${change.key.join(' ')}`);
    };
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
    await store.complete(copy!.claim.id, now);
    expect(await told()).toEqual(once);
    await store.drain({ layer, share: 'east' }, { reason: 'no demand', now, graceMs: 0 });
    expect(await told()).toEqual(once);
    const [removal] = await store.removals.claim({ owner: 'worker', limit: 1, now, leaseMs: 1000 });
    expect(await told()).toEqual([]);
    await store.gone(removal!.claim.id);
    expect(await told()).toEqual(once);
  });
});
