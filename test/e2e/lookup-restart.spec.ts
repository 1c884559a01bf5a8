import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { MountAnswerBody } from '#contract';
import { TEST_POSTGRES_URL } from '#database/testing';
import { digestOf } from '#oci';

import { buildProgram } from './support/built-program.js';
import { CutConnection } from './support/cut-connection.js';
import { eventually } from './support/eventually.js';
import { TOKENS } from './support/service-client.js';
import { ServiceProcess } from './support/service-process.js';
import { FAST } from './support/start-service.js';
import { temporaryDatabase } from './support/temporary-database.js';

const POSTGRES_URL = process.env[TEST_POSTGRES_URL];
/** An answer from memory; the rest is this machine's slowness. */
const ANSWER_MAX_MS = 5000;
const STALE_MAX_MS = 300_000;

const LAYERS = ['a', 'b'].map((name) => digestOf(name));
const QUESTION = { repository: 'team/app', manifest: digestOf('image'), layers: LAYERS, region: 'eastus' };

describe.skipIf(POSTGRES_URL === undefined)('a lookup process that starts again while the database is away', () => {
  const undo = new AsyncDisposableStack();
  let main: string;
  let folder: string;
  let way: CutConnection;
  let databaseUrl: string;
  let direct: pg.Client;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'translocator-e2e-'));
    undo.defer(() => rm(folder, { recursive: true, force: true }));
    main = undo.use(await buildProgram()).main;
    const database = undo.use(await temporaryDatabase(POSTGRES_URL!));
    const { hostname: host, port } = new URL(database.url);
    way = undo.use(await CutConnection.to({ host, port: Number(port || 5432) }));
    const url = new URL(database.url);
    url.host = `127.0.0.1:${way.port}`;
    databaseUrl = url.toString();
    await using first = await start();
    direct = new pg.Client({ connectionString: database.url });
    await direct.connect();
    undo.defer(() => direct.end());
    // As the service writes it, in one transaction: a map that follows between an image and its layers would keep an image without them.
    await direct.query('BEGIN');
    await direct.query(`INSERT INTO repositories (name, enabled, changed_at, backfill_state) VALUES ('team/app', true, now(), 'none')`);
    await direct.query(`INSERT INTO images (repository, digest, kind, media_type, size_bytes, os, architecture, pushed_at) VALUES ('team/app', $1, 'image', 'm', 1, 'linux', 'amd64', now())`, [QUESTION.manifest]);
    for (const [place, layer] of LAYERS.entries()) {
      await direct.query(`INSERT INTO image_layers (repository, image, place, digest, diff_id, media_type, size_bytes) VALUES ('team/app', $1, $2, $3, $3, 'm', 1)`, [QUESTION.manifest, place, layer]);
      await direct.query(
        `INSERT INTO expanded_layers (digest, media_type, size_bytes, repository, state, priority, wanted_at, diff_id, vhd_digest, vhd_size_bytes, piece_crc64s, data_bytes, entry_count, writer_version, expanded_at)
         VALUES ($1, 'm', 1, 'team/app', 'expanded', 0, now(), $1, $1, 4096, '{00}', 4096, 1, 2, now())`,
        [layer],
      );
      await direct.query(`INSERT INTO replicas (layer, share, state, size_bytes, reason, wanted_at, ready_at) VALUES ($1, 'eastus', 'ready', 4096, 'here', now(), now())`, [layer]);
    }
    await direct.query('COMMIT');
    await eventually('the image is mounted', async () => {
      const kinds = await kindsOf(first);
      if (kinds.join() !== 'mount,mount') throw new Error(`it is ${kinds.join()} after ${JSON.stringify(first.log().slice(-5))}`);
      return true;
    });
    await first.stop();
  }, 300_000);
  afterAll(() => undo.disposeAsync());

  function start(): Promise<ServiceProcess> {
    return ServiceProcess.start({
      main,
      folder,
      registryUrl: 'http://127.0.0.1:9',
      args: ['--role', 'lookup'],
      environment: { TRANSLOCATOR_DATABASE_URL: databaseUrl, TRANSLOCATOR_SHARE_KEYS: `acct=${Buffer.alloc(64, 'k').toString('base64')}` },
      overrides: {
        log: { level: 'info' }, database: { kind: 'server', poolSize: 4 }, shares: { kind: 'azure' }, lookup: { ...(FAST['lookup'] as object), probeEvery: '1h', staleMax: `${STALE_MAX_MS / 1000}s` },
        regions: { home: 'eastus', list: [{ name: 'eastus', share: { account: 'acct', endpoint: 'http://127.0.0.1:9/acct' } }] },
      },
    });
  }

  const ask = async (service: ServiceProcess): Promise<{ answer: MountAnswerBody; ms: number }> => {
    const startedAt = performance.now();
    const { status, body } = await service.client.call<MountAnswerBody>('/v1/lookup', { method: 'POST', json: QUESTION, headers: { authorization: `Bearer ${TOKENS.service}` } });
    expect(status).toBe(200);
    return { answer: body, ms: performance.now() - startedAt };
  };
  const kindsOf = async (service: ServiceProcess): Promise<string[]> => (await ask(service)).answer.layers.map((layer) => (layer.kind === 'blob' ? layer.reason : layer.kind));
  const snapshot = (): string => join(folder, 'state/lookup/map.snapshot');

  it('answers at once from the snapshot with the snapshot’s age, follows up what it missed, and only then is fresh', async () => {
    const writtenAt = (await stat(snapshot())).mtimeMs;
    await way.cut();
    await using service = await start();
    const { answer, ms } = await ask(service);
    expect(answer.layers.map((layer) => layer.kind)).toEqual(['mount', 'mount']);
    expect(Date.parse(answer.asOf!)).toBeLessThanOrEqual(writtenAt);
    expect(ms).toBeLessThan(ANSWER_MAX_MS);
    expect(await service.client.call('/readyz')).toMatchObject({ status: 200, body: { database: 'unavailable', map: 'ok' } });
    await direct.query(`UPDATE replicas SET state = 'draining', draining_since = now() WHERE layer = $1`, [LAYERS[0]]);
    expect((await ask(service)).answer.asOf).toBe(answer.asOf);
    await way.mend();
    await eventually('the change is followed', async () => (await kindsOf(service)).join() === 'REPLICA_DRAINING,mount');
    expect(Date.parse((await ask(service)).answer.asOf!)).toBeGreaterThan(writtenAt);
    expect(await service.stop()).toBe(0);
    // All that it ever logged: while it runs, a line may come later than an answer.
    const kinds = service.log().map((line) => `${String(line['kind'])}`);
    expect(kinds).toContain('read');
    expect(kinds).not.toContain('loaded');
  });

  it('loads everything when the feed has gone on without it', async () => {
    await way.cut();
    await using service = await start();
    expect(await kindsOf(service)).toEqual(['REPLICA_DRAINING', 'mount']);
    await direct.query(`UPDATE replicas SET state = 'ready', draining_since = NULL WHERE layer = $1`, [LAYERS[0]]);
    await direct.query(`WITH gone AS (DELETE FROM changes RETURNING transaction, sequence)
      INSERT INTO change_horizon (singleton, transaction, sequence) SELECT true, transaction, sequence FROM gone ORDER BY 2 DESC, 3 DESC LIMIT 1
      ON CONFLICT (singleton) DO UPDATE SET transaction = excluded.transaction, sequence = excluded.sequence`);
    await way.mend();
    await eventually('the map is loaded anew', async () => (await kindsOf(service)).join() === 'mount,mount');
    expect(await service.stop()).toBe(0);
    expect(service.log().map((line) => line['kind'])).toEqual(expect.arrayContaining(['read', 'gap', 'loaded']));
  });

  it('says why it uses no snapshot that is torn, and answers blobs until the database is back', async () => {
    const whole = await readFile(snapshot());
    await writeFile(snapshot(), whole.subarray(0, whole.length - 1));
    await way.cut();
    await using service = await start();
    expect(await kindsOf(service)).toEqual(['MAP_STALE', 'MAP_STALE']);
    const said = await eventually('it says so', () => service.log().find((line) => line['msg'] === 'no snapshot of the lookup map is used'));
    expect(said).toMatchObject({ reason: expect.stringContaining('damaged') });
    await way.mend();
    await eventually('the map is loaded', async () => (await kindsOf(service)).join() === 'mount,mount');
  });
});
