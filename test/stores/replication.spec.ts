import { randomUUID } from 'node:crypto';

import { describe, expect, it } from 'vitest';

import { describeOnEveryDatabase } from '#database/testing';
import { MIGRATIONS } from '#migrations';
import { type Digest, digestOf } from '#oci';
import { earlyDrainsConform, linkLedgerConforms, passingConforms, replicaOrder, replicaStoreConforms, roomLedgerConforms, shareDrainsConform } from '#replication/testing';
import { PostgresLinkLedger, PostgresReplicaStore, PostgresRoomLedger, PostgresShareDrains } from '#replication/typeorm';

import { readToldChanges } from './told-changes.js';

describeOnEveryDatabase('replicas', MIGRATIONS, (dataSource, database) => {
  replicaStoreConforms(() => new PostgresReplicaStore(dataSource(), 'caller'));

  earlyDrainsConform(() => ({
    store: new PostgresReplicaStore(dataSource(), 'caller'),
    place: async () => BigInt((await dataSource().query<{ place: string }[]>('SELECT pg_current_xact_id()::text AS place'))[0]!.place),
  }));

  describe('made of what passed', () => {
    passingConforms(() => ({ store: new PostgresReplicaStore(dataSource(), 'caller'), room: new PostgresRoomLedger(dataSource(), 'caller'), drains: new PostgresShareDrains(dataSource()) }));
  });

  describe('the account of links', () => {
    linkLedgerConforms(() => new PostgresLinkLedger(dataSource()));
  });

  describe('the account of room', () => {
    roomLedgerConforms(() => ({ store: new PostgresReplicaStore(dataSource(), 'caller'), ledger: new PostgresRoomLedger(dataSource(), 'caller') }));
  });

  describe('drains', () => {
    shareDrainsConform(() => ({ store: new PostgresReplicaStore(dataSource(), 'caller'), drains: new PostgresShareDrains(dataSource()) }));

    it('tell of an empty region once, in the step that notes it', async () => {
      const drains = new PostgresShareDrains(dataSource());
      const drain = await drains.begin({ share: 'east', reason: 'maintenance', orderedBy: 'admin' });
      expect(await Promise.all([drains.finish(drain), drains.finish(drain), drains.finish(drain)])).toEqual(expect.arrayContaining([true, false, false]));
      const told = await dataSource().query('SELECT subject, data FROM events WHERE type = $1', ['translocator.region.drained']);
      expect(told).toEqual([{ subject: 'east', data: { region: 'east', drain: drain.id, reason: 'maintenance', orderedBy: 'admin', beganAt: drain.beganAt.toISOString() } }]);
    });
  });

  if (database.severalSessions) {
    it('lets no order pass a drain that begins at the same time, and ends no drain in the middle of what is taken for it', async () => {
      const [store, drains] = [new PostgresReplicaStore(dataSource()), new PostgresShareDrains(dataSource())];
      const now = new Date();
      const east = { name: 'east', capacityBytes: 1e9 };
      const names = Array.from({ length: 20 }, (_, n) => `layer ${n}`);
      for (const name of names) for (const share of ['home', 'east']) await store.recordReady({ layer: digestOf(name), share, sizeBytes: 1000, reason: 'expanded' }, now);
      for (let round = 0; round < 10; round += 1) {
        const wanted = names.map((name) => replicaOrder(`${name} of ${round}`));
        const [drain] = await Promise.all([drains.begin({ share: 'east', reason: 'maintenance', orderedBy: 'admin' }), ...wanted.map((order) => store.want(east, [order], now))]);
        const before = (await drains.left('east')).ordered.count;
        expect(await store.want(east, wanted, now)).toEqual(wanted.map(() => 'SHARE_DRAINING'));
        expect((await drains.left('east')).ordered.count).toBe(before);
        const taking = names.map((name) => store.drain({ layer: digestOf(name), share: 'east' }, { reason: 'drained', now, graceMs: 0, fence: drains.fence(drain) }));
        const outcomes = Promise.allSettled(taking);
        await drains.end('east');
        const draining = (await drains.left('east')).draining.count;
        for (const outcome of await outcomes) if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'DRAIN_ENDED' });
        expect((await drains.left('east')).draining.count).toBe(draining);
        await store.want(east, names.map((name) => replicaOrder(name)), now);
      }
    });

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
          store.copies.renew(ids.toReversed(), now, 0),
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

    it('keeps what a share has and what is reserved on it within its capacity, while planners, expansions, copies and removals act on it at once', async () => {
      const share = { name: 'limited', capacityBytes: 10_000 };
      const now = new Date();
      const holdMs = 3_600_000;
      const ordered = Array.from({ length: 12 }, (_, n) => digestOf(`ordered ${n}`));
      const order = (layer: Digest) => ({ ...replicaOrder(''), layer, sizeBytes: 700 });
      const drain = { reason: 'no demand', now, graceMs: 0 };
      const [setUp, ledger] = [new PostgresReplicaStore(dataSource()), new PostgresRoomLedger(dataSource())];
      for (const layer of ordered) await setUp.recordReady({ layer, share: 'home', sizeBytes: 700, reason: 'expanded' }, now);
      const outcomes: string[] = [];
      let acting = true;
      const planner = async (own: number): Promise<void> => {
        const store = new PostgresReplicaStore(dataSource());
        for (let round = 0; round < 20; round += 1) {
          outcomes.push(...(await store.want(share, Array.from({ length: 5 }, (_, n) => order(ordered[(round * own + n * 5) % 12]!)), now)));
          await store.drain({ layer: ordered[(round * 7 + own) % 12]!, share: share.name }, drain);
        }
      };
      // A guess is larger than what comes of it.
      const expander = async (own: number): Promise<void> => {
        const store = new PostgresReplicaStore(dataSource());
        for (let round = 0; round < 15; round += 1) {
          const layer = digestOf(`expanded ${own} ${round}`);
          const id = randomUUID();
          const { reserved } = await ledger.reserve(share, { id, layer, bytes: 1500, holdMs }, now);
          outcomes.push(reserved ? 'reserved' : 'NO_ROOM');
          if (!reserved) continue;
          if (round % 3 > 0) await store.recordReady({ layer, share: share.name, sizeBytes: 900, reason: 'expanded' }, now);
          await ledger.release(share.name, { layer, id });
          await store.drain({ layer, share: share.name }, drain);
        }
      };
      const worker = async (owner: string): Promise<void> => {
        const store = new PostgresReplicaStore(dataSource());
        while (acting) {
          const claim = { owner, limit: 3, now: new Date(), leaseMs: 60_000 };
          for (const { claim: { id }, item } of await store.copies.claim(claim)) await store.complete(id, item.sizeBytes, now);
          for (const { claim: { id } } of await store.removals.claim(claim)) if (await store.beginRemoval(id)) await store.gone(id);
        }
      };
      const takenBytes = async (): Promise<number> => {
        const rows = await dataSource().query<{ bytes: string }[]>(
          `SELECT (SELECT coalesce(sum(size_bytes), 0) FROM replicas WHERE share = $1) + (SELECT coalesce(sum(bytes), 0) FROM room_reservations AS room WHERE share = $1
             AND NOT EXISTS (SELECT FROM replicas WHERE replicas.layer = room.layer AND replicas.share = $1)) AS bytes`,
          [share.name],
        );
        return Number(rows[0]?.bytes);
      };
      let [most, looks] = [0, 0];
      const observer = async (): Promise<void> => {
        for (; acting; looks += 1) most = Math.max(most, await takenBytes());
      };
      const acts = Promise.all([planner(1), planner(5), expander(1), expander(2)]).finally(() => (acting = false));
      await Promise.all([acts, worker('one'), worker('two'), observer()]);
      expect(most).toBeLessThanOrEqual(share.capacityBytes);
      // It was at its limit, for orders and for expansions, and neither kept the other from it for good.
      expect([looks > 10, ...['taken', 'SHARE_FULL', 'reserved', 'NO_ROOM'].map((outcome) => outcomes.includes(outcome))]).toEqual([true, true, true, true, true]);
      const usage = (await setUp.usage()).filter((one) => one.share === share.name).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
      expect([usage, await ledger.reservedBytes(share.name, now)]).toEqual([await takenBytes(), 0]);
      const rest = share.capacityBytes - usage;
      expect(await ledger.reserve(share, { id: randomUUID(), layer: digestOf('one byte more'), bytes: rest + 1, holdMs }, now)).toEqual({ reserved: false, roomBytes: rest });
      expect(await setUp.want(share, [{ ...order(digestOf('all of it')), sizeBytes: rest }, order(digestOf('nothing left'))], now)).toEqual(['taken', 'SHARE_FULL']);
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
    await store.copies.renew([copy!.claim.id], now, 0);
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
