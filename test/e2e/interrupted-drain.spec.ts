import { readdir } from 'node:fs/promises';
import { basename } from 'node:path';

import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { CloudEventBody, MountAnswerBody, RegionStatus } from '#contract';
import type { Digest } from '#oci';
import { MINUTE_MS, SECOND_MS } from '#quantities';
import { LAYER_FILE_VERSION, layerFilePath } from '#shares';

import { eventually } from './support/eventually.js';
import { smallImage } from './support/real-layers.js';
import type { ServiceProcess } from './support/service-process.js';
import { SplitDeployment } from './support/split-deployment.js';
import { FAST } from './support/start-service.js';
import { wrongClock } from './support/wrong-clock.js';

const serverUrl = process.env['TRANSLOCATOR_TEST_POSTGRES_URL'];
const HOME = 'westeurope';
const EAST = 'eastus';
const IMAGE = { repository: 'team/app', tag: 'v1' };
/** Its merged view is one more replica. */
const LAYER_NAMES = ['base', 'tools', 'app', 'settings'];
/** The clock of one worker is ahead, that of the other behind. */
const SKEW_MINUTES = 10;
/** What a map may be old here, and a lease long: see `removalWaitMs`. */
const GRACE_MS = 4 * SECOND_MS;
/** A bound against hanging. */
const WITHIN_MS = 120_000;
/** Longer than anything here waits. */
const LEASED_MS = 10 * MINUTE_MS;

describe.skipIf(serverUrl === undefined)('the drain of a region, its files removed by two workers whose clocks are twenty minutes apart', () => {
  const undo = new AsyncDisposableStack();
  let deployment: SplitDeployment;
  let workers: readonly ServiceProcess[];
  let db: pg.Client;
  /** Locks what the drain is to stand still at. */
  let gate: pg.Client;
  let layers: readonly Digest[];

  beforeAll(async () => {
    deployment = undo.use(await SplitDeployment.start({ serverUrl: serverUrl!, home: HOME, regions: [HOME, EAST], replication: { unreferencedGrace: '1d' }, sections: { lookup: { ...(FAST['lookup'] as object), staleMax: '2s' } } }));
    workers = await Promise.all([SKEW_MINUTES, -SKEW_MINUTES].map((minutes) => deployment.startProcess('worker', `off-by-${minutes}`, wrongClock(minutes))));
    [db, gate] = [await connected(), await connected()];
    await deployment.client.enable(IMAGE.repository);
    await deployment.push(IMAGE, smallImage(...LAYER_NAMES));
    await deployment.pin(IMAGE, [EAST]);
    await eventually('everything is in the other region', async () => (await rowsOn(EAST)).filter(({ state }) => state === 'ready').length === LAYER_NAMES.length + 1, { withinMs: WITHIN_MS });
    layers = (await rowsOn(EAST)).map(({ layer }) => layer);
  }, 2 * WITHIN_MS);
  afterAll(() => undo.disposeAsync());

  async function connected(): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: deployment.databaseUrl });
    await client.connect();
    undo.defer(() => client.end());
    return client;
  }

  /** Since when a replica drains is told in milliseconds, by the clock of the database. */
  const rowsOn = async (share: string): Promise<{ layer: Digest; state: string; putOff: string | null; drainsForMs: number | null }[]> =>
    (await db.query('SELECT layer, state, last_error AS "putOff", (extract(epoch FROM clock_timestamp() - draining_since) * 1000)::float8 AS "drainsForMs" FROM replicas WHERE share = $1 ORDER BY layer', [share])).rows;
  const statesOn = async (share: string): Promise<string[]> => (await rowsOn(share)).map(({ state }) => state);
  /** The layers whose files are not on a region's share. */
  async function missingIn(region: string): Promise<readonly Digest[]> {
    const files = new Set((await readdir(deployment.folderOf(region), { recursive: true })).map((path) => basename(path)));
    return layers.filter((layer) => !files.has(basename(layerFilePath(layer, LAYER_FILE_VERSION))));
  }
  const drainOrUndrain = (act: 'drain' | 'undrain') => deployment.client.admin<RegionStatus>(`regions/${EAST}/${act}`, { method: 'POST', json: {} });
  const pull = async (): Promise<MountAnswerBody> => (await deployment.client.pull(IMAGE.repository, IMAGE.tag, { 'x-teleport-region': EAST })).body;
  /** The view as well: a lease that is given before the map knows of it does not hold it. */
  const mounted = (): Promise<MountAnswerBody> => eventually('nodes are given everything there', async () => {
    const answer = await pull();
    return answer.image !== undefined && answer.layers?.every(({ kind }) => kind === 'mount') && answer;
  });
  const told = async (type: string): Promise<{ layer: string; atMs: number }[]> => {
    const { items } = (await deployment.client.admin<{ items: CloudEventBody[] }>(`events?type=translocator.layer.${type}&limit=500`)).body;
    return items.filter(({ data }) => data['region'] === EAST).map(({ data, time }) => ({ layer: String(data['layer']), atMs: Date.parse(time) }));
  };

  /** Orders the drain, and has it stand still in the middle: what comes before the layer of that number is out of the answers, what comes after is not. */
  async function drainUpTo(number: number): Promise<void> {
    await gate.query('BEGIN');
    await gate.query('SELECT FROM replicas WHERE layer = $1 AND share = $2 FOR UPDATE', [layers[number], EAST]);
    expect((await drainOrUndrain('drain')).status).toBe(202);
    await eventually('the drain is in the middle', async () => {
      const { rowCount } = await db.query(`SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database() AND query LIKE 'SELECT share, state FROM replicas WHERE layer%'`);
      return rowCount === 1 && (await statesOn(EAST)).filter((state) => state === 'draining').length > 0;
    });
  }

  /** Has a lease end after so long, and those that wait for it look again before that. @returns when it ends, by the clock of the database. */
  async function endAfter(lease: string, ms: number): Promise<number> {
    const [row] = (await db.query<{ ends: Date }>(`UPDATE leases SET expires_at = clock_timestamp() + $2 * interval '1 millisecond' WHERE id = $1 RETURNING expires_at AS ends`, [lease, ms])).rows;
    await db.query(`UPDATE replicas SET not_before = least(not_before, clock_timestamp()) WHERE share = $1 AND last_error IS NOT NULL`, [EAST]);
    return row?.ends.getTime() ?? 0;
  }

  it('is finished by the successor of a process that was killed in the middle; what is leased, and what only that region has, outlives it, and no file goes before its time by the right clock', async () => {
    for (const [n, worker] of workers.entries()) {
      const offMs = Date.parse(String(worker.log()[0]?.['time'])) - Date.now();
      expect(Math.abs(offMs - [SKEW_MINUTES, -SKEW_MINUTES][n]! * MINUTE_MS), 'is libfaketime there?').toBeLessThan(5 * MINUTE_MS);
    }
    const only = layers[1]!;
    await db.query('DELETE FROM replicas WHERE share = $1 AND layer = $2', [HOME, only]);
    const { lease } = await mounted();
    await eventually('the lease is written down', async () => (await endAfter(lease!.id, LEASED_MS)) > 0);
    await drainUpTo(2);
    await deployment.killFront();
    await gate.query('ROLLBACK');
    // What only that region has may have been copied home meanwhile; nobody goes on with the drain.
    expect((await statesOn(EAST)).toSpliced(1, 1)).toEqual(['draining', 'ready', 'ready', 'ready']);
    await deployment.startFront();
    const early: unknown[] = [];
    await eventually('everything is out of the answers, and waits for the lease', async () => {
      const rows = await rowsOn(EAST);
      early.push(...rows.filter(({ putOff, drainsForMs }) => putOff !== null && drainsForMs! < GRACE_MS));
      return rows.length === layers.length && rows.every(({ state, putOff }) => state === 'draining' && putOff?.startsWith('leased by a node'));
    }, { withinMs: WITHIN_MS });
    expect(early).toEqual([]);
    expect(await missingIn(EAST)).toEqual([]);
    expect(await rowsOn(HOME)).toMatchObject(layers.map((layer) => ({ layer, state: 'ready' })));
    const leasedUntilMs = await endAfter(lease!.id, 2 * SECOND_MS);
    await eventually('nothing is left', async () => (await deployment.client.admin<RegionStatus>(`regions/${EAST}`)).body.drain?.state === 'drained', { withinMs: WITHIN_MS });
    const evicted = await eventually('it has been told', async () => {
      const all = await told('evicted');
      return all.length >= layers.length && all;
    });
    expect(evicted.map(({ layer }) => layer).toSorted()).toEqual(layers);
    expect(Math.min(...evicted.map(({ atMs }) => atMs))).toBeGreaterThan(leasedUntilMs);
    expect(await missingIn(HOME)).toEqual([]);
  }, 2 * WITHIN_MS);

  it('ends in the middle when the region is undrained: nothing more is taken from it, and what was taken is taken back without a copy', async () => {
    await drainOrUndrain('undrain');
    await eventually('the region is filled again', async () => (await statesOn(EAST)).join() === layers.map(() => 'ready').join(), { withinMs: WITHIN_MS });
    const [evicted, replicated] = [(await told('evicted')).length, (await eventually('copies have been told', async () => {
      const all = await told('replicated');
      return all.length >= 2 * layers.length && all;
    })).length];
    // Nobody copies or removes: what is ready below was taken back.
    for (const worker of workers) worker.pause();
    await drainUpTo(3);
    expect(await statesOn(EAST)).toEqual(['draining', 'draining', 'draining', 'ready', 'ready']);
    expect((await drainOrUndrain('undrain')).body.drain).toBeUndefined();
    await gate.query('ROLLBACK');
    await eventually('everything is ready there', async () => (await statesOn(EAST)).join() === layers.map(() => 'ready').join());
    for (const worker of workers) worker.resume();
    await mounted();
    expect([(await told('evicted')).length, (await told('replicated')).length]).toEqual([evicted, replicated]);
    expect(await missingIn(EAST)).toEqual([]);
  }, 2 * WITHIN_MS);
});
