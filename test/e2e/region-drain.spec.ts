import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { CloudEventBody, LeaseBody, MountAnswerBody, Problem, RegionStatus } from '#contract';
import { TEST_POSTGRES_URL } from '#database/testing';
import type { FileShareEmulator } from '#file-share-emulator';
import { startTemporaryEmulator, TEST_KEY } from '#file-share-emulator/testing';
import type { Digest } from '#oci';
import { LocalRegistry, pushImage } from '#registry/local';
import { LAYER_FILE_VERSION, layerFilePath } from '#shares';

import { eventually } from './support/eventually.js';
import { smallImage } from './support/real-layers.js';
import type { ServiceClient } from './support/service-client.js';
import { startService } from './support/start-service.js';
import { temporaryDatabase } from './support/temporary-database.js';

const POSTGRES_URL = process.env[TEST_POSTGRES_URL];
const HOME = 'westeurope';
const EAST = 'eastus';
/** Nobody wants anything there: plans for it show that planners are at work. */
const ASIA = 'southeastasia';
const REGIONS = [HOME, EAST, ASIA];

describe.skipIf(POSTGRES_URL === undefined)('the drain of a region, over two processes with one PostgreSQL', () => {
  const undo = new AsyncDisposableStack();
  let emulator: FileShareEmulator;
  let db: pg.Client;
  let one: { readonly client: ServiceClient; stop(): Promise<void> };
  let other: { readonly client: ServiceClient; stop(): Promise<void> };
  let layers: readonly Digest[];

  beforeAll(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'translocator-e2e-'));
    undo.defer(() => rm(folder, { recursive: true, force: true }));
    const { url } = undo.use(await temporaryDatabase(POSTGRES_URL ?? ''));
    emulator = await startTemporaryEmulator(REGIONS, { accounts: REGIONS.map((name) => ({ name, key: TEST_KEY, region: name })) });
    undo.defer(() => emulator.close());
    const registry = await LocalRegistry.start();
    undo.defer(() => registry.stop());
    const overrides = {
      database: { kind: 'server', poolSize: 5 },
      shares: { kind: 'azure', credential: 'key' },
      regions: { home: HOME, list: REGIONS.map((name) => ({ name, share: { account: name, endpoint: `${emulator.url}/${name}` } })) },
      replication: { claimLease: '2s', poll: '250ms', unreferencedGrace: '1d', releaseEvery: '500ms' },
    };
    const environment = { TRANSLOCATOR_DATABASE_URL: url, TRANSLOCATOR_SHARE_KEYS: REGIONS.map((name) => `${name}=${TEST_KEY}`).join(',') };
    const start = async (name: string): Promise<typeof one> => {
      const { client, translocator } = await startService({ folder: join(folder, name), registryUrl: registry.url }, { overrides, environment });
      return { client, stop: () => translocator.stop() };
    };
    one = await start('one');
    let oneStopped: Promise<void> | undefined;
    const { stop } = one;
    one = { client: one.client, stop: () => (oneStopped ??= stop()) };
    undo.defer(() => one.stop());
    other = await start('other');
    undo.defer(() => other.stop());
    db = new pg.Client({ connectionString: url });
    await db.connect();
    undo.defer(() => db.end());
    await pushImage({ url: registry.url, repository: 'team/app' }, 'v1', smallImage('base', 'app'));
    await one.client.enable('team/app');
    const pinned = await one.client.admin('pins', { method: 'POST', json: { repository: 'team/app', reference: 'v1', regions: [EAST] } });
    if (pinned.status !== 201) throw new Error(`pinning answered ${pinned.status}: ${pinned.text}`);
    await eventually('the image is in the other region', () => one.client.readyIn(EAST, 'team/app', 'v1'));
    await eventually('its merged view is, too', async () => (await rowsOn(EAST)).filter(({ state }) => state === 'ready').length === 3);
    layers = (await rowsOn(EAST)).map(({ layer }) => layer);
  }, 300_000);
  afterAll(() => undo.disposeAsync());

  const rowsOn = async (share: string): Promise<{ layer: Digest; state: string }[]> => (await db.query<{ layer: Digest; state: string }>('SELECT layer, state FROM replicas WHERE share = $1 ORDER BY layer', [share])).rows;
  const region = async ({ client }: typeof one, name = EAST): Promise<RegionStatus> => (await client.admin<RegionStatus>(`regions/${name}`)).body;
  const pullFrom = async ({ client }: typeof one): Promise<MountAnswerBody> => (await client.pull('team/app', 'v1', { 'x-teleport-enabled': 'true', 'x-teleport-region': EAST })).body;
  const told = async (type: string): Promise<CloudEventBody[]> => (await other.client.admin<{ items: CloudEventBody[] }>(`events?type=translocator.${type}&limit=500`)).body.items;

  it('is refused for the home region and for one that is not there, and changes nothing', async () => {
    expect(await one.client.admin<Problem>(`regions/${HOME}/drain`, { method: 'POST', json: {} })).toMatchObject({ status: 409, body: { code: 'HOME_REGION' } });
    expect((await one.client.admin('regions/mars/drain', { method: 'POST', json: {} })).status).toBe(404);
    expect((await one.client.admin('regions/mars')).status).toBe(404);
    expect((await one.client.admin(`regions/${EAST}/undrain`, { method: 'POST', json: {} })).status).toBe(200);
    expect(await region(other)).toMatchObject({ name: EAST, home: false, replicas: { ready: 3, draining: 0 } });
    expect((await region(other)).drain).toBeUndefined();
  });

  it('copies away what only that region has, waits for leases and open files, outlives the process that was asked, and ends with nothing left', async () => {
    const [last] = layers;
    if (last === undefined) throw new Error('there are three layers');
    // The view as well: a lease that is given before the map knows of it does not hold it.
    const { lease } = await eventually('the other region is given, whole', async () => {
      const answer = await pullFrom(other);
      return answer.image !== undefined && answer.layers.every(({ kind }) => kind === 'mount') && answer;
    });
    if (lease === undefined) throw new Error('a pull with mounts has a lease');
    // As often as a node renews it, a busy machine may be late.
    await eventually('the lease is written down, and holds for long', async () => (await db.query(`UPDATE leases SET expires_at = clock_timestamp() + interval '5 minutes' WHERE id = $1`, [lease.id])).rowCount === 1);
    const held = { account: EAST, share: 'layers', path: layerFilePath(last, LAYER_FILE_VERSION) };
    const handle = await emulator.control.openHandle(held, { sharing: 'read-write-delete' });
    await db.query('DELETE FROM replicas WHERE share = $1 AND layer = $2', [HOME, last]);
    const first = await one.client.admin<RegionStatus>(`regions/${EAST}/drain`, { method: 'POST', json: { reason: 'maintenance' } });
    expect(first).toMatchObject({ status: 202, body: { drain: { state: 'draining', reason: 'maintenance', orderedBy: 'admin', left: { replicas: { count: 3 } } } } });
    const again = await other.client.admin<RegionStatus>(`regions/${EAST}/drain`, { method: 'POST', json: { reason: 'another' } });
    expect([again.status, again.body.drain?.reason, again.body.drain?.since]).toEqual([202, 'maintenance', first.body.drain?.since]);
    await one.stop();
    await eventually('callers of the region get blobs, with a reason', async () => (await pullFrom(other)).layers.every((layer) => layer.kind === 'blob' && layer.reason === 'REPLICA_DRAINING'));
    const waiting = await eventually('it waits for the lease alone', async () => {
      const renewed = await other.client.call<LeaseBody>(`/v1/leases/${lease.id}`, { method: 'PUT' });
      expect(renewed.status).toBe(200);
      const { drain } = await region(other);
      return drain?.waitsFor.join(' ') === 'leases open-files removals' ? drain : undefined;
    });
    expect(waiting).toMatchObject({ state: 'draining', left: { replicas: { count: 3 }, last: { count: 0 }, leases: 1, openHandles: 1 } });
    expect((await rowsOn(HOME)).map(({ layer, state }) => [layer, state])).toEqual(layers.map((layer) => [layer, 'ready']));
    expect((await other.client.call(`/v1/leases/${lease.id}`, { method: 'DELETE' })).status).toBeLessThan(300);
    // One that many share is not released, but runs out; and instead of the time until which it was known to hold.
    await db.query('UPDATE leases SET expires_at = clock_timestamp() WHERE id = $1', [lease.id]);
    await db.query(`UPDATE replicas SET not_before = '-infinity' WHERE share = $1`, [EAST]);
    const open = await eventually('it waits for the file that is open alone', async () => {
      const { drain } = await region(other);
      return drain?.left.replicas.count === 1 && drain.waitsFor.join(' ') === 'open-files removals' ? drain : undefined;
    });
    expect(open.left).toMatchObject({ draining: { count: 1 }, leases: 0, openHandles: 1 });
    expect(await rowsOn(EAST)).toEqual([{ layer: last, state: 'draining' }]);
    emulator.control.closeHandle(held, handle.id);
    // Instead of the minute after which it is looked again.
    await db.query(`UPDATE replicas SET not_before = '-infinity' WHERE share = $1`, [EAST]);
    const drained = await eventually('nothing is left', async () => {
      const { drain } = await region(other);
      return drain?.state === 'drained' ? drain : undefined;
    });
    expect(drained).toMatchObject({ left: { replicas: { count: 0 }, leases: 0 }, waitsFor: [], drainedAt: expect.any(String) });
    const events = await eventually('it has been told', async () => {
      const all = await told('region.drained');
      return all.length > 0 ? all : undefined;
    });
    expect(events).toMatchObject([{ type: 'translocator.region.drained', subject: EAST, data: { region: EAST, reason: 'maintenance' } }]);
    const copiedAt = (await told('layer.replicated')).find(({ data }) => data['layer'] === last && data['region'] === HOME)?.time ?? '';
    const evictedAt = (await told('layer.evicted')).find(({ data }) => data['layer'] === last && data['region'] === EAST)?.time ?? '';
    expect([copiedAt, evictedAt].map((each) => each.length > 0)).toEqual([true, true]);
    expect(Date.parse(copiedAt)).toBeLessThan(Date.parse(evictedAt));
  }, 300_000);

  it('keeps the region empty although a pin names it, until it is undrained: then plans fill it again', async () => {
    const plansSince = async (name: string, since: Date): Promise<number> => (await db.query('SELECT FROM plans WHERE region = $1 AND made_at > $2', [name, since])).rowCount ?? 0;
    const [now] = (await db.query<{ at: Date }>('SELECT clock_timestamp() AS at')).rows;
    expect((await other.client.admin('plans', { method: 'POST' })).status).toBe(202);
    await eventually('plans are made, from facts of after the drain', async () => (await plansSince(ASIA, now!.at)) > 1);
    expect(await plansSince(EAST, now!.at)).toBe(0);
    expect(await rowsOn(EAST)).toEqual([]);
    const undrained = await other.client.admin<RegionStatus>(`regions/${EAST}/undrain`, { method: 'POST', json: {} });
    expect([undrained.status, undrained.body.drain]).toEqual([200, undefined]);
    await eventually('the image is there again', () => other.client.readyIn(EAST, 'team/app', 'v1'));
    await eventually('nodes are given it', async () => (await pullFrom(other)).layers.every(({ kind }) => kind === 'mount'));
    const trail = (await other.client.admin<{ items: { path: string; status?: number }[] }>('audit?limit=500')).body.items.filter(({ path }) => path.includes('drain'));
    expect(trail.map(({ path, status }) => `${path} ${status}`)).toEqual(expect.arrayContaining([`/api/v1/regions/${EAST}/drain 202`, `/api/v1/regions/${EAST}/undrain 200`, `/api/v1/regions/${HOME}/drain 409`]));
  }, 300_000);
});
