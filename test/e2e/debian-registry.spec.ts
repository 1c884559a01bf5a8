import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { MountAnswerBody, RepositoryEntry } from '#contract';
import { TEST_POSTGRES_URL } from '#database/testing';
import { canMountLayers, hasProgram, mountLayer } from '#expansion/testing';
import { pushImage } from '#registry/local';

import { Buildah } from './support/buildah.js';
import { REGISTRY_PROGRAM, startDebianRegistry } from './support/debian-registry.js';
import { eventually } from './support/eventually.js';
import { freePort } from './support/free-port.js';
import { run } from './support/programs.js';
import { sendRaw } from './support/raw-http.js';
import { smallImage } from './support/real-layers.js';
import type { ServiceClient } from './support/service-client.js';
import { startService } from './support/start-service.js';
import { temporaryDatabase } from './support/temporary-database.js';

const serverUrl = process.env[TEST_POSTGRES_URL];
const available = serverUrl !== undefined && process.getuid?.() === 0 && existsSync(REGISTRY_PROGRAM) && hasProgram('skopeo') && hasProgram('buildah');
/** Tags of a repository that was there before anybody enabled it: more than are examined at once. */
const OLD_TAGS = 16;
/** As many as one process examines at once. */
const EXAMINED_AT_ONCE = 8;
const EASTUS = { 'x-teleport-region': 'eastus' };

describe.skipIf(!available)('an image of buildah, pushed by skopeo to Debian\'s docker-registry, on PostgreSQL', () => {
  const undo = new AsyncDisposableStack();
  const log: string[] = [];
  let folder: string;
  let registryUrl: string;
  let client: ServiceClient;
  let buildah: Buildah;

  const push = async (image: string, name: string, ...options: string[]): Promise<string> => {
    await run('skopeo', ['copy', '--insecure-policy', '--dest-tls-verify=false', ...options, await buildah.layout(image), `docker://${new URL(registryUrl).host}/${name}`]);
    const [repository = '', tag = ''] = name.split(':');
    const accept = 'application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json';
    const { headers } = await sendRaw(registryUrl, `/v2/${repository}/manifests/${tag}`, { method: 'HEAD', headers: { accept } });
    return String(headers['docker-content-digest']);
  };
  const deleteManifest = async (repository: string, digest: string): Promise<void> => {
    expect((await sendRaw(registryUrl, `/v2/${repository}/manifests/${digest}`, { method: 'DELETE' })).status).toBe(202);
  };
  const filesOf = (answer: MountAnswerBody): string[] =>
    answer.layers.map((layer) => (layer.kind === 'mount' ? (layer.mounts.find((mount) => mount.type === 'file')?.source ?? '') : ''));
  /** Every expanded layer on every share, whole or not. */
  const storedFiles = async (): Promise<string[]> => (await readdir(join(folder, 'service', 'shares'), { recursive: true })).filter((name) => name.endsWith('.vhd'));

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'translocator-e2e-'));
    undo.defer(() => rm(folder, { recursive: true, force: true }));
    const database = undo.use(await temporaryDatabase(serverUrl ?? ''));
    buildah = new Buildah(join(folder, 'buildah'));
    await buildah.buildImages();
    const port = await freePort();
    registryUrl = `http://127.0.0.1:${port}`;
    const service = await startService(
      { folder: join(folder, 'service'), registryUrl },
      { overrides: { database: { kind: 'server' }, log: { level: 'info' } }, environment: { TRANSLOCATOR_DATABASE_URL: database.url }, onLog: (line) => log.push(line) },
    );
    undo.defer(() => service.translocator.stop());
    client = service.client;
    undo.defer(await startDebianRegistry({ folder: join(folder, 'registry'), port, notifyUrl: `${client.url}/notifications` }));
  }, 300_000);
  afterAll(() => undo.disposeAsync());

  it('examines the tags that were there before, the newest image first, and tells how far it is', async () => {
    // Named so that the registry's own order is the wrong one.
    const tags = Array.from({ length: OLD_TAGS }, (_, age) => `age-${String.fromCharCode('z'.charCodeAt(0) - age)}`);
    const day = 24 * 3600 * 1000;
    for (const [age, tag] of tags.entries()) {
      await pushImage({ url: registryUrl, repository: 'team/many' }, tag, { ...smallImage('many'), createdAt: new Date(Date.UTC(2026, 0, 31) - age * day) });
    }
    // What the pushes were told of is looked at, and left alone, before anybody enables the repository.
    await eventually('the notifications are over', async () => Number(/^translocator_work_total\{loop="examine",outcome="settled"\} (\d+)$/m.exec((await client.call('/metrics')).text)?.[1]) >= OLD_TAGS);
    await client.enable('team/many');
    const backfill = await eventually('the backfill is done', async () => {
      const { body } = await client.admin<RepositoryEntry>('repositories/team/many');
      return body.backfill.state === 'done' && body.backfill;
    });
    expect(backfill).toMatchObject({ totalCount: OLD_TAGS, doneCount: OLD_TAGS, percent: 100, startedAt: expect.any(String), finishedAt: expect.any(String) });
    const recorded = log.flatMap((line) => {
      const { msg, repository, reference } = JSON.parse(line) as { msg: string; repository?: string; reference?: { tag?: string } };
      return msg === 'an image was recorded' && repository === 'team/many' ? [reference?.tag] : [];
    });
    expect(new Set(recorded)).toEqual(new Set(tags));
    for (const [turn, tag] of recorded.entries()) expect(tags.indexOf(tag ?? '') - turn).toBeLessThan(EXAMINED_AT_ONCE);
  });

  it('is expanded at home as soon as the registry has told of it', async () => {
    await client.enable('team/app');
    const digest = await push('app', 'team/app:v1');
    const image = await eventually('the image is expanded', () => client.readyIn('westeurope', 'team/app', 'v1'));
    expect(image).toMatchObject({ digest, expandedLayerCount: 3, platform: 'linux/amd64' });
    expect(image.layers.map(({ state, percent }) => [state, percent])).toEqual([['expanded', 100], ['expanded', 100], ['expanded', 100]]);
    expect(image.regions.find((each) => each.region === 'eastus')).toMatchObject({ state: 'none', readyLayerCount: 0, layerCount: 3, percent: 0, reasons: ['REPLICA_NONE'] });
  });

  it('is blobs with reasons for eastus, and these pulls are observed', async () => {
    // Lookups follow the database, a moment behind.
    await eventually('lookups know of the image', async () => (await client.pull('team/app', 'v1', { 'x-teleport-region': 'westeurope' })).body.layers.every((layer) => layer.kind === 'mount'));
    for (const node of ['node-1', 'node-2', 'node-3', 'node-4']) {
      const { status, body } = await client.pull('team/app', 'v1', { ...EASTUS, 'user-agent': node });
      expect(status).toBe(200);
      if (node !== 'node-1') continue;
      for (const layer of body.layers) {
        expect(layer).toMatchObject({ kind: 'blob', reason: 'REPLICA_NONE', url: `/v2/team/app/blobs/${layer.digest}` });
        expect((await sendRaw(registryUrl, layer.kind === 'blob' ? layer.url : '', { method: 'HEAD' })).status).toBe(200);
      }
    }
    const demand = await eventually('the pulls are merged', async () => {
      const { body } = await client.admin<{ items: { region: string; weight: number }[] }>('demand?region=eastus&repository=team/app');
      return body.items[0]?.weight !== undefined && body.items[0].weight > 3.9 && body.items[0];
    });
    expect(demand.weight).toBeLessThanOrEqual(4);
  });

  it('is mounted in eastus after the scheduler has brought it there, byte for byte as at home', async () => {
    const answer = await eventually('every layer is a mount', async () => {
      const { body } = await client.pull('team/app', 'v1', EASTUS);
      return body.layers.every((layer) => layer.kind === 'mount') && body;
    });
    for (const layer of answer.layers) expect(layer.kind === 'mount' && layer.mounts.every((mount) => mount.region === 'eastus')).toBe(true);
    expect(await client.readyIn('eastus', 'team/app', 'v1')).toBeDefined();
    const { body: home } = await client.pull('team/app', 'v1', { 'x-teleport-region': 'westeurope' });
    for (const [index, file] of filesOf(answer).entries()) {
      const source = filesOf(home)[index] ?? '';
      expect(source).not.toBe(file);
      await run('cmp', [source, file]);
    }
  });

  it.skipIf(!canMountLayers())('is a filesystem with the files of its build, the deleted one hidden', async () => {
    const files = filesOf((await client.pull('team/app', 'v1', EASTUS)).body);
    const [base = '', libraries = '', app = ''] = files.map((_, index) => join(folder, `mounted-${index}`));
    await using mounted = new AsyncDisposableStack();
    for (const [index, root] of [base, libraries, app].entries()) {
      await mkdir(root);
      mounted.use(await mountLayer(files[index] ?? '', root));
    }
    expect((await readFile(join(base, 'licenses/GPL-2'))).equals(await readFile('/usr/share/common-licenses/GPL-2'))).toBe(true);
    await run('cmp', [process.execPath, join(libraries, 'bin/node')]);
    expect(await readFile(join(app, 'app.js'), 'utf8')).toContain('from the image');
    expect((await stat(join(app, 'app.js'))).mode & 0o777).toBe(0o640);
    const whiteout = await stat(join(app, 'licenses/GPL-2'));
    expect([whiteout.isCharacterDevice(), whiteout.rdev]).toEqual([true, 0]);
  });

  it('brings the next tag to eastus before anybody pulls it there', async () => {
    const digest = await push('next', 'team/app:v2');
    const image = await eventually('the next image is in eastus', () => client.readyIn('eastus', 'team/app', 'v2'));
    expect(image.digest).toBe(digest);
    const { body } = await client.admin<{ items: { image: string }[] }>('demand?region=eastus&repository=team/app');
    expect(body.items.map((entry) => entry.image)).not.toContain(digest);
  });

  it('has the same layers as a Docker image, which need no second expansion', async () => {
    const digest = await push('app', 'team/app:docker', '--format', 'v2s2');
    const docker = await eventually('the Docker image is whole at home', () => client.readyIn('westeurope', 'team/app', 'docker'));
    const oci = await client.readyIn('westeurope', 'team/app', 'v1');
    expect(docker.digest).toBe(digest);
    expect(docker.digest).not.toBe(oci?.digest);
    expect(docker.layers.map((layer) => layer.digest)).toEqual(oci?.layers.map((layer) => layer.digest));
    await eventually('every layer of it is a mount in eastus', async () => (await client.pull('team/app', 'docker', EASTUS)).body.layers.every((layer) => layer.kind === 'mount'));
  });

  it('leaves every region when its manifests are deleted or its repository is disabled', async () => {
    expect((await storedFiles()).length).toBeGreaterThan(4);
    for (const tag of ['v1', 'v2', 'docker']) await deleteManifest('team/app', (await client.status('team/app', tag))?.digest ?? '');
    await eventually('the service has heard of it', async () => (await client.pull('team/app', 'v1', EASTUS)).status === 404);
    expect((await client.admin('repositories/team/many', { method: 'PUT', json: { teleportEnabled: false } })).status).toBe(200);
    await eventually('no replica is left', async () => (await client.replicas()).length === 0, { withinMs: 60_000 });
    expect(await storedFiles()).toEqual([]);
    expect(await client.status('team/app', 'v1')).toBeUndefined();
  }, 300_000);
});
