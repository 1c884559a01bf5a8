import { beforeEach, describe, expect, it } from 'vitest';

import { ManualClock } from '#clock/testing';
import { digestOf } from '#oci';
import { HOUR_MS, MINUTE_MS } from '#quantities';
import { copyPartialPath, expansionPartialPath } from '#shares';
import { MemoryShare } from '#shares/testing';

import { PARTIAL_AGE_MAX_MS, type SweepReport, sweepPartialFiles } from './sweep-partial-files.js';
import { copyReplica } from './copy-replica.js';
import { pathOf, ReplicationWorld } from './testing/index.js';

let world: ReplicationWorld;
beforeEach(() => {
  world = new ReplicationWorld();
});

const sweep = (): Promise<SweepReport> => sweepPartialFiles(world, PARTIAL_AGE_MAX_MS);
const layer = digestOf('a layer that nobody wants any more');
const LEFT = [expansionPartialPath(layer, 'claim-1'), copyPartialPath({ layer, vhd: digestOf('vhd') }, 'claim-2')];

describe('sweeping', () => {
  it.each(LEFT)('removes %s once nobody has written to it for an hour', async (path) => {
    await world.east.createFile(path, 8);
    await world.clock.advance(HOUR_MS - 1000);
    await world.east.writeRange(path, 0, Buffer.alloc(8, 1));
    await world.clock.advance(HOUR_MS);
    expect(await sweep()).toEqual({ removed: [], silentShares: [] });
    await world.clock.advance(1000);
    expect(await sweep()).toEqual({ removed: [`east/${path}`], silentShares: [] });
    expect(await sweep()).toEqual({ removed: [], silentShares: [] });
  });

  it('leaves what a copy will go on with, however old, and whole files, and files of others', async () => {
    const wanted = await world.expandOnto(world.home, 'layer', 'abc');
    await world.want(world.east, wanted);
    const claimed = await world.claimCopy();
    world.east.failNext('rename', 'SHARE_UNAVAILABLE');
    await expect(copyReplica(world.ports(), claimed, new AbortController().signal)).rejects.toMatchObject({ code: 'SHARE_UNAVAILABLE' });
    await world.store.copies.postpone(claimed.claim.id, { now: world.clock.now(), waitMs: 0, reason: 'failed' });
    await world.east.createFile('.partial/notes.txt', 8);
    await world.clock.advance(3 * HOUR_MS);
    expect(await sweep()).toEqual({ removed: [], silentShares: [] });
    expect(world.east.paths).toHaveLength(2);
    expect(world.home.paths).toEqual([pathOf(wanted)]);
    const copied = world.east.traffic.copiedInBytes;
    await copyReplica(world.ports(), await world.claimCopy(), new AbortController().signal);
    expect(world.east.traffic.copiedInBytes).toBe(copied);
  });

  it.each([-10, 10])('goes by the clock of the share, though it is %i minutes off', async (offMinutes) => {
    const clock = new ManualClock(new Date(world.clock.now().getTime() + offMinutes * MINUTE_MS).toISOString());
    const share = new MemoryShare({ name: 'elsewhere', region: 'eastus', clock });
    await share.createFile(LEFT[0]!, 8);
    const sweepShare = (): Promise<SweepReport> => sweepPartialFiles({ store: world.store, shares: new Map([['elsewhere', share]]) }, PARTIAL_AGE_MAX_MS);
    await clock.advance(HOUR_MS);
    expect(await sweepShare()).toEqual({ removed: [], silentShares: [] });
    await clock.advance(1000);
    expect(await sweepShare()).toEqual({ removed: [`elsewhere/${LEFT[0]}`], silentShares: [] });
  });

  it('goes on with the next share where one does not answer', async () => {
    for (const share of [world.home, world.asia]) await share.createFile(LEFT[0]!, 8);
    await world.clock.advance(2 * HOUR_MS);
    world.home.failNext('list', 'SHARE_UNAVAILABLE');
    expect(await sweep()).toEqual({ removed: [`asia/${LEFT[0]}`], silentShares: ['home'] });
    expect(await sweep()).toEqual({ removed: [`home/${LEFT[0]}`], silentShares: [] });
  });

  it('removes nothing of a share when what copies will go on with cannot be asked for', async () => {
    await world.east.createFile(LEFT[0]!, 8);
    await world.clock.advance(2 * HOUR_MS);
    const store = { checkpointPaths: () => Promise.reject(new Error('the database is away')) };
    await expect(sweepPartialFiles({ shares: world.shares, store }, PARTIAL_AGE_MAX_MS)).rejects.toThrow('away');
    expect(world.east.paths).toEqual([LEFT[0]]);
  });
});
