import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { hasProgram } from '#expansion/testing';

import { Buildah } from './support/buildah.js';
import { Containerd } from './support/containerd.js';
import { REGISTRY_PROGRAM, startDebianRegistry } from './support/debian-registry.js';
import { eventually } from './support/eventually.js';
import { freePort } from './support/free-port.js';
import { run } from './support/programs.js';
import { sendRaw } from './support/raw-http.js';
import type { ServiceClient } from './support/service-client.js';
import { startService } from './support/start-service.js';

const available = process.getuid?.() === 0 && existsSync(REGISTRY_PROGRAM) && ['skopeo', 'buildah', 'containerd', 'ctr'].every(hasProgram);
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
/** Nobody listens there: what the gateway notices, it notices by itself. */
const NOBODY = 'http://127.0.0.1:9';
/** A fetch of a few files, by a client that has to go on from one host to the next for each of them. */
const FETCH_MAX_MS = 15_000;

describe.skipIf(!available)('clients of a registry, through the gateway', () => {
  const undo = new AsyncDisposableStack();
  let folder: string;
  let client: ServiceClient;
  let gateway: string;
  let direct: string;
  let stopRegistry: () => Promise<void>;
  let buildah: Buildah;
  let digest: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'translocator-e2e-'));
    undo.defer(() => rm(folder, { recursive: true, force: true }));
    buildah = new Buildah(join(folder, 'buildah'));
    await buildah.layer('scratch', 'base', (_root, copy) => copy('/usr/share/common-licenses', '/licenses'));
    // Two of them over one folder: one behind the gateway, one that clients may go on to.
    const [behind, beside] = [await freePort(), await freePort()];
    stopRegistry = await startDebianRegistry({ folder: join(folder, 'registry'), port: behind, notifyUrl: NOBODY });
    undo.defer(() => stopRegistry());
    undo.defer(await startDebianRegistry({ folder: join(folder, 'registry'), port: beside, notifyUrl: NOBODY }));
    direct = `http://127.0.0.1:${beside}`;
    const overrides = { gateway: { enabled: true, hosts: ['registry.test'] }, registry: { enable: ['team/*'] } };
    const service = await startService({ folder: join(folder, 'service'), registryUrl: `http://127.0.0.1:${behind}` }, { overrides });
    undo.defer(() => service.translocator.stop());
    client = service.client;
    gateway = new URL(client.url).host;
  }, 300_000);
  afterAll(() => undo.disposeAsync());

  it('push with buildah, and the image is expanded without any notification', async () => {
    await buildah.push('base', `${gateway}/team/app:v1`);
    const image = await eventually('the image is whole at home', () => client.readyIn('westeurope', 'team/app', 'v1'));
    const { headers } = await sendRaw(client.url, '/v2/team/app/manifests/v1', { method: 'HEAD', headers: { accept: MANIFEST } });
    digest = String(headers['docker-content-digest']);
    expect(image.digest).toBe(digest);
  });

  it('pull with buildah and copy with skopeo: the same image', async () => {
    expect(await buildah.pull(`${gateway}/team/app:v1`)).toMatch(/^[0-9a-f]{64}$/);
    await run('skopeo', ['copy', '--quiet', '--insecure-policy', '--src-tls-verify=false', '--dest-tls-verify=false', `docker://${gateway}/team/app:v1`, `docker://${gateway}/team/copy:v1`]);
    const copied = await eventually('the copy is known', () => client.status('team/copy', 'v1'));
    expect(copied.images[0]?.digest).toBe(digest);
  });

  it('count as pulls from the region that they name, once for each node', async () => {
    const pull = (node: string, more: Readonly<Record<string, string>> = {}) => sendRaw(client.url, `/v2/team/app/manifests/${digest}`, { headers: { accept: MANIFEST, 'x-teleport-node': node, ...more } });
    for (const node of ['a', 'a', 'b']) await pull(node, { 'x-teleport-region': 'eastus' });
    await pull('c');
    await pull('d', { 'x-teleport-region': 'nowhere' });
    await sendRaw(client.url, `/v2/team/app/manifests/${digest}`, { method: 'HEAD', headers: { accept: MANIFEST, 'x-teleport-region': 'eastus', 'x-teleport-node': 'e' } });
    const demand = await eventually('the pulls are merged', async () => {
      const { body } = await client.admin<{ items: { image: string; count: number }[] }>('demand?region=eastus&repository=team/app');
      return body.items.length > 0 && body.items;
    });
    expect(demand).toEqual([expect.objectContaining({ image: digest })]);
    const { text } = await client.call('/metrics');
    expect(text).not.toContain('region="nowhere"');
  });

  it('delete, and the image is forgotten', async () => {
    await run('skopeo', ['delete', '--tls-verify=false', `docker://${gateway}/team/copy:v1`]);
    await eventually('the copy is forgotten', async () => (await client.status('team/copy', 'v1')) === undefined);
    expect((await client.status('team/app', 'v1'))?.images[0]?.digest).toBe(digest);
  });

  it('fetch with containerd from the gateway, and from the registry when either of both is away', async () => {
    await using containerd = await Containerd.start(join(folder, 'containerd'));
    const name = 'registry.test/team/app:v1';
    const fetched = async (hosts: readonly string[]): Promise<string[]> => {
      const startedAt = performance.now();
      const digests = await containerd.fetch(name, hosts);
      expect(performance.now() - startedAt).toBeLessThan(FETCH_MAX_MS);
      await containerd.forget(name);
      return digests;
    };
    const passed = async (): Promise<number> => Number(/gateway_requests_total{part="blobs",status="200"} (\d+)/.exec((await client.call('/metrics')).text)?.[1]);
    const before = await passed();
    const healthy = await fetched([client.url, direct]);
    expect(healthy).toContain(digest);
    // Config and layer came through the gateway.
    expect(await passed()).toBe(before + 2);
    expect(await fetched([NOBODY, direct])).toEqual(healthy);
    await stopRegistry();
    expect(await fetched([client.url, direct])).toEqual(healthy);
    expect(await passed()).toBe(before + 2);
    // It asked the gateway first. Blobs it may have kept: containerd removes their bytes some time after they were forgotten.
    expect((await client.call('/metrics')).text).toMatch(/gateway_requests_total{part="manifests",status="503"} [1-9]/);
    // And nothing of another registry's.
    await expect(containerd.fetch('other.test/team/app:v1', [client.url])).rejects.toThrow('not found');
  });
});
