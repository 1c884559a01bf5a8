import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { PlanBody } from '#contract';
import type { Digest } from '#oci';
import { type ImageToPush, LocalRegistry, type PushedManifest, pushImage } from '#registry/local';
import { LAYER_FILE_VERSION, layerFilePath } from '#shares';

import type { Translocator } from '../../apps/translocator/src/translocator.js';
import { eventually } from './support/eventually.js';
import { sendRaw } from './support/raw-http.js';
import { bigLayer, gzipLayer } from './support/real-layers.js';
import type { ServiceClient } from './support/service-client.js';
import { startService } from './support/start-service.js';

const [HOME, EAST] = ['westeurope', 'eastus'];
const MiB = 2 ** 20;
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const IMAGES: Readonly<Record<'pulled' | 'passing' | 'broken', ImageToPush>> = {
  // One layer, so that it has no merged view, which a plan would copy.
  pulled: { layers: [bigLayer('six megabytes', 6 * MiB)] },
  passing: { layers: [gzipLayer({ name: 'unpulled.txt', contents: 'nobody asked for the image\n' })] },
  broken: { layers: ['cut', 'wrong', 'half', 'later'].map((name) => gzipLayer({ name: `${name}.txt`, contents: Buffer.alloc(100_000, name) })) },
};

const undo = new AsyncDisposableStack();
let registry: LocalRegistry;
let client: ServiceClient;
let translocator: Translocator;
let folder: string;
const pushed = new Map<string, PushedManifest>();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'translocator-e2e-'));
  undo.defer(() => rm(folder, { recursive: true, force: true }));
  registry = await LocalRegistry.start();
  undo.defer(() => registry.stop());
  // Nothing is worth a copy by what is expected: what is in the region came by what passed.
  const placement = { every: '1d', minimumExpectedPulls: 1000, hitImages: 0, smallLayersRatio: 0, reactiveRatio: 0.5 };
  // All but a byte goes by the disk: what stays in memory leaves less behind.
  ({ client, translocator } = await startService({ folder, registryUrl: registry.url }, { overrides: { gateway: { enabled: true, region: EAST, keep: { memory: 1 } }, placement } }));
  undo.defer(() => translocator.stop());
  for (const [name, image] of Object.entries(IMAGES)) {
    await client.enable(`team/${name}`);
    pushed.set(name, await pushImage({ url: client.url, repository: `team/${name}` }, 'v1', image));
  }
  for (const name of pushed.keys()) await eventually(`${name} is whole at home`, () => client.readyIn(HOME!, `team/${name}`, 'v1'));
});
afterAll(() => undo.disposeAsync());

const layersOf = (name: string): readonly Digest[] => pushed.get(name)!.layers;
const fetchBlob = async (name: string, digest: string, headers: Record<string, string> = {}): Promise<{ readonly status: number; readonly bytes: Buffer }> => {
  const answer = await fetch(`${client.url}/v2/team/${name}/blobs/${digest}`, { headers, redirect: 'manual' });
  return { status: answer.status, bytes: Buffer.from(await answer.arrayBuffer()) };
};
const stateOf = async (digest: string): Promise<string | undefined> => (await client.replicas()).find(({ layer, share }) => layer === digest && share === EAST)?.state;
const traffic = (region: string) => translocator.resources.emulator!.traffic()[region]!;
const fileOf = (region: string, layer: Digest): string => join(translocator.resources.emulator!.shareFolder(region, 'layers'), layerFilePath(layer, LAYER_FILE_VERSION));
const counted = async (series: string): Promise<number> => Number(new RegExp(`^${series.replaceAll(/[{}]/g, '\\$&')} (\\S+)$`, 'm').exec((await client.call('/metrics')).text)?.[1] ?? 0);
const outcome = (what: string, reason: string): Promise<number> => counted(`translocator_gateway_layers_total{outcome="${what}",reason="${reason}"}`);

/** Waits until so many layers were kept in all: a plan may take one away at any time after that. */
const keptOf = (count: number): Promise<true> => eventually(`${count} layers are kept`, async () => (await outcome('kept', 'UNORDERED')) === count && (true as const));

/** Has everything planned, and waits until that is ordered. */
async function plan(): Promise<void> {
  const before = (await client.admin<PlanBody>(`plans/${EAST}`)).body.id;
  await client.admin('plans', { method: 'POST' });
  await eventually('a plan is made', async () => {
    const { body, status } = await client.admin<PlanBody>(`plans/${EAST}`);
    return status === 200 && body.id !== before && body.trigger === 'operator' && body.orderedAt !== undefined;
  });
}

describe('an image that is pulled through the gateway of its region', () => {
  it('is mounted there afterwards, though no byte left the home share for it', async () => {
    const [layer] = layersOf('pulled') as [Digest];
    const { status, bytes } = await fetchBlob('pulled', layer);
    expect([status, bytes.equals(IMAGES.pulled.layers[0]!.bytes)]).toEqual([200, true]);
    await keptOf(1);
    expect([traffic(HOME!).copyOutBytes, traffic(EAST!).copyInBytes]).toEqual([0, 0]);
    expect((await readFile(fileOf(EAST!, layer))).equals(await readFile(fileOf(HOME!, layer)))).toBe(true);
    expect(await counted('translocator_gateway_kept_bytes_total{ordered="no"}')).toBeGreaterThan(6 * MiB);
    await eventually('it is mounted from its region', async () => {
      const { body } = await client.pull('team/pulled', 'v1', { 'x-teleport-region': EAST! });
      return body.layers.every((layer) => layer.kind === 'mount' && layer.mounts[0]?.region === EAST);
    });
  });

  it('counts as pulled there without its nodes saying so', async () => {
    const weight = async (): Promise<number> => (await client.admin<{ items: { region: string; weight: number }[] }>('demand')).body.items.find(({ region }) => region === EAST)?.weight ?? 0;
    await eventually('the lookup is counted', async () => (await weight()) > 0.9);
    expect((await sendRaw(client.url, '/v2/team/pulled/manifests/v1', { headers: { accept: MANIFEST, 'x-teleport-node': 'another' } })).status).toBe(200);
    await eventually('the pull is counted', async () => (await weight()) > 1.9);
  });

  it('stays with the next plan, because it passed', async () => {
    await plan();
    expect(await stateOf(layersOf('pulled')[0]!)).toBe('ready');
  });
});

describe('a layer that passes', () => {
  it('stays with the next plan until more passes than there is room for, whether its image was pulled or not', async () => {
    const [layer] = layersOf('passing') as [Digest];
    await fetchBlob('passing', layer);
    await keptOf(2);
    await plan();
    expect(await stateOf(layer)).toBe('ready');
  });

  it('in part, to another region, or from elsewhere is not kept', async () => {
    const [, , half] = layersOf('broken') as Digest[];
    expect((await fetchBlob('broken', half!, { range: 'bytes=0-9' })).bytes.length).toBe(10);
    await fetchBlob('broken', half!, { 'x-teleport-region': 'southeastasia' });
    registry.faults.add({ part: 'blobs', target: half! }, { kind: 'redirect', to: 'http://storage.test/blob' });
    expect((await fetchBlob('broken', half!)).status).toBe(307);
    expect(await Promise.all(['NOT_WHOLE', 'OTHER_REGION', 'REDIRECTED'].map((reason) => outcome('declined', reason)))).toEqual([1, 1, 1]);
    expect(await stateOf(half!)).toBeUndefined();
  });

  it('and comes cut or wrong reaches the client as it is, and leaves nothing', async () => {
    const [cut, wrong, , later] = layersOf('broken') as [Digest, Digest, Digest, Digest];
    registry.faults.add({ part: 'blobs', target: cut }, { kind: 'cut', afterBytes: 50 });
    await expect(fetchBlob('broken', cut)).rejects.toThrow(/terminated|fetch failed/);
    registry.faults.add({ part: 'blobs', target: wrong }, { kind: 'wrong-byte', at: 30 });
    expect((await fetchBlob('broken', wrong)).bytes.equals(IMAGES.broken.layers[1]!.bytes)).toBe(false);
    await eventually('it was given up', async () => (await outcome('failed', 'DIGEST_MISMATCH')) === 1 && (await stateOf(wrong)) === undefined);
    expect(await outcome('given-up', 'CUT')).toBe(1);
    expect(await stateOf(cut)).toBeUndefined();
    await fetchBlob('broken', later);
    await keptOf(3);
    expect(await readdir(join(translocator.resources.emulator!.shareFolder(EAST!, 'layers'), '.partial'))).toEqual([]);
    // It is let go after it was counted as kept.
    await eventually('nothing is set aside any more', async () => (await counted('translocator_gateway_spooled_bytes')) === 0 && (await readdir(join(folder, 'gateway'))).length === 0);
  });
});
