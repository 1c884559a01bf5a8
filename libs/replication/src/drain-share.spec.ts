import { beforeEach, describe, expect, it } from 'vitest';

import { digestOf } from '#oci';

import { copyReplica } from './copy-replica.js';
import { drainShare, type DrainShareReport, LAST_COPY_PRIORITY } from './drain-share.js';
import type { ShareDrain } from './share-drains.js';
import { MemoryReplicaStore, ReplicationWorld, shareDrainsConform, WORLD_LEASE_MS } from './testing/index.js';

describe('drains in memory', () => {
  shareDrainsConform(() => {
    const store = new MemoryReplicaStore();
    return { store, drains: store.drains };
  });
});

describe('draining a share', () => {
  const signal = new AbortController().signal;
  let world: ReplicationWorld;
  let drain: ShareDrain;
  let homeBytes = 1e9;
  beforeEach(async () => {
    world = new ReplicationWorld();
    homeBytes = 1e9;
    drain = await world.store.drains.begin({ share: 'east', reason: 'maintenance', orderedBy: 'admin' });
  });
  const look = (of = drain): Promise<DrainShareReport> =>
    drainShare({ store: world.store, drains: world.store.drains, home: { name: 'home', capacityBytes: homeBytes }, clock: world.clock, graceMs: 0 }, of, signal);
  const stateOf = async (name: string, share: string): Promise<string | undefined> => (await world.store.find([digestOf(name)])).find((row) => row.share === share)?.state;
  async function removeAll(): Promise<void> {
    for (const { claim } of await world.store.removals.claim({ owner: 'worker', limit: 100, now: world.clock.now(), leaseMs: WORLD_LEASE_MS })) await world.store.gone(claim.id);
  }

  it('takes back what is ordered and what is ready elsewhere, and is done when the files are gone', async () => {
    await world.store.drains.end('east');
    for (const share of [world.home, world.east]) await world.expandOnto(share, 'both', 'a');
    await world.want(world.east, await world.expandOnto(world.home, 'ordered', 'b'));
    drain = await world.store.drains.begin({ share: 'east', reason: 'maintenance', orderedBy: 'admin' });
    expect(await look()).toEqual({ cancelled: 1, drained: 1, last: 0, withoutRoom: 0, outcome: 'going' });
    expect([await stateOf('both', 'east'), await stateOf('ordered', 'east'), await stateOf('both', 'home')]).toEqual(['draining', undefined, 'ready']);
    await removeAll();
    expect((await look()).outcome).toBe('drained');
    expect(world.store.drains.told).toEqual(['east']);
    expect((await look()).outcome).toBe('going');
    expect(world.store.drains.told).toEqual(['east']);
  });

  it('has copied home what no other share has, and keeps it in the answers until then', async () => {
    const layer = await world.expandOnto(world.east, 'only here', 'ab');
    expect(await look()).toMatchObject({ drained: 0, last: 1, withoutRoom: 0, outcome: 'going' });
    expect(await look()).toMatchObject({ drained: 0, last: 1, outcome: 'going' });
    expect(await world.replica(world.home, layer)).toMatchObject({ state: 'wanted', priority: LAST_COPY_PRIORITY });
    expect(await stateOf('only here', 'east')).toBe('ready');
    await copyReplica(world.ports(), await world.claimCopy(), signal);
    expect(await look()).toMatchObject({ drained: 1, last: 0 });
    expect([await stateOf('only here', 'home'), await stateOf('only here', 'east')]).toEqual(['ready', 'draining']);
  });

  it('waits with what home has no room for, says how much it is, and goes on when there is room', async () => {
    await world.expandOnto(world.east, 'only here', 'ab');
    homeBytes = 100;
    expect(await look()).toMatchObject({ drained: 0, last: 1, withoutRoom: 1, outcome: 'going' });
    expect(await world.store.drains.list()).toMatchObject([{ withoutRoom: 1 }]);
    homeBytes = 1e9;
    expect(await look()).toMatchObject({ last: 1, withoutRoom: 0 });
    expect(await stateOf('only here', 'home')).toBe('wanted');
  });

  it('does nothing any more once it was ended, and leaves what is left as it is', async () => {
    for (const share of [world.home, world.east]) await world.expandOnto(share, 'both', 'a');
    await world.store.drains.end('east');
    expect(await look()).toMatchObject({ drained: 0, outcome: 'ended' });
    expect(await stateOf('both', 'east')).toBe('ready');
  });
});
