import { beforeEach, expect, it } from 'vitest';

import type { Claimed } from '#claims';
import type { Digest } from '#oci';

import { copyReplica } from './copy-replica.js';
import { FILE_IN_USE_WAIT_MS, type ForcedDrain, type OpenReplica, type RemovalPorts, removeReplica } from './remove-replica.js';
import type { Replica } from './replica.js';
import { ReplicaHolds } from './replication-ports.js';
import { pathOf, ReplicationWorld, WORLD_LEASE_MS } from './testing/index.js';

class OneHold extends ReplicaHolds {
  until: Date | undefined;

  ended = false;
  onAsk: (() => Promise<void>) | undefined;

  async heldUntil(): Promise<Date | undefined> {
    await this.onAsk?.();
    return this.until;
  }

  async endRenewals(): Promise<number> {
    this.ended = true;
    return 2;
  }
}

const GRACE_MS = 600_000;
let world: ReplicationWorld;
let holds: OneHold;
let layer: Digest;
let ports: RemovalPorts;
const signal = new AbortController().signal;

beforeEach(async () => {
  world = new ReplicationWorld();
  holds = new OneHold();
  ports = { store: world.store, holds, shares: world.shares, clock: world.clock };
  layer = await world.expandOnto(world.home, 'layer', 'a.b');
  await world.expandOnto(world.east, 'layer', 'a.b');
  await world.store.drain({ layer, share: 'east' }, { reason: 'no demand', now: world.clock.now(), graceMs: GRACE_MS });
});

async function claimed(): Promise<Claimed<Replica> | undefined> {
  return (await world.store.removals.claim({ owner: 'worker', limit: 1, now: world.clock.now(), leaseMs: WORLD_LEASE_MS }))[0];
}

async function remove(): Promise<void> {
  await removeReplica(ports, (await claimed())!, signal);
}

it('removes the file and the row when the grace time is over', async () => {
  expect(await claimed()).toBeUndefined();
  await world.clock.advance(GRACE_MS);
  await remove();
  expect(world.east.paths).toEqual([]);
  expect(await world.replica(world.east, layer)).toBeUndefined();
  expect(world.home.paths).toEqual([pathOf(layer)]);
});

it('has leases run out on a replica that drains for too long, and still waits for them', async () => {
  const forced: ForcedDrain[] = [];
  ports = { ...ports, drainMaxMs: 2 * GRACE_MS, onForced: (each) => forced.push(each) };
  const drainingSince = world.clock.now();
  await world.clock.advance(2 * GRACE_MS - 1);
  holds.until = new Date(world.clock.now().getTime() + 5000);
  await remove();
  expect([holds.ended, forced]).toEqual([false, []]);
  await world.clock.advance(5000);
  holds.until = new Date(world.clock.now().getTime() + 5000);
  await remove();
  expect(forced).toEqual([{ layer, share: 'east', drainingSince, leaseCount: 2, heldUntil: holds.until }]);
  expect((await world.replica(world.east, layer))?.lastError).toContain('not renewed any more');
  expect(world.east.paths).toEqual([pathOf(layer)]);
  await world.clock.advance(5000);
  holds.until = undefined;
  await remove();
  expect(world.east.paths).toEqual([]);
});

it('keeps the file of a replica that a node has leased, until the lease has run out', async () => {
  await world.clock.advance(GRACE_MS);
  holds.until = new Date(world.clock.now().getTime() + 5000);
  await remove();
  expect(world.east.paths).toEqual([pathOf(layer)]);
  expect((await world.replica(world.east, layer))?.lastError).toContain('leased');
  await world.clock.advance(4999);
  expect(await claimed()).toBeUndefined();
  await world.clock.advance(1);
  await remove();
  expect(world.east.paths).toEqual([]);
});

it('waits for a client that has the file open', async () => {
  await world.clock.advance(GRACE_MS);
  const close = world.east.hold(pathOf(layer));
  await remove();
  expect(await world.replica(world.east, layer)).toMatchObject({ state: 'draining' });
  expect(await claimed()).toBeUndefined();
  close();
  await world.clock.advance(FILE_IN_USE_WAIT_MS);
  await remove();
  expect(await world.replica(world.east, layer)).toBeUndefined();
});

it('is recalled while a client has the file open, for nothing of it has been deleted', async () => {
  const looks: OpenReplica[] = [];
  ports = { ...ports, onOpen: (open) => looks.push(open) };
  await world.clock.advance(GRACE_MS);
  world.east.hold(pathOf(layer));
  world.east.hold(pathOf(layer));
  await remove();
  expect(looks).toEqual([{ layer, share: 'east', handleCount: 2, closed: false }]);
  expect((await world.replica(world.east, layer))?.lastError).toContain('open');
  await world.want(world.east, layer);
  expect(await world.replica(world.east, layer)).toMatchObject({ state: 'ready' });
});

it('closes what is open when it has drained for too long, if the operator has that done, and not before', async () => {
  const looks: boolean[] = [];
  ports = { ...ports, drainMaxMs: 2 * GRACE_MS, onOpen: ({ closed }) => looks.push(closed) };
  await world.clock.advance(2 * GRACE_MS - FILE_IN_USE_WAIT_MS);
  world.east.hold(pathOf(layer));
  ports = { ...ports, forceClose: true };
  await remove();
  await world.clock.advance(FILE_IN_USE_WAIT_MS);
  ports = { ...ports, forceClose: false };
  await remove();
  expect(world.east.paths).toEqual([pathOf(layer)]);
  await world.clock.advance(FILE_IN_USE_WAIT_MS);
  ports = { ...ports, forceClose: true };
  await remove();
  expect([looks, world.east.paths]).toEqual([[false, false, true], []]);
});

it('leaves it to the share to refuse where it may not be asked what is open', async () => {
  await world.clock.advance(GRACE_MS);
  world.east.openHandles = async () => undefined;
  const close = world.east.hold(pathOf(layer));
  await remove();
  expect(await world.replica(world.east, layer)).toMatchObject({ state: 'draining' });
  close();
  await world.clock.advance(FILE_IN_USE_WAIT_MS);
  await remove();
  expect(world.east.paths).toEqual([]);
});

it('takes a file that is gone already for removed', async () => {
  await world.clock.advance(GRACE_MS);
  await world.east.remove(pathOf(layer));
  await remove();
  expect(await world.replica(world.east, layer)).toBeUndefined();
});

it('is repeated by another worker when the first one ended after the removal of the file', async () => {
  await world.clock.advance(GRACE_MS);
  world.east.failNext('list', 'SHARE_UNAVAILABLE');
  await expect(remove()).rejects.toMatchObject({ code: 'SHARE_UNAVAILABLE' });
  await world.clock.advance(WORLD_LEASE_MS);
  await remove();
  expect(await world.replica(world.east, layer)).toBeUndefined();
});

it('leaves the file of a replica that is ordered again before the removal begins', async () => {
  await world.clock.advance(GRACE_MS);
  const removal = await claimed();
  holds.onAsk = () => world.want(world.east, layer);
  await expect(removeReplica(ports, removal!, signal)).rejects.toMatchObject({ code: 'CLAIM_LOST' });
  expect(await world.replica(world.east, layer)).toMatchObject({ state: 'ready' });
  expect(world.east.paths).toEqual([pathOf(layer)]);
});

it('goes on with a removal that has begun, and makes the replica anew when that is done', async () => {
  await world.clock.advance(GRACE_MS);
  world.east.failNext('remove', 'FILE_IN_USE');
  await remove();
  await world.want(world.east, layer);
  expect(await world.replica(world.east, layer)).toMatchObject({ state: 'draining' });
  await world.clock.advance(FILE_IN_USE_WAIT_MS);
  await remove();
  await world.want(world.east, layer);
  await copyReplica(world.ports(), await world.claimCopy(), signal);
  expect(await world.replica(world.east, layer)).toMatchObject({ state: 'ready' });
});

it('removes nothing when its claim was lost, not even what has been copied there since', async () => {
  await world.clock.advance(GRACE_MS);
  const stale = await claimed();
  await world.clock.advance(WORLD_LEASE_MS);
  await remove();
  await world.want(world.east, layer);
  await copyReplica(world.ports(), await world.claimCopy(), signal);
  await expect(removeReplica(ports, stale!, signal)).rejects.toMatchObject({ code: 'CLAIM_LOST' });
  expect(world.east.paths).toEqual([pathOf(layer)]);
});

it('removes what a copy that was taken back has left', async () => {
  const other = await world.expandOnto(world.home, 'other', 'abc');
  await world.want(world.east, other);
  const copy = await world.claimCopy();
  world.east.failNext('rename', 'SHARE_BUSY');
  await expect(copyReplica(world.ports(), copy, signal)).rejects.toMatchObject({ code: 'SHARE_BUSY' });
  expect(await world.store.cancel({ layer: other, share: 'east' }, { reason: 'superseded', now: world.clock.now(), graceMs: GRACE_MS })).toBe('draining');
  expect(world.east.paths).toHaveLength(2);
  await world.clock.advance(WORLD_LEASE_MS);
  await remove();
  expect(world.east.paths).toEqual([pathOf(layer)]);
  expect(await world.replica(world.east, other)).toBeUndefined();
});
