import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { MountAnswerBody } from '#contract';
import { LocalRegistry, pushImage } from '#registry/local';

import { buildProgram } from './support/built-program.js';
import { eventually } from './support/eventually.js';
import { run } from './support/programs.js';
import { bigLayer, smallImage } from './support/real-layers.js';
import { notify } from './support/registry-events.js';
import { type ServiceClient, TOKENS } from './support/service-client.js';
import { ServiceProcess } from './support/service-process.js';

const MiB = 2 ** 20;
const BIG_BYTES = 24 * MiB;
/** Examinations that one process has under way at the same time. */
const EXAMINED_AT_ONCE = 8;
/** How long a new process may take to find and finish what a dead one had claimed: the longest of its leases, a minute, and the work. */
const TAKEN_OVER_MAX_MS = 90_000;

let folder: string;
let main: string;
let registry: LocalRegistry;
let service: ServiceProcess | undefined;
const undo = new AsyncDisposableStack();

/** Links so slow that a copy of {@link BIG_BYTES} takes some seconds. */
const SLOW = { placement: { every: '5s', smallLayersRatio: 0 }, regions: { defaultLink: { roundTripMs: 100, throughput: '3MB', pricePerGb: 0.05 } } };
const options = (overrides: Readonly<Record<string, unknown>> = {}) => ({ main, folder, registryUrl: registry.url, overrides: { log: { level: 'info' }, ...SLOW, ...overrides } });

async function start(overrides: Readonly<Record<string, unknown>> = {}): Promise<ServiceClient> {
  service = await ServiceProcess.start(options(overrides));
  return service.client;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'translocator-e2e-'));
  undo.defer(() => rm(folder, { recursive: true, force: true }));
  main = undo.use(await buildProgram()).main;
  registry = await LocalRegistry.start();
  undo.defer(() => registry.stop());
  undo.defer(async () => service?.kill());
}, 300_000);
afterAll(() => undo.disposeAsync());

const push = (repository: string, tag: string, image: Parameters<typeof pushImage>[2]) => pushImage({ url: registry.url, repository }, tag, image);
const pullFrom = async (client: ServiceClient, region: string, reference = 'v1'): Promise<MountAnswerBody> => (await client.pull('team/app', reference, { 'x-teleport-region': region })).body;
/** The files of the layers that an answer mounts. */
const filesOf = (answer: MountAnswerBody): string[] =>
  answer.layers.flatMap((layer) => (layer.kind === 'mount' ? layer.mounts.filter((mount) => mount.type === 'file').map((mount) => mount.source) : []));
/** Files that somebody began and did not finish, on all shares. */
const partialFiles = async (): Promise<string[]> =>
  (await readdir(join(folder, 'state/shares'), { recursive: true })).filter((name) => name.includes('.partial/') && name.endsWith('.vhd'));

async function digestOfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return `sha256:${hash.digest('hex')}`;
}

/** Asks until the image is mounted in a region, and checks every file that is handed out on the way. */
async function mountedIn(client: ServiceClient, region: string, within: { readonly withinMs?: number } = {}): Promise<void> {
  const home = filesOf(await pullFrom(client, 'westeurope'));
  await eventually(`the image is mounted in ${region}`, async () => {
    const answer = await pullFrom(client, region);
    for (const file of filesOf(answer)) await run('cmp', [file, home.find((each) => each.endsWith(file.slice(file.lastIndexOf('/')))) ?? '']);
    return answer.layers.every((layer) => layer.kind === 'mount');
  }, within);
}

describe('a process that is killed', () => {
  it('in the middle of an expansion leaves nothing that is served, and its successor expands the layer', async () => {
    const layer = bigLayer('big.bin', BIG_BYTES);
    const { layers } = await push('team/app', 'v1', { layers: [layer] });
    registry.faults.add({ part: 'blobs', method: 'GET', target: layers[0] ?? '' }, { kind: 'stall', afterBytes: 20 * MiB });
    const first = await start();
    await first.enable('team/app');
    await eventually('a part of the layer is written', async () => (await first.status('team/app', 'v1'))?.images[0]?.layers[0]?.state === 'expanding' && (await partialFiles()).length > 0);
    await eventually('a pull is told of it', async () => (await first.pull('team/app', 'v1', { 'x-teleport-region': 'westeurope' })).status === 409);
    await service?.kill();

    const second = await start();
    expect((await second.replicas()).filter((replica) => replica.state === 'ready')).toEqual([]);
    const image = await eventually('the layer is expanded', () => second.readyIn('westeurope', 'team/app', 'v1'), { withinMs: TAKEN_OVER_MAX_MS });
    const [file = ''] = filesOf(await eventually('it is mounted', async () => {
      const answer = await pullFrom(second, 'westeurope');
      return answer.layers?.[0]?.kind === 'mount' && answer;
    }));
    expect(await digestOfFile(file)).toBe(image.layers[0]?.vhd?.digest);
    expect(await partialFiles()).toEqual([]);
  }, 300_000);

  it('right after it has accepted notifications loses none of them', async () => {
    const client = service!.client;
    const tags = Array.from({ length: EXAMINED_AT_ONCE + 2 }, (_, number) => `told-${number}`);
    for (const tag of tags) {
      await push('team/app', tag, smallImage(tag));
      registry.faults.add({ part: 'manifests', target: tag }, { kind: 'silence' }, 100);
    }
    const { status, body } = await notify(client, ...tags.map((tag) => ({ action: 'push', repository: 'team/app', tag }) as const));
    expect([status, body]).toEqual([202, { accepted: tags.length, repeated: 0, skipped: 0 }]);
    const asked = (): number => registry.seen.filter(({ method, path }) => method !== 'PUT' && path.includes('/manifests/told-')).length;
    await eventually('as many as can be are being examined', () => asked() >= EXAMINED_AT_ONCE);
    await service?.kill();
    registry.faults.clear();

    const successor = await start();
    // The others were claimed by the one that died, for a minute; the last test waits for them.
    await eventually('what nobody had begun is done at once', async () => (await Promise.all(tags.map((tag) => successor.readyIn('westeurope', 'team/app', tag)))).filter((image) => image !== undefined).length >= 2);
  }, 300_000);

  it('in the middle of a copy leaves nothing that is served, and its successor makes the copy whole', async () => {
    const client = service!.client;
    await client.admin('pins', { method: 'POST', json: { repository: 'team/app', reference: 'v1', regions: ['eastus'] } });
    // Its predecessor may have died while planning; its turn at that lasts a minute.
    await eventually('the copy is under way', async () => (await partialFiles()).some((name) => name.startsWith('eastus/')), { withinMs: TAKEN_OVER_MAX_MS });
    await eventually('a pull is told of it', async () => {
      const [layer] = (await pullFrom(client, 'eastus')).layers;
      return layer?.kind === 'blob' && layer.reason === 'REPLICA_COPYING';
    });
    await service?.kill();
    expect((await partialFiles()).some((name) => name.startsWith('eastus/'))).toBe(true);

    // Claims of this one hold for long: see the next test.
    const successor = await start({ replication: { claimLease: '30m', poll: '250ms' }, server: { shutdownGrace: '100ms' } });
    await eventually('the map knows the image', async () => (await pullFrom(successor, 'eastus')).layers?.[0]?.kind === 'blob');
    await eventually('another attempt is made', async () => (await successor.replicas()).some(({ share, state, attempts }) => share === 'eastus' && state === 'copying' && attempts >= 2));
    await mountedIn(successor, 'eastus', { withinMs: TAKEN_OVER_MAX_MS });
    // The images that were told of before are wanted there too, and may be on their way still.
    const [hex = ''] = filesOf(await pullFrom(successor, 'eastus')).map((file) => /^[0-9a-f]{64}/.exec(basename(file))?.[0]);
    expect(hex).toHaveLength(64);
    expect((await partialFiles()).filter((name) => name.includes(hex))).toEqual([]);
    await eventually('nothing is left half-made', async () => (await partialFiles()).length === 0, { withinMs: TAKEN_OVER_MAX_MS });
  }, 360_000);
});

describe('a process that is asked to stop', () => {
  it('gives back what it works on, so that its successor goes on at once', async () => {
    const client = service!.client;
    await client.admin('pins', { method: 'POST', json: { repository: 'team/app', reference: 'v1', regions: ['southeastasia'] } });
    await eventually('the copy is under way', async () => (await partialFiles()).some((name) => name.startsWith('southeastasia/')), { withinMs: TAKEN_OVER_MAX_MS });
    expect(await service?.stop()).toBe(0);
    expect(service?.log()).toContainEqual(expect.objectContaining({ loop: 'copy', share: 'southeastasia', outcome: 'released' }));
    expect(service?.log().at(-1)).toMatchObject({ msg: 'the service has stopped' });

    const successor = await start();
    await eventually('the map knows the image', async () => (await pullFrom(successor, 'westeurope')).layers?.[0]?.kind === 'mount');
    await mountedIn(successor, 'southeastasia', { withinMs: TAKEN_OVER_MAX_MS });
  }, 300_000);
});

describe('the program', () => {
  const secrets = { ...TOKENS, database: 'secret-of-the-database', registry: 'secret-of-the-registry', key: Buffer.alloc(64, 'secret').toString('base64') };

  it('refuses a folder that another one uses, and says which process that is', async () => {
    const second = await ServiceProcess.runToEnd(options());
    expect(second.code).toBe(1);
    expect(second.complaints).toContain(`is in use by the process ${service?.pid}`);
    expect((await service!.client.call('/livez')).status).toBe(200);
  }, 300_000);

  it('prints its configuration without a secret', async () => {
    const environment = {
      TRANSLOCATOR_DATABASE_URL: `postgres://u:${secrets.database}@127.0.0.1/x`, TRANSLOCATOR_REGISTRY_PASSWORD: secrets.registry, TRANSLOCATOR_SHARE_KEYS: `acct=${secrets.key}`,
    };
    const { code, output, complaints } = await ServiceProcess.runToEnd({ ...options({ registry: { username: 'me' } }), environment, args: ['--print-config'] });
    expect([code, complaints]).toEqual([0, '']);
    expect(output).toContain('username: me');
    expect(output).toContain('- adminToken');
    for (const secret of Object.values(secrets)) expect(output).not.toContain(secret);
  });

  it('tells every problem of a configuration at once, never a secret, and exits with 2', async () => {
    const config = 'server: { port: 99999, hots: x }\nregions: { home: mars }\nexpansion: { claimLease: soon }\n';
    const environment = { TRANSLOCATOR_ADMIN_TOKEN: 'short-secret', TRANSLOCATOR_PRT: '1', TRANSLOCATOR_PORT: '' };
    const { code, output, complaints } = await ServiceProcess.runToEnd({ ...options(), config, environment });
    expect([code, output]).toEqual([2, '']);
    for (const problem of ['server.port = 99999', 'server.hots', 'expansion.claimLease = "soon"', 'TRANSLOCATOR_ADMIN_TOKEN', 'TRANSLOCATOR_PRT']) expect(complaints).toContain(problem);
    expect(complaints).not.toContain('short-secret');
  });

  it.each([['--what'], ['lookup'], ['--role=cook']])('refuses %s with 2', async (argument) => {
    const { code, complaints } = await ServiceProcess.runToEnd({ ...options(), args: [argument] });
    expect(code).toBe(2);
    expect(complaints).toContain(argument.replace('--role=', ''));
  });

  it('has, after all these deaths, done everything that it was told', async () => {
    const client = service!.client;
    const tags = Array.from({ length: EXAMINED_AT_ONCE + 2 }, (_, number) => `told-${number}`);
    await eventually('every notified image is expanded', async () => {
      const images = await Promise.all(tags.map((tag) => client.readyIn('westeurope', 'team/app', tag)));
      return images.every((image) => image !== undefined);
    }, { withinMs: TAKEN_OVER_MAX_MS });
    expect(await service?.stop()).toBe(0);
  }, TAKEN_OVER_MAX_MS + 30_000);
});
