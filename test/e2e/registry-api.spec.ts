import { mkdtemp, rm } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import type { RegistryErrorsBody, RepositoryAttributes, RepositoryEntry } from '#contract';

import { eventually } from './support/eventually.js';
import { sendRaw } from './support/raw-http.js';
import { RawRegistry } from './support/raw-registry.js';
import type { ServiceClient } from './support/service-client.js';
import { startService } from './support/start-service.js';

const FORM = { 'content-type': 'application/x-www-form-urlencoded' };
const SECRET = 'secret-of-the-caller';
/** As the data plane of Azure Container Registry answers. */
const ACR_ATTRIBUTES = {
  registry: 'registry.test', imageName: 'team/app', createdTime: '2018-09-06T06:17:20.9531248Z', lastUpdateTime: '2018-09-07T16:30:46.6583219Z', manifestCount: 2, tagCount: 2,
  changeableAttributes: { deleteEnabled: true, writeEnabled: true, readEnabled: true, listEnabled: true },
};
const PUSHER = { authorization: 'Bearer pusher' };
const PULLER = { authorization: 'Bearer puller' };

interface Seen {
  readonly line: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

const undo = new AsyncDisposableStack();
const log: string[] = [];
const seen: Seen[] = [];
let registry: RawRegistry;
let client: ServiceClient;
/** Whether the registry has attributes of repositories. */
let isAcr = true;
let tokenAnswer: { status: number; body: string };

beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'translocator-e2e-'));
  undo.defer(() => rm(folder, { recursive: true, force: true }));
  registry = undo.use(await RawRegistry.start());
  registry.answer = (request, response) => void answer(request, response);
  const service = await startService({ folder, registryUrl: registry.url }, { overrides: { log: { level: 'trace' }, gateway: { realm: 'own', hosts: ['registry.test'] } }, onLog: (line) => log.push(line) });
  undo.defer(() => service.translocator.stop());
  client = service.client;
});
afterAll(() => undo.disposeAsync());
beforeEach(() => {
  seen.length = 0;
  isAcr = true;
  tokenAnswer = { status: 200, body: '{"access_token":"t"}' };
});

/** A registry of the kind of Azure's, as far as it is asked here: `pusher` may push, `puller` may pull. */
async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  const body = Buffer.concat(chunks).toString();
  const { method = '', url = '', headers } = request;
  seen.push({ line: `${method} ${url}`, headers, body });
  const json = (status: number, text: string, more: Record<string, string> = {}): void => void response.writeHead(status, { 'content-type': 'application/json', ...more }).end(text);
  const scope = method === 'POST' ? ',scope="repository:team/app:pull,push"' : '';
  const challenge = { 'www-authenticate': `Bearer realm="${registry.url}/oauth2/token",service="registry.test"${scope}` };
  const errors = (code: string): string => JSON.stringify({ errors: [{ code, message: code }] });
  if (url.startsWith('/oauth2/')) return json(tokenAnswer.status, tokenAnswer.body, { 'x-ms-request-id': '1' });
  if (headers.authorization === undefined || url === '/v2/') return json(401, errors('UNAUTHORIZED'), challenge);
  if (url.startsWith('/acr/v1/') && !isAcr) return void response.writeHead(404, { 'content-type': 'text/plain' }).end('404 page not found\n');
  if (url === '/v2/team/app/tags/list?n=1') return json(200, '{"name":"team/app","tags":[]}');
  if (method === 'POST' && url === '/v2/team/app/blobs/uploads/') {
    return headers.authorization === PUSHER.authorization ? json(202, '', { location: '/v2/team/app/blobs/uploads/u1?_state=s' }) : json(401, errors('UNAUTHORIZED'), challenge);
  }
  if (method === 'DELETE' && url === '/v2/team/app/blobs/uploads/u1?_state=s') return void response.writeHead(204).end();
  if (url === '/acr/v1/team/app') {
    const changed = method === 'PATCH' ? (JSON.parse(body) as object) : {};
    return json(200, JSON.stringify({ ...ACR_ATTRIBUTES, changeableAttributes: { ...ACR_ATTRIBUTES.changeableAttributes, ...changed } }));
  }
  json(404, errors('NAME_UNKNOWN'));
}

describe('tokens', () => {
  it('come from the registry\'s token service for a name and a password, with every scope that was asked for', async () => {
    const basic = `Basic ${Buffer.from(`user:${SECRET}`).toString('base64')}`;
    const query = '?service=registry.test&scope=repository%3Ateam%2Fapp%3Apull&scope=repository:other:pull,push&account=user';
    const { status, text, headers } = await sendRaw(client.url, `/oauth2/token${query}`, { headers: { authorization: basic } });
    expect([status, text, headers['cache-control'], headers['x-ms-request-id']]).toEqual([200, '{"access_token":"t"}', 'no-store', '1']);
    expect(seen.at(-1)).toMatchObject({ line: `GET /oauth2/token${query}`, headers: { authorization: basic } });
  });

  it.each([
    ['/oauth2/token', `grant_type=refresh_token&service=registry.test&scope=a&scope=b&refresh_token=${SECRET}`],
    ['/oauth2/token', `grant_type=password&service=registry.test&scope=a&username=user&password=${SECRET}`],
    ['/oauth2/exchange', `grant_type=access_token&service=registry.test&tenant=t&access_token=${SECRET}`],
  ])('come from it for forms: %s %s', async (path, body) => {
    expect((await sendRaw(client.url, path, { method: 'POST', body, headers: FORM })).text).toBe('{"access_token":"t"}');
    expect(seen.at(-1)).toMatchObject({ line: `POST ${path}`, body, headers: FORM });
  });

  it('are refused in the registry\'s own words', async () => {
    tokenAnswer = { status: 401, body: '{"errors":[{"code":"UNAUTHORIZED","message":"in its own words","detail":[{"Type":"x"}]}]}' };
    expect(await sendRaw(client.url, '/oauth2/token?service=x', { headers: { authorization: 'Basic eA==' } })).toMatchObject(({ status: 401, text: tokenAnswer.body }));
  });

  it('are not asked for with other bodies than forms of a bounded length', async () => {
    const call = (body: string, type: string) => sendRaw(client.url, '/oauth2/token', { method: 'POST', body, headers: { 'content-type': type } });
    expect((await call('{}', 'application/json')).status).toBe(415);
    expect((await call(`refresh_token=${'x'.repeat(200_000)}`, FORM['content-type'])).status).toBe(413);
    expect((await sendRaw(client.url, `/oauth2/token?scope=${'x'.repeat(9000)}`)).status).toBe(400);
    expect(seen.filter(({ line }) => line.includes('/oauth2/token'))).toEqual([]);
  });

  it('leave nothing of what was shown in the log', () => {
    expect(log.join('\n')).not.toContain(SECRET);
    expect(log.join('\n')).not.toContain(Buffer.from(`user:${SECRET}`).toString('base64'));
  });
});

describe('the attributes of a repository', () => {
  const attributes = (method: string, headers: Readonly<Record<string, string>>, json?: unknown) =>
    client.call<RepositoryAttributes & RegistryErrorsBody>('/acr/v1/team/app', { method, headers: { host: 'registry.test', ...headers }, ...(json === undefined ? {} : { json }) });

  it('are the registry\'s own, with teleportEnabled', async () => {
    const { status, body } = await attributes('GET', PULLER);
    expect([status, body]).toEqual([200, { ...ACR_ATTRIBUTES, changeableAttributes: { ...ACR_ATTRIBUTES.changeableAttributes, teleportEnabled: false } }]);
  });

  it('are changed for who may push: teleportEnabled here, the others at the registry, and the whole is answered', async () => {
    const { status, body } = await attributes('PATCH', PUSHER, { teleportEnabled: true, deleteEnabled: false });
    expect([status, body.changeableAttributes]).toEqual([200, { ...ACR_ATTRIBUTES.changeableAttributes, teleportEnabled: true }]);
    // Enabling it makes the service itself ask, too.
    expect(seen.filter(({ headers }) => headers.authorization === PUSHER.authorization).map(({ line }) => line)).toEqual([
      'GET /v2/team/app/tags/list?n=1', 'POST /v2/team/app/blobs/uploads/', 'DELETE /v2/team/app/blobs/uploads/u1?_state=s', 'PATCH /acr/v1/team/app', 'GET /acr/v1/team/app',
    ]);
    expect(seen.find(({ line }) => line.startsWith('PATCH'))).toMatchObject({ body: '{"deleteEnabled":false}', headers: PUSHER });
    const { body: trail } = await client.admin<{ items: { actor: string; path: string; status: number }[] }>('audit');
    expect(trail.items[0]).toMatchObject({ actor: 'registry', path: '/acr/v1/team/app', status: 200 });
    await eventually('the service itself asks no more', async () => (await client.admin<RepositoryEntry>('repositories/team/app')).body.backfill.state === 'done');
    expect((await attributes('PATCH', PUSHER, { teleportEnabled: false })).body.changeableAttributes.teleportEnabled).toBe(false);
  });

  it('are not changed for who may only pull, or shows nothing: the challenge leads here', async () => {
    for (const headers of [PULLER, {}]) {
      const reply = await attributes('PATCH', headers, { teleportEnabled: true });
      // For both rights, also to who may not even pull: a client gets one new token, and tries once.
      expect([reply.status, reply.headers['www-authenticate']]).toEqual([401, 'Bearer realm="http://registry.test/oauth2/token",service="registry.test",scope="repository:team/app:pull,push"']);
      expect(reply.body.errors).toEqual([{ code: 'UNAUTHORIZED', message: 'authentication required', detail: ['pull', 'push'].map((Action) => ({ Type: 'repository', Name: 'team/app', Action })) }]);
    }
    expect((await attributes('GET', PULLER)).body.changeableAttributes.teleportEnabled).toBe(false);
  });

  it('that the registry does not have are refused, and nothing is changed', async () => {
    isAcr = false;
    const reply = await attributes('PATCH', PUSHER, { teleportEnabled: true, readEnabled: false });
    expect([reply.status, reply.body.errors[0]]).toEqual([422, { code: 'UNSUPPORTED', message: expect.stringContaining('readEnabled cannot be set') }]);
    const { body } = await attributes('GET', PULLER);
    expect(body).toEqual({ registry: 'registry.test', imageName: 'team/app', manifestCount: 0, tagCount: 0, changeableAttributes: { deleteEnabled: true, writeEnabled: true, readEnabled: true, listEnabled: true, teleportEnabled: false } });
  });

  it('are a bare object of known names: all else is refused before the registry is asked', async () => {
    for (const json of [{}, { teleportEnabled: 'yes' }, { changeableAttributes: { teleportEnabled: true } }, []]) expect((await attributes('PATCH', PUSHER, json)).status).toBe(400);
    expect(seen).toEqual([]);
  });

  it('of a repository that the registry does not have are none', async () => {
    expect(await client.call('/acr/v1/team/none', { method: 'PATCH', headers: PUSHER, json: { teleportEnabled: true } })).toMatchObject({ status: 404, body: { errors: [{ code: 'NAME_UNKNOWN' }] } });
    expect((await client.call('/acr/v1/Team/../x', { headers: PUSHER })).status).toBe(400);
  });
});

describe('without gateway.enabled', () => {
  it('only what clients of Teleport need is passed on', async () => {
    expect((await sendRaw(client.url, '/v2/', { headers: PULLER })).status).toBe(401);
    expect((await sendRaw(client.url, '/v2/team/none/manifests/v1', { headers: PULLER, method: 'HEAD' })).status).toBe(404);
    expect(seen.map(({ line }) => line)).toEqual(['GET /v2/', 'HEAD /v2/team/none/manifests/v1']);
    for (const [method, path] of [['GET', '/v2/team/app/tags/list'], ['POST', '/v2/team/app/blobs/uploads/']] as const) {
      expect(await sendRaw(client.url, path, { headers: PUSHER, method })).toMatchObject({ status: 404, text: expect.stringContaining('gateway.enabled') });
    }
    const pushed = await sendRaw(client.url, '/v2/team/app/manifests/v1', { headers: PUSHER, method: 'PUT' });
    expect(pushed).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' }, text: expect.stringContaining('gateway.enabled') });
    expect(seen).toHaveLength(2);
    for (const [method, path] of [['GET', '/acr/v1/_catalog'], ['GET', '/acr/v1/team/app/_tags'], ['DELETE', '/acr/v1/team/none']] as const) {
      expect((await sendRaw(client.url, path, { headers: PUSHER, method })).text).toContain('NAME_UNKNOWN');
    }
    expect(seen.slice(2).map(({ line }) => line)).toEqual(['GET /acr/v1/_catalog', 'GET /acr/v1/team/app/_tags', 'DELETE /acr/v1/team/none']);
  });
});

describe('somebody who guesses passwords through this service', () => {
  it('is told to wait after a hundred failures, and the registry hears of no more', async () => {
    tokenAnswer = { status: 401, body: '{}' };
    const guess = () => sendRaw(client.url, '/oauth2/token?service=x', { headers: { authorization: 'Basic eA==' } });
    let status = 401;
    for (let tries = 0; tries < 300 && status === 401; tries += 1) ({ status } = await guess());
    expect(status).toBe(429);
    const heard = seen.length;
    expect(heard).toBeGreaterThanOrEqual(99);
    expect(await guess()).toMatchObject({ status: 429, headers: { 'retry-after': expect.stringMatching(/^\d+$/) } });
    expect(seen).toHaveLength(heard);
  });
});
