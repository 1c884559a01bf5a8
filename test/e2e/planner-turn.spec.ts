import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { openDataSource } from '#database';
import { startTemporaryEmulator, TEST_KEY } from '#file-share-emulator/testing';
import { MIGRATIONS } from '#migrations';
import { digestOf } from '#oci';

import { buildProgram } from './support/built-program.js';
import { eventually } from './support/eventually.js';
import { ServiceProcess } from './support/service-process.js';
import { temporaryDatabase } from './support/temporary-database.js';

const POSTGRES_URL = process.env['TRANSLOCATOR_TEST_POSTGRES_URL'];
const HOME = 'westeurope';
const FAR = ['eastus', 'southeastasia'];
const REGIONS = [HOME, ...FAR];
/** A layer each; more than two parts of orders for each region. */
const IMAGE_COUNT = 230;
const LAYER_BYTES = 1_000_000;
const TURN_LEASE_MS = 2000;
/** Within so long after a planner's end the next one has ordered everything: its lease, the longest wait between two looks for the turn, and a plan on a very busy machine; well below the minute that a turn holds where nothing else is configured. */
const TAKEN_OVER_MAX_MS = TURN_LEASE_MS + 8000 + 40_000;
/** What the server gives a transaction of a process that stands still. */
const TRANSACTION_IDLE_MAX_MS = 10_000;

/** Layer and image of that number; the higher the number, the less it is pulled. */
const named = (number: number): string => digestOf(`planned ${number}`);

describe.skipIf(POSTGRES_URL === undefined)('two planners on one PostgreSQL', () => {
  const undo = new AsyncDisposableStack();
  let start: (name: string) => Promise<ServiceProcess>;
  let db: pg.Client;
  /** Whoever inserts the last layer of a region waits for this session's transaction. */
  let gate: pg.Client;
  let processes: ServiceProcess[] = [];

  beforeAll(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'translocator-planners-'));
    undo.defer(() => rm(folder, { recursive: true, force: true }));
    const { url } = undo.use(await temporaryDatabase(POSTGRES_URL ?? ''));
    const { main } = undo.use(await buildProgram());
    const emulator = await startTemporaryEmulator(REGIONS, { accounts: REGIONS.map((name) => ({ name, key: TEST_KEY, region: name })) });
    undo.defer(() => emulator.close());
    await (await openDataSource({ kind: 'server', url, poolSize: 1 }, MIGRATIONS)).destroy();
    db = await connected(url);
    gate = await connected(url);
    const overrides = {
      log: { level: 'info' },
      database: { kind: 'server', poolSize: 5 },
      shares: { kind: 'azure', credential: 'key' },
      regions: { home: HOME, list: REGIONS.map((name) => ({ name, share: { account: name, endpoint: `${emulator.url}/${name}` } })) },
      placement: { every: '1d', turnLease: `${TURN_LEASE_MS}ms` },
      replication: { unreferencedGrace: '1d', releaseEvery: '1h' },
    };
    const environment = { TRANSLOCATOR_DATABASE_URL: url, TRANSLOCATOR_SHARE_KEYS: REGIONS.map((name) => `${name}=${TEST_KEY}`).join(',') };
    start = async (name) => {
      const started = await ServiceProcess.start({ main, folder: join(folder, name), registryUrl: 'http://127.0.0.1:1', overrides, environment, args: ['--role', 'control'] });
      processes.push(started);
      return started;
    };
    await fill(db);
  }, 300_000);
  afterAll(() => undo.disposeAsync());

  beforeEach(() => db.query(`DELETE FROM replicas WHERE share <> '${HOME}'; DELETE FROM plans; DELETE FROM planner_turn`));
  afterEach(async () => {
    await gate.query('ROLLBACK');
    for (const each of processes) {
      each.resume();
      await each.kill();
    }
    processes = [];
  });

  async function connected(url: string): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    undo.defer(() => client.end());
    return client;
  }

  const rowsOf = async <Row extends pg.QueryResultRow>(sql: string): Promise<Row[]> => (await db.query<Row>(sql)).rows;
  const plansOf = (region: string) => rowsOf<{ id: string; wants: number; isOrdered: boolean }>(`SELECT id, (counts->>'wants')::int AS wants, ordered_at IS NOT NULL AS "isOrdered" FROM plans WHERE region = '${region}' ORDER BY made_at`);
  const ordersOf = (region: string) => rowsOf<{ layer: string; at: string }>(`SELECT layer, extract(epoch FROM wanted_at)::text AS at FROM replicas WHERE share = '${region}' ORDER BY layer`);
  const isWaiting = async (sql: string): Promise<boolean> => (await rowsOf(`SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database() AND query LIKE '%${sql}%'`)).length > 0;

  /** Has the next planner stand still in the middle of its orders for the last region: two parts given, the third in an open transaction. */
  async function closeGate(): Promise<void> {
    await gate.query(`BEGIN; INSERT INTO replicas (layer, share, state, size_bytes, reason, wanted_at) VALUES ('${named(IMAGE_COUNT - 1)}', 'southeastasia', 'wanted', ${LAYER_BYTES}, 'gate', now())`);
  }
  const openGate = (): Promise<unknown> => gate.query('ROLLBACK');
  const isInTheMiddle = async (): Promise<boolean> => (await ordersOf('southeastasia')).length === 200 && (await isWaiting('INSERT INTO replicas'));

  /** Everything is ordered, once, by a plan that was ordered to the end, and planning again orders nothing. */
  async function expectWhole(by: ServiceProcess): Promise<void> {
    const orders = await Promise.all(FAR.map(ordersOf));
    for (const ofRegion of orders) expect(ofRegion.map(({ layer }) => layer)).toEqual(Array.from({ length: IMAGE_COUNT }, (_, number) => named(number)).toSorted());
    const before = await plansOf('southeastasia');
    await by.client.admin('plans', { method: 'POST' });
    await eventually('another plan is made', async () => {
      const plans = await plansOf('southeastasia');
      return plans.length > before.length && plans.at(-1)?.isOrdered === true;
    });
    // A repeated order would only be for another turn; none is given anew.
    expect(await Promise.all(FAR.map(ordersOf))).toEqual(orders);
  }

  const hasAllOrders = (): Promise<boolean> => ordersOf('southeastasia').then(async (orders) => orders.length === IMAGE_COUNT && (await plansOf('southeastasia')).at(-1)?.isOrdered === true);

  it('plan on when one is killed in the middle of its orders: the other orders what is lacking, and nothing twice', async () => {
    await closeGate();
    const first = await start('first');
    await eventually('the first one is in the middle', isInTheMiddle);
    const given = await Promise.all(FAR.map(ordersOf));
    const second = await start('second');
    await first.kill();
    const killedAt = performance.now();
    await openGate();
    await eventually('the other one has ordered everything', hasAllOrders, { withinMs: TAKEN_OVER_MAX_MS });
    expect(performance.now() - killedAt).toBeLessThan(TAKEN_OVER_MAX_MS);
    expect(await plansOf('southeastasia')).toMatchObject([{ wants: IMAGE_COUNT, isOrdered: false }, { isOrdered: true }]);
    expect(await ordersOf('southeastasia')).toEqual(expect.arrayContaining(given[1] ?? []));
    expect(await ordersOf('eastus')).toEqual(given[0]);
    await expectWhole(second);
  }, 300_000);

  it('plan on when one stands still inside a transaction, which is taken back from it', async () => {
    await closeGate();
    const first = await start('first');
    await eventually('the first one is in the middle', isInTheMiddle);
    first.pause();
    const second = await start('second');
    await openGate();
    await eventually('the other one has ordered everything', hasAllOrders, { withinMs: TAKEN_OVER_MAX_MS + TRANSACTION_IDLE_MAX_MS });
    const ordered = await ordersOf('southeastasia');
    first.resume();
    await eventually('the first one notices', () => first.log().some(({ msg }) => msg === 'no plan could be made; it is tried again'));
    // It tries again in seconds, which is a third plan, and no more orders.
    expect((await plansOf('southeastasia')).slice(0, 2)).toMatchObject([{ isOrdered: false }, { isOrdered: true }]);
    expect(await ordersOf('southeastasia')).toEqual(ordered);
    await expectWhole(second);
  }, 300_000);

  it('plan on when one stands still between looking at its turn and writing: it writes nothing when it wakes', async () => {
    await gate.query('BEGIN; LOCK TABLE demand IN ACCESS EXCLUSIVE MODE');
    const first = await start('first');
    // Others than the planner read demand as well: it has its turn once there is a row.
    const hasTurn = async (): Promise<boolean> => (await rowsOf('SELECT FROM planner_turn WHERE owner IS NOT NULL')).length === 1;
    await eventually('the first one reads the facts at its turn', async () => (await hasTurn()) && isWaiting('FROM demand'));
    const turnGate = gate;
    await turnGate.query('SELECT FROM planner_turn FOR UPDATE');
    // Giving the table back without the row takes two sessions: a second one waits for the row before this one lets go of both.
    const holdsTurn = db.query('BEGIN').then(() => db.query('SELECT FROM planner_turn FOR UPDATE'));
    await openGate();
    await holdsTurn;
    const waits = (): Promise<boolean> => gate.query(`SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database() AND query LIKE 'UPDATE planner_turn SET expires_at%'`).then(({ rowCount }) => rowCount === 1);
    await eventually('the first one renews its turn', waits);
    first.pause();
    await db.query('COMMIT');

    const second = await start('second');
    await eventually('the other one has ordered everything', hasAllOrders, { withinMs: TAKEN_OVER_MAX_MS });
    const [ordered, plans] = [await ordersOf('southeastasia'), await plansOf('eastus')];
    expect(plans).toMatchObject([{ wants: IMAGE_COUNT, isOrdered: true }]);
    first.resume();
    await eventually('the first one plans at a turn of its own', async () => (await plansOf('eastus')).length > 1);
    expect((await plansOf('eastus'))[0]).toEqual(plans[0]);
    expect(await ordersOf('southeastasia')).toEqual(ordered);
    await expectWhole(second);
  }, 300_000);
});

/** Images of one layer each, expanded at home and pulled in all other regions, the first ones the most. */
async function fill(db: pg.Client): Promise<void> {
  const numbers = Array.from({ length: IMAGE_COUNT }, (_, number) => number);
  const layers = numbers.map(named);
  const tar = 'application/vnd.oci.image.layer.v1.tar+gzip';
  await db.query(`INSERT INTO repositories (name, enabled, changed_at, backfill_state) VALUES ('team/app', true, now(), 'none')`);
  await db.query(`INSERT INTO images (repository, digest, kind, media_type, size_bytes, os, architecture, pushed_at) SELECT 'team/app', digest, 'image', 'application/vnd.oci.image.manifest.v1+json', 500, 'linux', 'amd64', now() FROM unnest($1::text[]) AS digest`, [layers]);
  await db.query(`INSERT INTO image_layers (repository, image, place, digest, diff_id, media_type, size_bytes) SELECT 'team/app', digest, 0, digest, digest, '${tar}', 500 FROM unnest($1::text[]) AS digest`, [layers]);
  await db.query(
    `INSERT INTO expanded_layers (digest, media_type, size_bytes, repository, state, priority, wanted_at, diff_id, vhd_digest, vhd_size_bytes, piece_crc64s, data_bytes, entry_count, writer_version, expanded_at)
     SELECT digest, '${tar}', 500, 'team/app', 'expanded', 0, now(), digest, digest, ${LAYER_BYTES}, '{00}', 500, 1, 1, now() FROM unnest($1::text[]) AS digest`,
    [layers],
  );
  await db.query(`INSERT INTO replicas (layer, share, state, size_bytes, reason, wanted_at, ready_at) SELECT digest, '${HOME}', 'ready', ${LAYER_BYTES}, 'expanded here', now(), now() FROM unnest($1::text[]) AS digest`, [layers]);
  for (const region of FAR) {
    await db.query(`INSERT INTO demand (region, repository, image, short_weight, weight, long_weight, at) SELECT $1, 'team/app', digest, pulls, pulls, pulls, now() FROM (SELECT digest, 100 + ${IMAGE_COUNT} - place AS pulls FROM unnest($2::text[]) WITH ORDINALITY AS pulled (digest, place)) AS counted`, [region, layers]);
  }
}
