import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { LayerStatusBody, MountAnswerBody, PinEntry } from '#contract';
import { mergedViewDigest } from '#expansion';
import { canMountLayers, compareTrees, mountLayer, mountOverlay, mountView } from '#expansion/testing';
import { deleteManifest, type PushedManifest } from '#registry/local';

import { eventually } from './support/eventually.js';
import { type GuardedWorld, startGuardedWorld } from './support/guarded-world.js';
import { gzipLayer } from './support/real-layers.js';
import { notify } from './support/registry-events.js';
import { TOKENS } from './support/service-client.js';

const APP = 'team/app';
const [HOME, EAST] = ['westeurope', 'eastus'];
const directory = (name: string) => ({ name, type: '5', mode: 0o755 });

let world: GuardedWorld;
let pushed: PushedManifest;
let layers: `sha256:${string}`[];
let view: `sha256:${string}`;

/** Three layers, of which the second hides a file of the first and the third replaces one of the second. */
const image = {
  layers: [
    gzipLayer(directory('etc/'), { name: 'etc/motd', contents: 'hello\n' }, { name: 'etc/hidden', contents: 'to be hidden\n' }),
    gzipLayer(directory('etc/'), { name: 'etc/.wh.hidden', contents: '' }, { name: 'etc/version', contents: '1\n' }, { name: 'big', contents: Buffer.alloc(3_000_000, 'translocator ') }),
    gzipLayer(directory('etc/'), { name: 'etc/version', contents: '2\n' }, { name: 'link', type: '2', linkName: 'etc/version' }),
  ],
};

beforeAll(async () => {
  // Only pins place it: what these pulls tell of demand must not.
  world = await startGuardedWorld({ placement: { every: '500ms', minimumExpectedPulls: 1000, hitImages: 0, keepRatio: 1, smallLayersRatio: 0 } });
  pushed = await world.push(APP, 'v1', image);
  await world.client.enable(APP);
  await eventually('the image is whole at home', () => world.client.readyIn(HOME, APP, 'v1'));
  layers = (await world.client.status(APP, 'v1'))!.images[0]!.layers.map((layer) => layer.digest);
  view = mergedViewDigest(layers)!;
}, 300_000);
afterAll(() => world?.[Symbol.asyncDispose]());

const viewStatus = async (): Promise<LayerStatusBody | undefined> => (await world.client.status(APP, 'v1'))?.images[0]?.view;
const isReadyIn = async (region: string): Promise<boolean> => (await viewStatus())?.replicas.some((replica) => replica.region === region && replica.state === 'ready') === true;
const pull = async (region: string): Promise<MountAnswerBody> => {
  const authorization = await world.authorizationOf('alice', APP);
  return (await world.client.pull(APP, 'v1', { authorization, 'x-teleport-region': region })).body;
};
const fileOf = (answer: MountAnswerBody, digest: string): string => {
  const mounted = [answer.image, ...answer.layers.filter((layer) => layer.kind === 'mount')].find((each) => each?.digest === digest);
  return mounted?.mounts.find((mount) => mount.type === 'file')?.source ?? '';
};
const filesIn = async (folder: string): Promise<string[]> => (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile()).map((entry) => entry.name);

describe('the merged view of an image', () => {
  let pinId = '';
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'translocator-view-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('is expanded at home after its layers, and stands in the status of the image', async () => {
    await eventually('the view is at home', () => isReadyIn(HOME));
    expect(await viewStatus()).toMatchObject({ digest: view, state: 'expanded', percent: 100, verity: { rootHash: expect.stringMatching(/^[0-9a-f]{64}$/) } });
    const status = (await world.client.status(APP, 'v1'))!.images[0]!;
    expect([status.layers.length, status.expandedLayerCount, status.regions.find((each) => each.region === HOME)?.layerCount]).toEqual([3, 3, 3]);
  });

  it('is in the answer at home, with its devices in order, under the lease', async () => {
    const answer = await eventually('lookups know of it', async () => {
      const seen = await pull(HOME);
      return seen.image !== undefined && seen;
    });
    expect(answer.image).toMatchObject({ digest: view, filesystem: 'erofs', devices: answer.layers.map((layer) => ({ digest: layer.digest, vhd: layer.kind === 'mount' && layer.vhd })) });
    expect(answer.image!.devices.map(({ digest }) => digest)).toEqual(layers);
    expect(answer.image!.verity!.hashOffset).toBeLessThan(answer.image!.vhd.sizeBytes);
    expect(answer.lease).toBeDefined();
  });

  it('goes wherever the image goes, and is in the answer there', async () => {
    expect((await pull(EAST)).image).toBeUndefined();
    const pin = await world.client.admin<PinEntry>('pins', { method: 'POST', json: { repository: APP, reference: 'v1', regions: [EAST] } });
    pinId = pin.body.id;
    const answer = await eventually('the answer in the region has it', async () => {
      const seen = await pull(EAST);
      return seen.image !== undefined && seen;
    });
    expect(answer.image!.mounts.every((mount) => mount.region === EAST)).toBe(true);
    expect(answer.layers.every((layer) => layer.kind === 'mount')).toBe(true);
  });

  it('is rewritten for a region with the sources there, and named to a registry that names all layers', async () => {
    const atHome = await pull(HOME);
    const headers = { authorization: `Bearer ${TOKENS.service}` };
    const rewritten = await world.client.call<MountAnswerBody>('/v1/rewrite', { method: 'POST', json: { response: atHome, region: EAST }, headers });
    expect(rewritten.body.image).toMatchObject({ digest: view, devices: atHome.image!.devices, mounts: (await pull(EAST)).image!.mounts.map(({ type, region }) => ({ type, region })) });
    expect(rewritten.body.layers).toMatchObject(atHome.layers.map((layer) => ({ verity: layer.kind === 'mount' ? layer.verity : undefined })));
    const lookup = (named: readonly string[]) => world.client.call<MountAnswerBody>('/v1/lookup', { method: 'POST', json: { repository: APP, manifest: pushed.digest, layers: named, region: EAST }, headers });
    expect((await lookup(layers)).body.image?.digest).toBe(view);
    expect((await lookup(layers.slice(1))).body.image).toBeUndefined();
  });

  it.skipIf(!canMountLayers())('shows what the overlay of the layers shows, from the files of the region', async () => {
    const answer = await pull(EAST);
    const folders = ['l0', 'l1', 'l2', 'overlay', 'view'].map((name) => join(folder, name));
    for (const each of folders) await mkdir(each);
    const [l0 = '', l1 = '', l2 = '', overlay = '', viewed = ''] = folders;
    await using mounted = new AsyncDisposableStack();
    for (const [n, at] of [l0, l1, l2].entries()) mounted.use(await mountLayer(fileOf(answer, layers[n]!), at));
    mounted.use(await mountOverlay([l0, l1, l2], overlay));
    const devices = answer.image!.devices.map(({ digest }) => fileOf(answer, digest));
    mounted.use(await mountView({ file: fileOf(answer, view), devices, through: 'loops' }, viewed));
    expect(await compareTrees(viewed, overlay)).toEqual([]);
    expect((await readdir(join(viewed, 'etc'))).toSorted()).toEqual(['motd', 'version']);
  });

  it('drains with the image when nothing wants it in the region any more, and stays at home', async () => {
    const region = join(fileOf(await pull(EAST), view), '..', '..', '..');
    expect(await filesIn(region)).toHaveLength(4);
    expect((await world.client.admin(`pins/${pinId}`, { method: 'DELETE' })).status).toBe(204);
    await eventually('the region is empty', async () => (await world.client.replicas()).every((replica) => replica.share !== EAST), { withinMs: 60_000 });
    expect(await filesIn(region)).toEqual([]);
    expect(await isReadyIn(HOME)).toBe(true);
    expect((await pull(EAST)).image).toBeUndefined();
  });

  it('is gone from every share when the image is deleted', async () => {
    const home = join(fileOf(await pull(HOME), view), '..', '..', '..');
    expect(await filesIn(home)).toHaveLength(4);
    await deleteManifest(await world.target(APP), pushed.digest);
    await notify(world.client, { repository: APP, digest: pushed.digest, action: 'delete' });
    await eventually('no replica is left', async () => (await world.client.replicas()).length === 0, { withinMs: 60_000 });
    expect(await filesIn(home)).toEqual([]);
  });
});
