import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { RegionStatus } from '#contract';
import { MINUTE_MS, SECOND_MS } from '#quantities';

import { CutConnection } from './support/cut-connection.js';
import { eventually } from './support/eventually.js';
import { smallImage } from './support/real-layers.js';
import type { ServiceProcess } from './support/service-process.js';
import { SplitDeployment } from './support/split-deployment.js';
import { FAST } from './support/start-service.js';
import { wrongClock } from './support/wrong-clock.js';

const serverUrl = process.env['TRANSLOCATOR_TEST_POSTGRES_URL'];
const [HOME, EAST] = ['westeurope', 'eastus'];
const IMAGE = { repository: 'team/app', tag: 'v1' };
/** Two layers and their merged view. */
const LAYER_NAMES = ['base', 'app'];
/** The defaults: `lookup.staleMax` and `leases.ttl`. */
const GRACE_MS = 25 * MINUTE_MS;
/** A bound against hanging, far below that. */
const WITHIN_MS = 60_000;
/** After a map was written on disk, some beats of those that answer, and some looks of the worker at what may go. */
const LOOKS_MS = 7 * SECOND_MS;

describe.skipIf(serverUrl === undefined)('the drain of a region, with two processes that answer, of which one has a clock that is ten minutes behind and can be cut off', () => {
  const undo = new AsyncDisposableStack();
  let deployment: SplitDeployment;
  let way: CutConnection;
  let farDatabase: string;
  let far: ServiceProcess;
  let db: pg.Client;

  beforeAll(async () => {
    const sections = { leases: {}, lookup: { ...(FAST['lookup'] as object), staleMax: '10m' } };
    deployment = undo.use(await SplitDeployment.start({ serverUrl: serverUrl!, home: HOME!, regions: [HOME!, EAST!], replication: { unreferencedGrace: '1d' }, sections }));
    const url = new URL(deployment.databaseUrl);
    way = undo.use(await CutConnection.to({ host: url.hostname, port: Number(url.port || 5432) }));
    url.host = `127.0.0.1:${way.port}`;
    farDatabase = url.toString();
    [far] = await Promise.all([startFar(), deployment.startProcess('worker')]);
    db = new pg.Client({ connectionString: deployment.databaseUrl });
    await db.connect();
    undo.defer(() => db.end());
    await deployment.client.enable(IMAGE.repository);
    await deployment.push(IMAGE, smallImage(...LAYER_NAMES));
    await deployment.pin(IMAGE, [EAST!]);
    await filled();
  }, 2 * WITHIN_MS);
  afterAll(() => undo.disposeAsync());

  const startFar = (): Promise<ServiceProcess> => deployment.startProcess('front', 'far', { TRANSLOCATOR_DATABASE_URL: farDatabase, ...wrongClock(-10) });
  const rows = async (): Promise<{ state: string; rests: boolean }[]> =>
    (await db.query(`SELECT state, not_before > clock_timestamp() + $2 * interval '1 millisecond' AS rests FROM replicas WHERE share = $1`, [EAST, GRACE_MS - WITHIN_MS])).rows;
  const status = async (): Promise<RegionStatus> => (await deployment.client.admin<RegionStatus>(`regions/${EAST}`)).body;
  const act = (what: 'drain' | 'undrain') => deployment.client.admin<RegionStatus>(`regions/${EAST}/${what}`, { method: 'POST', json: {} });
  const filled = () => eventually('everything is in the region', async () => (await rows()).filter(({ state }) => state === 'ready').length === LAYER_NAMES.length + 1, { withinMs: WITHIN_MS });
  const drained = () => eventually('nothing is left', async () => (await status()).drain?.state === 'drained', { withinMs: WITHIN_MS });
  const kindsFromFar = async (): Promise<string[]> =>
    (await far.client.pull(IMAGE.repository, IMAGE.tag, { 'x-teleport-region': EAST! })).body.layers.map((layer) => layer.kind);

  it('is over long before the grace is, when nobody holds anything and all know', async () => {
    await eventually('both were heard', async () => (await db.query('SELECT FROM answering_processes')).rowCount === 2);
    await act('drain');
    await drained();
  });

  it('waits for nobody who was stopped and started again where it was: its successor speaks for it, and knows', async () => {
    const standing = async (): Promise<unknown[]> => (await db.query('SELECT known_to IS NOT NULL AS knows, ended FROM answering_processes ORDER BY ended')).rows;
    expect(await far.stop()).toBe(0);
    expect(await standing()).toEqual([{ knows: true, ended: false }, { knows: true, ended: true }]);
    far = await startFar();
    await eventually('its successor speaks for it', async () => JSON.stringify(await standing()) === JSON.stringify([{ knows: true, ended: false }, { knows: true, ended: false }]));
  });

  it('takes the whole grace when one is cut off right before, which goes on to give what it knows', async () => {
    await act('undrain');
    await filled();
    await eventually('it is given', async () => (await kindsFromFar()).join() === 'mount,mount');
    await way.cut();
    await act('drain');
    await eventually('everything is out of the answers', async () => (await rows()).every(({ state }) => state === 'draining'));
    expect(await kindsFromFar()).toEqual(['mount', 'mount']);
    await eventually('the other one has acknowledged it, and was heard for a while since', async () => {
      const { rowCount } = await db.query(
        `SELECT FROM replicas WHERE share = $1 HAVING min(draining_since) < clock_timestamp() - $2 * interval '1 millisecond' AND max(drained_in::text::bigint) <= (SELECT max(known_to::text::bigint) FROM answering_processes)`,
        [EAST, LOOKS_MS],
      );
      return rowCount === 1;
    }, { withinMs: WITHIN_MS });
    expect(await kindsFromFar()).toEqual(['mount', 'mount']);
    expect(await rows()).toEqual([...LAYER_NAMES, 'their view'].map(() => ({ state: 'draining', rests: true })));
    // As if that had been going on for a while, and then for too long.
    const silentFor = (ms: number) => db.query(`UPDATE answering_processes SET heard_at = clock_timestamp() - $1 * interval '1 millisecond' WHERE name LIKE '%-' || $2::int || '-%'`, [ms, far.pid]);
    expect((await silentFor(MINUTE_MS)).rowCount).toBe(1);
    const held = await eventually('it alone holds the grace', async () => {
      const { drain } = await status();
      return drain?.graceHeldBy?.length === 1 && drain;
    });
    expect(held).toMatchObject({ state: 'draining', waitsFor: expect.arrayContaining(['grace']), graceHeldBy: [{ standing: 'silent' }] });
    await silentFor(GRACE_MS + MINUTE_MS);
    await drained();
  });
});
