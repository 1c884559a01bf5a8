import { beforeEach, expect, it } from 'vitest';

import type { Digest } from '#oci';
import { FullShares, PIECE_BYTES, type ShareFullEvent } from '#shares';
import { MemoryShare } from '#shares/testing';

import { copyUnlessFull } from './copy-unless-full.js';
import { bytesOn, pathOf, ReplicationWorld } from './testing/index.js';

let world: ReplicationWorld;
let told: ShareFullEvent[];
let full: FullShares;
beforeEach(() => {
  world = new ReplicationWorld();
  told = [];
  full = new FullShares((event) => told.push(event), 60_000);
});

const copy = async (): Promise<void> => copyUnlessFull({ ...world.ports({ pieceConcurrency: 1 }), full }, await world.claimCopy(), new AbortController().signal);

async function wanted(...names: string[]): Promise<Digest[]> {
  const layers: Digest[] = [];
  for (const name of names) {
    const layer = await world.expandOnto(world.home, name, 'abcd');
    await world.want(world.east, layer);
    layers.push(layer);
  }
  return layers;
}

it('puts a copy off, and all others to the same share, when the share turns out full; one event tells of it', async () => {
  await wanted('one', 'other');
  world.east.failNext('createFile', 'SHARE_FULL');
  await copy();
  await copy();
  expect(world.east.calls.filter((call) => call.operation === 'createFile')).toHaveLength(1);
  expect(told).toMatchObject([{ share: 'east', usage: { usedBytes: 0 } }]);
  await expect(world.claimCopy()).rejects.toThrow('no copy');
  await world.clock.advance(60_000);
  await copy();
  await copy();
  expect((await world.store.usage()).find((usage) => usage.share === 'east')).toMatchObject({ state: 'ready', count: 2 });
});

it('spares no other share', async () => {
  const [layer] = await wanted('one');
  full.note('asia', undefined, world.clock.now());
  await copy();
  expect(await world.replica(world.east, layer!)).toMatchObject({ state: 'ready' });
});

it('keeps what was copied when the share became full in the middle, hands nothing out of it, and goes on from there', async () => {
  const [layer] = await wanted('one');
  let pieces = 0;
  world.east.before = (call) => {
    if (call.operation !== 'copyRange') return;
    pieces += 1;
    if (pieces === 3) world.east.failNext('copyRange', 'SHARE_FULL');
  };
  await copy();
  expect(await world.replica(world.east, layer!)).toMatchObject({ state: 'wanted', copiedBytes: 2 * PIECE_BYTES, lastError: expect.stringContaining('east is full') as string });
  expect(world.east.paths.filter((path) => !path.startsWith('.partial/'))).toEqual([]);
  await world.clock.advance(60_000);
  const before = world.east.traffic.copiedInBytes;
  await copy();
  expect(world.east.traffic.copiedInBytes - before).toBe(2 * PIECE_BYTES - 512);
  expect((await bytesOn(world.east, layer!)).equals(await bytesOn(world.home, layer!))).toBe(true);
  expect(world.east.paths).toEqual([pathOf(layer!)]);
});

it('is full all the same when it does not say how full', async () => {
  await wanted('one');
  world.east.failNext('createFile', 'SHARE_FULL');
  world.east.failNext('usage', 'SHARE_UNAVAILABLE');
  await copy();
  expect(told).toMatchObject([{ share: 'east', usage: undefined }]);
});

it('begins nothing on a share that others have filled while its pause lasts, and has every copy whole once there is room', async () => {
  const fileBytes = 4 * PIECE_BYTES - 512;
  const small = new MemoryShare({ name: 'small', region: 'eastus', capacityBytes: 3 * fileBytes, clock: world.clock });
  world.shares.set(small.name, small);
  const layers = await Promise.all(['one', 'two', 'three'].map((name) => world.expandOnto(world.home, name, 'abcd')));
  for (const layer of layers) await world.want(small, layer);
  await small.createFile('of-somebody-else', fileBytes);
  for (let n = 0; n < 3; n += 1) await copy();
  expect(told).toMatchObject([{ share: 'small', usage: { provisionedBytes: 3 * fileBytes, usedBytes: 3 * fileBytes } }]);
  const states = async (): Promise<string[]> => Promise.all(layers.map(async (layer) => (await world.replica(small, layer))?.state ?? 'gone'));
  expect((await states()).toSorted()).toEqual(['ready', 'ready', 'wanted']);
  // Still no room when the pause is over: one call tells so, and nothing that is there is touched.
  const before = small.paths;
  await world.clock.advance(60_000);
  await copy();
  expect([told.length, small.paths]).toEqual([2, before]);
  await small.remove('of-somebody-else');
  await world.clock.advance(60_000);
  await copy();
  expect(await states()).toEqual(['ready', 'ready', 'ready']);
  for (const layer of layers) expect((await bytesOn(small, layer)).equals(await bytesOn(world.home, layer))).toBe(true);
  expect(small.paths).toEqual(layers.map(pathOf).toSorted());
});
