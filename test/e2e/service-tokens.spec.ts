import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { Problem, TokenCreated, TokenEntry, TrailEntryBody } from '#contract';
import { TEST_POSTGRES_URL } from '#database/testing';

import { eventually } from './support/eventually.js';
import { type ServiceClient, TOKENS } from './support/service-client.js';
import { startService } from './support/start-service.js';
import { temporaryDatabase } from './support/temporary-database.js';

/** What is promised: a revoked token opens nothing anywhere after this. */
const REVOKED_EVERYWHERE_MAX_MS = 1000;
const POSTGRES_URL = process.env[TEST_POSTGRES_URL];
const DIGEST = `sha256:${'a'.repeat(64)}`;
const LOOKUP = { repository: 'team/app', manifest: DIGEST, layers: [DIGEST], region: 'westeurope' };

const bearer = (secret: string): { authorization: string } => ({ authorization: `Bearer ${secret}` });

describe.skipIf(POSTGRES_URL === undefined)('service tokens, over two processes with one PostgreSQL', () => {
  const undo = new AsyncDisposableStack();
  let one: ServiceClient;
  let other: ServiceClient;
  let databaseUrl: string;
  let folder: string;
  const log: string[] = [];

  async function start(name: string): Promise<{ client: ServiceClient; stop: () => Promise<void> }> {
    const { client, translocator } = await startService(
      { folder: join(folder, name), registryUrl: 'http://127.0.0.1:9' },
      { overrides: { database: { kind: 'server', poolSize: 5 } }, environment: { TRANSLOCATOR_DATABASE_URL: databaseUrl }, onLog: (line) => log.push(line) },
    );
    return { client, stop: () => translocator.stop() };
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'translocator-e2e-'));
    undo.defer(() => rm(folder, { recursive: true, force: true }));
    databaseUrl = undo.use(await temporaryDatabase(POSTGRES_URL ?? '')).url;
    const [first, second] = [await start('one'), await start('other')];
    undo.defer(first.stop);
    undo.defer(second.stop);
    [one, other] = [first.client, second.client];
  }, 300_000);
  afterAll(() => undo.disposeAsync());

  const make = async (json: Record<string, unknown>): Promise<TokenCreated> => {
    const { status, body, text } = await one.admin<TokenCreated>('tokens', { method: 'POST', json: { name: 'registry', ...json } });
    if (status !== 201) throw new Error(`making a token answered ${status}: ${text}`);
    return body;
  };
  const lookup = (client: ServiceClient, secret: string, json: Record<string, unknown> = LOOKUP) => client.call<Problem>('/v1/lookup', { method: 'POST', json, headers: bearer(secret) });
  const trail = async (): Promise<TrailEntryBody[]> => (await one.admin<{ items: TrailEntryBody[] }>('audit?limit=500')).body.items;

  it('show their secret once, and are known at once where they were made and soon everywhere', async () => {
    const made = await make({ scopes: ['lookup'] });
    expect(made.secret).toMatch(/^tl1_[0-9a-f]{32}_[\w-]{43}$/);
    expect((await lookup(one, made.secret)).status).toBe(200);
    await eventually('the other process knows it', async () => (await lookup(other, made.secret)).status === 200);
    for (const target of ['tokens', `tokens/${made.id}`, 'audit']) {
      const { status, text } = await other.admin(target);
      expect([status, text.includes(made.secret.slice(37))]).toEqual([200, false]);
    }
    expect(log.filter((line) => line.includes(made.secret.slice(37)))).toEqual([]);
  });

  it('open what they are for, and say what they are not for', async () => {
    const made = await make({ scopes: ['lookup'], repositories: ['team/*'], regions: ['westeurope'] });
    expect((await lookup(one, made.secret)).status).toBe(200);
    for (const [method, target] of [['POST', '/v1/rewrite'], ['POST', '/notifications'], ['GET', '/api/v1/tokens'], ['DELETE', `/api/v1/tokens/${made.id}`]] as const) {
      const { status, headers } = await one.call(target, { method, headers: { ...bearer(made.secret), ...(method === 'POST' ? { 'content-type': 'application/json' } : {}) }, ...(method === 'POST' ? { body: '{}' } : {}) });
      expect([target, status, String(headers['www-authenticate'])]).toEqual([target, 403, expect.stringMatching(/^Bearer realm="translocator", error="insufficient_scope", scope="[\w:]+"$/)]);
    }
    for (const about of [{ repository: 'other/app' }, { region: 'eastus' }, { region: undefined }]) expect((await lookup(one, made.secret, { ...LOOKUP, ...about })).status).toBe(403);
  });

  it('for looking at the admin API change nothing', async () => {
    const reader = await make({ scopes: ['admin:read'] });
    expect((await one.call('/api/v1/regions', { headers: bearer(reader.secret) })).status).toBe(200);
    expect((await one.call('/api/v1/plans', { method: 'POST', headers: bearer(reader.secret) })).status).toBe(403);
    expect((await lookup(one, reader.secret)).status).toBe(403);
  });

  it('that are revoked open nothing in any process within a second, also while a transaction holds the change feed back', async () => {
    const { Client } = await import('pg').then(({ default: pg }) => pg);
    const neighbour = new Client({ connectionString: databaseUrl });
    await neighbour.connect();
    await neighbour.query('BEGIN; INSERT INTO changes (topic, key) VALUES (\'nobody\', \'{x}\')');
    let made: Awaited<ReturnType<typeof make>>;
    try {
      // A machine that is busy with much else may be late; not every time.
      made = await eventually('a revocation is everywhere within its time', async () => {
        const token = await make({ scopes: ['lookup'] });
        await eventually('the other process knows it', async () => (await lookup(other, token.secret)).status === 200);
        const revoked = await one.admin(`tokens/${token.id}`, { method: 'DELETE' });
        const revokedAt = performance.now();
        expect([revoked.status, (await lookup(one, token.secret)).status]).toEqual([204, 401]);
        await eventually('it opens nothing in the other process', async () => (await lookup(other, token.secret)).status === 401);
        return performance.now() - revokedAt < REVOKED_EVERYWHERE_MAX_MS && token;
      });
    } finally {
      await neighbour.end();
    }
    expect((await one.admin(`tokens/${made.id}`, { method: 'DELETE' })).status).toBe(204);
    expect((await one.admin<TokenEntry>(`tokens/${made.id}`)).body).toMatchObject({ active: false, revokedAt: expect.any(String) });
    expect((await one.admin('tokens/00000000-0000-4000-8000-000000000000', { method: 'DELETE' })).status).toBe(404);
  });

  it('that break a rule are not made', async () => {
    const wrong = [{ scopes: [] }, { scopes: ['root'] }, { scopes: ['lookup'], repositories: ['../x'] }, { scopes: ['lookup'], regions: ['atlantis'] }, { scopes: ['lookup'], expiresAt: '2020-01-01T00:00:00.000Z' },
      { scopes: ['lookup'], expiresAt: '2099-01-01T00:00:00.000Z' }];
    for (const json of wrong) expect(await one.admin<Problem>('tokens', { method: 'POST', json: { name: 'x', ...json } })).toMatchObject({ status: 400, body: { code: expect.stringMatching(/INVALID/) } });
  });

  it('leave a trail: every change with who made it and what came of it, and no reading', async () => {
    const admin = await make({ name: 'deploy robot', scopes: ['admin:write'] });
    const pin = { repository: 'team/app', reference: 'v1', regions: ['eastus'] };
    const created = await one.call<{ id: string; createdBy: string }>('/api/v1/pins', { method: 'POST', json: pin, headers: bearer(admin.secret) });
    expect([created.status, created.body.createdBy]).toEqual([201, `token:${admin.id}`]);
    await one.call('/api/v1/pins', { method: 'POST', json: { ...pin, regions: ['mars'] }, headers: bearer(admin.secret) });
    await one.call('/api/v1/pins', { headers: bearer(admin.secret) });
    await one.call('/api/v1/pins', { method: 'POST', json: pin, headers: bearer('made-up') });
    const mine = (await trail()).filter((entry) => entry.actor === `token:${admin.id}`);
    expect(mine).toEqual([
      expect.objectContaining({ actorName: 'deploy robot', method: 'POST', path: '/api/v1/pins', status: 400, body: JSON.stringify({ ...pin, regions: ['mars'] }), address: '127.0.0.1' }),
      expect.objectContaining({ method: 'POST', path: '/api/v1/pins', status: 201, body: JSON.stringify(pin) }),
    ]);
    const { body } = await one.admin<{ items: TrailEntryBody[]; nextCursor: string }>('audit?limit=1&actor=admin');
    expect(body.items[0]).toMatchObject({ actor: 'admin', path: '/api/v1/tokens', status: 201 });
    const next = await one.admin<{ items: TrailEntryBody[] }>(`audit?limit=1&actor=admin&cursor=${body.nextCursor}`);
    expect(next.body.items[0]?.id).not.toBe(body.items[0]?.id);
  });

  it('slow down whoever guesses, and nobody who shares the address and shows a good one', async () => {
    const made = await make({ scopes: ['lookup'] });
    const answers = await Promise.all(Array.from({ length: 150 }, (_, count) => lookup(other, `guess-${count}-0123456789`)));
    const limited = answers.find(({ status }) => status === 429);
    expect(limited).toMatchObject({ status: 429, headers: { 'retry-after': expect.stringMatching(/^\d+$/) }, body: { code: 'TOO_MANY_FAILURES' } });
    expect((await lookup(one, made.secret)).status).toBe(200);
    await eventually('the other process knows it', async () => (await lookup(other, made.secret)).status === 200);
    expect((await other.call('/v1/lookup', { method: 'POST', json: LOOKUP })).status).toBe(401);
  });

  it('are checked from memory: those that are known are let in while the database is away', async () => {
    const made = await make({ scopes: ['lookup'] });
    await eventually('the other process knows it', async () => (await lookup(other, made.secret)).status === 200);
    const { Client } = await import('pg').then(({ default: pg }) => pg);
    const admin = new Client({ connectionString: POSTGRES_URL });
    await admin.connect();
    const name = new URL(databaseUrl).pathname.slice(1);
    try {
      await admin.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`);
      await admin.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [name]);
      await eventually('the process has noticed', () => log.some((line) => line.includes('service tokens could not be looked at')), { withinMs: 10_000 });
      expect([(await lookup(other, made.secret)).status, (await lookup(other, TOKENS.service)).status]).toEqual([200, 200]);
      expect((await lookup(other, `${made.secret.slice(0, -1)}!`)).status).not.toBe(200);
      expect((await one.admin(`tokens/${made.id}`, { method: 'DELETE' })).status).toBeGreaterThanOrEqual(500);
    } finally {
      await admin.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS true`);
      await admin.end();
    }
    await eventually('changes are taken again', async () => (await one.admin(`tokens/${made.id}`, { method: 'DELETE' })).status === 204);
    await eventually('and reach every process', async () => (await lookup(other, made.secret)).status !== 200);
  });
});
