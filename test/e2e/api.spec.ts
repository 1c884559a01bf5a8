import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { LeaseEntry, MountAnswerBody, PinEntry, Problem, TaskEntry } from '#contract';
import type { PushedManifest } from '#registry/local';

import { eventually } from './support/eventually.js';
import { type GuardedWorld, startGuardedWorld } from './support/guarded-world.js';
import { smallImage } from './support/real-layers.js';
import { envelope, notify } from './support/registry-events.js';
import { type ServiceClient, TOKENS } from './support/service-client.js';

const ENVELOPE_TYPE = 'application/vnd.docker.distribution.events.v1+json';
const NOBODY = '00000000-0000-4000-8000-000000000000';
const bearer = (token: string): { authorization: string } => ({ authorization: `Bearer ${token}` });

let world: GuardedWorld;
let client: ServiceClient;
let pushed: PushedManifest;

beforeAll(async () => {
  // Leases are looked at while they hold.
  world = await startGuardedWorld({ leases: { ttl: '1m' } });
  client = world.client;
  pushed = await world.push('team/app', 'v1', smallImage('base', 'app'));
  await world.push('team/app', 'v0', smallImage('base', 'old'));
  await world.push('team/other', 'v1', smallImage('other'));
  await client.enable('team/app');
  await client.enable('team/other');
  await eventually('both repositories, and the merged views of their two images, are expanded at home', async () => (await client.replicas()).filter((replica) => replica.state === 'ready').length === 6);
});
afterAll(() => world?.[Symbol.asyncDispose]());

describe('bearer tokens', () => {
  const json = '{}';
  const routes = [
    ['GET', '/api/v1/regions', 'admin'],
    ['POST', '/api/v1/pins', 'admin'],
    ['POST', '/v1/lookup', 'service'],
    ['POST', '/v1/rewrite', 'service'],
    ['POST', '/notifications', 'notification'],
  ] as const;

  it.each(routes)('%s %s wants the token of its audience, and says which', async (method, target, audience) => {
    const body = method === 'POST' ? { body: json } : {};
    const type = { 'content-type': audience === 'notification' ? ENVELOPE_TYPE : 'application/json' };
    const ask = (headers: Record<string, string>) => client.call<Problem>(target, { method, ...body, headers: { ...type, ...headers } });
    const missing = await ask({});
    expect(missing).toMatchObject({ status: 401, headers: { 'www-authenticate': 'Bearer realm="translocator"' }, body: { code: 'UNAUTHORIZED', detail: expect.stringContaining(audience) } });
    for (const wrong of ['wrong', `${TOKENS[audience]}x`, TOKENS[audience].slice(0, -1), audience === 'notification' ? TOKENS.admin : TOKENS.notification]) {
      expect(await ask(bearer(wrong))).toMatchObject({ status: 401, headers: { 'www-authenticate': 'Bearer realm="translocator", error="invalid_token"' } });
    }
    expect((await ask({ authorization: `Basic ${Buffer.from(TOKENS[audience]).toString('base64')}` })).status).toBe(401);
    expect((await ask(bearer(TOKENS[audience]))).status).not.toBe(401);
    expect((await ask({ authorization: `bearer ${TOKENS[audience]}` })).status).not.toBe(401);
  });

  it('opens the service\'s routes with the admin token, and not the other way round', async () => {
    expect((await client.call('/v1/lookup', { method: 'POST', json: {}, headers: bearer(TOKENS.admin) })).status).toBe(400);
    expect((await client.call('/api/v1/regions', { headers: bearer(TOKENS.service) })).status).toBe(401);
  });
});

describe('a request that breaks a rule', () => {
  const digest = `sha256:${'a'.repeat(64)}`;
  const pin = { repository: 'team/app', reference: 'v1', regions: ['eastus'] };
  const lookup = { repository: 'team/app', manifest: digest, layers: [digest] };
  const cases: readonly (readonly [method: string, path: string, json: unknown, field: string, value: string | null, rule: string])[] = [
    ['GET', '/api/v1/repositories?limit=0', undefined, '/limit', '"0"', 'at least 1'],
    ['GET', '/api/v1/repositories?limit=501', undefined, '/limit', '"501"', 'at most 500'],
    ['GET', '/api/v1/repositories?limit=many', undefined, '/limit', '"many"', 'a number'],
    ['GET', '/api/v1/repositories?cursor=%21', undefined, '/cursor', '"!"', 'nextCursor'],
    ['GET', '/api/v1/repositories?cursor=bm90LWpzb24', undefined, '/cursor', '"bm90LWpzb24"', 'nextCursor'],
    ['GET', '/api/v1/repositories?what=1', undefined, '/what', '"1"', 'not a known field'],
    ['GET', '/api/v1/repositories/Team/App', undefined, '/name', '"Team/App"', 'lower-case'],
    ['PUT', '/api/v1/repositories/Team', { teleportEnabled: true }, '/name', '"Team"', 'lower-case'],
    ['PUT', '/api/v1/repositories/a/../b', { teleportEnabled: true }, '/name', '"a/../b"', 'lower-case'],
    ['PUT', '/api/v1/repositories/a%00b', { teleportEnabled: true }, '/name', '"a\\u0000b"', 'lower-case'],
    ['PUT', '/api/v1/repositories/', { teleportEnabled: true }, '/name', '""', 'lower-case'],
    ['PUT', '/api/v1/repositories/team/app', {}, '/teleportEnabled', null, 'is required'],
    ['PUT', '/api/v1/repositories/team/app', { teleportEnabled: 'yes' }, '/teleportEnabled', '"yes"', 'true or false'],
    ['PUT', '/api/v1/repositories/team/app', { teleportEnabled: true, x: 1 }, '/x', '1', 'not a known field'],
    ['PUT', '/api/v1/repositories/team/app', [], '', 'a list of 0', 'must be an object'],
    ['PUT', '/api/v1/repositories/team/app', null, '', 'null', 'must be an object'],
    ['GET', '/api/v1/images', undefined, '/repository', null, 'is required'],
    ['GET', '/api/v1/images?repository=a&repository=b', undefined, '/repository', 'a list of 2', 'a string'],
    ['GET', '/api/v1/images/status?repository=team/app', undefined, '/reference', null, 'is required'],
    ['GET', '/api/v1/images/status?repository=team/app&reference=sha256:1', undefined, '/reference', '"sha256:1"', 'a tag or a sha256 digest'],
    ['POST', '/api/v1/pins', { ...pin, repository: 'Team' }, '/repository', '"Team"', 'lower-case'],
    ['POST', '/api/v1/pins', { ...pin, reference: 'v 1' }, '/reference', '"v 1"', 'a tag or a sha256 digest'],
    ['POST', '/api/v1/pins', { ...pin, regions: [] }, '/regions', 'a list of 0', 'at least 1 entry'],
    ['POST', '/api/v1/pins', { ...pin, regions: ['eastus', 'mars'] }, '/regions/1', '"mars"', 'westeurope, eastus, southeastasia'],
    ['POST', '/api/v1/pins', { ...pin, priority: 101 }, '/priority', '101', 'at most 100'],
    ['POST', '/api/v1/pins', { ...pin, priority: 1.5 }, '/priority', '1.5', 'a whole number'],
    ['POST', '/api/v1/pins', { ...pin, expiresAt: 'tomorrow' }, '/expiresAt', '"tomorrow"', 'an instant in UTC'],
    ['POST', '/api/v1/pins', { ...pin, expiresAt: '2020-01-01T00:00:00Z' }, '/expiresAt', '"2020-01-01T00:00:00Z"', 'in the future'],
    ['POST', '/api/v1/pins', { ...pin, id: 'me' }, '/id', '"me"', 'a UUID'],
    ['POST', '/api/v1/pins', { ...pin, note: 'x'.repeat(1001) }, '/note', `"${'x'.repeat(98)}…`, 'at most 1000 characters'],
    ['GET', '/api/v1/pins?region=Mars', undefined, '/region', '"Mars"', 'lower-case'],
    ['GET', '/api/v1/pins/me', undefined, '/id', '"me"', 'a UUID'],
    ['DELETE', '/api/v1/pins/me', undefined, '/id', '"me"', 'a UUID'],
    ['GET', '/api/v1/replicas?state=gone', undefined, '/state', '"gone"', '"draining"'],
    ['GET', '/api/v1/replicas?layer=x', undefined, '/layer', '"x"', '64 lower-case hexadecimal digits'],
    ['GET', '/api/v1/leases?region=Mars', undefined, '/region', '"Mars"', 'lower-case'],
    ['GET', '/api/v1/leases?layer=x', undefined, '/layer', '"x"', '64 lower-case hexadecimal digits'],
    ['GET', '/api/v1/leases?cursor=ImEi', undefined, '/cursor', '"ImEi"', 'nextCursor'],
    ['GET', '/api/v1/tasks?kind=cooking', undefined, '/kind', '"cooking"', '"expansion"'],
    ['GET', '/api/v1/tasks?state=lost', undefined, '/state', '"lost"', '"blocked"'],
    ['GET', '/api/v1/tasks?cursor=bnVsbA', undefined, '/cursor', '"bnVsbA"', 'nextCursor'],
    ['POST', '/api/v1/tasks/retry', { id: 'not an id' }, '/id', '"not an id"', 'the id of a task'],
    ['GET', '/api/v1/demand?region=Mars', undefined, '/region', '"Mars"', 'lower-case'],
    ['GET', '/api/v1/plans/Mars', undefined, '/region', '"Mars"', 'lower-case'],
    ['POST', '/v1/lookup', { ...lookup, layers: [digest, 'x'] }, '/layers/1', '"x"', '64 lower-case hexadecimal digits'],
    ['POST', '/v1/lookup', { ...lookup, layers: Array.from({ length: 1001 }, () => digest) }, '/layers', 'a list of 1001', 'at most 1000 entries'],
    ['POST', '/v1/lookup', { ...lookup, transports: ['floppy'] }, '/transports/0', '"floppy"', '"https"'],
    ['POST', '/v1/rewrite', {}, '/response', null, 'is required'],
    ['PUT', '/v1/leases/me', undefined, '/id', '"me"', 'a UUID'],
  ];

  it.each(cases)('%s %s %j is told the field, the value and the rule', async (method, path, json, field, value, rule) => {
    const { status, headers, body } = await client.call<Problem>(path, { method, ...(json === undefined ? {} : { json }), headers: bearer(TOKENS.admin) });
    expect([status, headers['content-type']]).toEqual([400, 'application/problem+json; charset=utf-8']);
    expect(body).toMatchObject({ type: 'about:blank', status: 400, code: 'REQUEST_INVALID' });
    expect(body.errors).toContainEqual({ field, value, rule: expect.stringContaining(rule) });
  });

  it('is told every broken rule at once', async () => {
    const { body } = await client.admin<Problem>('pins', { method: 'POST', json: { repository: 'A', reference: '', regions: 'eastus', priority: 'x' } });
    expect(body.errors?.map((error) => error.field)).toEqual(['/repository', '/reference', '/regions', '/priority']);
    expect(body.detail).toContain('3 more');
  });

  it.each([
    ['bad JSON', '{"teleportEnabled"', 'application/json', 400, 'REQUEST_INVALID'],
    ['no JSON at all', '', 'application/json', 400, 'REQUEST_INVALID'],
    ['text', 'true', 'text/plain', 415, 'CONTENT_TYPE_UNSUPPORTED'],
    ['a form', 'teleportEnabled=true', 'application/x-www-form-urlencoded', 415, 'CONTENT_TYPE_UNSUPPORTED'],
    ['2 MiB and a byte', `"${'x'.repeat(2 * 2 ** 20 - 1)}"`, 'application/json', 413, 'REQUEST_TOO_LARGE'],
    ['__proto__', '{"teleportEnabled":true,"__proto__":{"a":1}}', 'application/json', 400, 'REQUEST_INVALID'],
  ] as const)('may not have %s as its body', async (_what, body, type, status, code) => {
    const reply = await client.admin<Problem>('repositories/team/app', { method: 'PUT', body, headers: { 'content-type': type } });
    expect([reply.status, reply.body.status, reply.body.code]).toEqual([status, status, code]);
    expect(reply.headers['content-type']).toContain('application/problem+json');
  });

  it.each([
    ['GET', '/api/v1/nothing', 404, 'NOT_FOUND'],
    ['GET', '/nothing', 404, 'NOT_FOUND'],
    ['GET', '/api/v1/pins/', 404, 'NOT_FOUND'],
    ['GET', '/api/v1/pins/%zz', 400, 'REQUEST_INVALID'],
    ['GET', `/api/v1/pins/${'a'.repeat(1000)}`, 414, 'URI_TOO_LONG'],
    ['GET', `/api/v1/pins/${NOBODY}`, 404, 'NOT_FOUND'],
    ['DELETE', `/api/v1/pins/${NOBODY}`, 404, 'NOT_FOUND'],
    ['GET', '/api/v1/repositories/team/nobody', 404, 'NOT_FOUND'],
    ['GET', '/api/v1/plans/mars', 404, 'NOT_FOUND'],
    ['GET', '/api/v1/images/status?repository=team/app&reference=v9', 404, 'NOT_FOUND'],
    ['PUT', `/v1/leases/${NOBODY}`, 404, 'LEASE_EXPIRED'],
  ])('%s %s is a problem, too', async (method, path, status, code) => {
    const reply = await client.call<Problem>(path, { method, headers: bearer(TOKENS.admin) });
    expect(reply.headers['content-type']).toContain('application/problem+json');
    expect(reply.body).toMatchObject({ status, code });
    expect(reply.status).toBe(status);
  });
});

describe('a path that is there', () => {
  it.each([
    ['PATCH', '/api/v1/regions', 'GET, HEAD, OPTIONS'],
    ['POST', '/api/v1/leases?limit=1', 'GET, HEAD, OPTIONS'],
    ['PUT', '/api/v1/pins', 'GET, HEAD, OPTIONS, POST'],
    ['PATCH', `/api/v1/pins/${NOBODY}`, 'DELETE, GET, HEAD, OPTIONS'],
    ['DELETE', '/api/v1/repositories/team/app', 'GET, HEAD, OPTIONS, PUT'],
    ['GET', '/v1/lookup', 'OPTIONS, POST'],
    ['HEAD', '/notifications', 'OPTIONS, POST'],
    ['DELETE', '/livez', 'GET, HEAD, OPTIONS'],
    ['TRACE', '/metrics', 'GET, HEAD, OPTIONS'],
    ['PROPFIND', '/api/v1/regions', 'GET, HEAD, OPTIONS'],
  ])('is not there for %s %s, and its methods are told', async (method, path, allow) => {
    const reply = await client.call<Problem>(path, { method, ...(method === 'PATCH' ? { json: { a: 1 } } : {}) });
    expect([reply.status, reply.headers.allow]).toEqual([405, allow]);
    if (method === 'HEAD') return expect(reply.text).toBe('');
    expect(reply.headers['content-type']).toContain('application/problem+json');
    expect(reply.body).toMatchObject({ status: 405, code: 'METHOD_NOT_ALLOWED', detail: expect.stringContaining(path.split('?')[0]!) });
  });

  it.each([
    ['POST', '/mount/v1/team/app/_manifests/v1', 'GET, HEAD, OPTIONS'],
    ['PUT', '/acr/v1/team/app', undefined],
    ['PUT', '/oauth2/token', 'GET, OPTIONS, POST'],
    ['PROPFIND', '/v2/team/app/manifests/v1', 'DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT'],
    ['PUT', '/v2/team/app/manifests/v1', 'GET, HEAD'],
    ['DELETE', '/v2/', 'GET, HEAD'],
  ])('is refused as registries do where their clients ask it with another method: %s %s', async (method, path, allow) => {
    const reply = await client.call<{ errors: { code: string }[] }>(path, { method });
    expect([reply.status, reply.headers['content-type'], reply.body.errors.map(({ code }) => code)]).toEqual([405, expect.stringContaining('application/json'), ['UNSUPPORTED']]);
    if (allow === undefined) expect(reply.headers.allow).toContain('PATCH');
    else expect(reply.headers.allow).toBe(allow);
  });

  it('tells its methods to OPTIONS, and one that is not there nothing', async () => {
    const told = await client.call('/api/v1/pins', { method: 'OPTIONS' });
    expect([told.status, told.headers.allow, told.text]).toEqual([204, 'GET, HEAD, OPTIONS, POST', '']);
    expect((await client.call('/api/v1/nothing', { method: 'OPTIONS' })).status).toBe(404);
    expect((await client.call('/api/v1/pins/a/b', { method: 'DELETE' })).status).toBe(404);
  });

  it('is refused another method before its body is read, whatever that is', async () => {
    expect((await client.call('/api/v1/regions', { method: 'PATCH', body: 'x'.repeat(100_000), headers: { 'content-type': 'text/plain' } })).status).toBe(405);
  });
});

describe('notifications', () => {
  const send = (body: string, type: string) => client.call<Problem>('/notifications', { method: 'POST', body, headers: { ...bearer(TOKENS.notification), 'content-type': type } });

  it.each(['application/json', 'text/plain', 'application/xml'])('refuses %s with 415', async (type) => {
    expect((await send('{"events":[]}', type)).body).toMatchObject({ status: 415, code: 'CONTENT_TYPE_UNSUPPORTED', detail: expect.stringContaining(type) });
  });

  it('refuses what is no envelope, and what is too large', async () => {
    expect((await send('{"events"', ENVELOPE_TYPE)).body).toMatchObject({ status: 400, code: 'NOTIFICATION_INVALID' });
    expect((await send('{"events":{}}', ENVELOPE_TYPE)).body).toMatchObject({ status: 400, code: 'NOTIFICATION_INVALID' });
    const thousandAndOne = envelope(...Array.from({ length: 1001 }, () => ({ action: 'push', repository: 'a' }) as const));
    expect((await send(thousandAndOne, ENVELOPE_TYPE)).body).toMatchObject({ status: 413, code: 'NOTIFICATION_TOO_LARGE' });
    expect((await send(' '.repeat(2 ** 20 + 1), ENVELOPE_TYPE)).status).toBe(413);
  });

  it('counts a repeated event once, and passes over what cannot be read', async () => {
    const event = { action: 'push', repository: 'team/app', tag: 'v1', id: randomUUID() } as const;
    expect((await notify(client, event, { action: 'push', repository: 'Not/Valid', tag: 'v1' })).body).toEqual({ accepted: 1, repeated: 0, skipped: 1 });
    expect((await notify(client, event)).body).toEqual({ accepted: 0, repeated: 1, skipped: 0 });
    expect((await notify(client, event, event)).body).toEqual({ accepted: 0, repeated: 2, skipped: 0 });
  });

  it('believes nobody: a forged push and a forged deletion change nothing', async () => {
    await notify(client, { action: 'delete', repository: 'team/app', tag: 'v1', digest: pushed.digest }, { action: 'push', repository: 'team/app', tag: 'never-pushed' });
    await world.push('team/app', 'after', smallImage('base', 'after'));
    await notify(client, { action: 'push', repository: 'team/app', tag: 'after' });
    await eventually('the later event has been worked on', () => client.readyIn('westeurope', 'team/app', 'after'));
    expect((await client.status('team/app', 'v1'))?.digest).toBe(pushed.digest);
    expect(await client.status('team/app', 'never-pushed')).toBeUndefined();
  });
});

describe('lists', () => {
  type Page = { items: Record<string, unknown>[]; nextCursor?: string };

  it.each(['repositories', 'images?repository=team/app', 'replicas'])('%s can be read one by one, in the order of the whole', async (list) => {
    const read = async (): Promise<Page> => (await client.admin<Page>(list)).body;
    // Merged views of what was pushed before may still come.
    const { whole, singles } = await eventually('nothing changes while it is read', async () => {
      const whole = await read();
      const singles: unknown[] = [];
      for (let cursor: string | undefined, page = 0; page < 50; page += 1) {
        const { status, body } = await client.admin<Page>(`${list}${list.includes('?') ? '&' : '?'}limit=1${cursor === undefined ? '' : `&cursor=${cursor}`}`);
        expect(status).toBe(200);
        singles.push(...body.items);
        cursor = body.nextCursor;
        if (cursor === undefined) break;
      }
      return isDeepStrictEqual(await read(), whole) && { whole, singles };
    });
    expect(whole.items.length).toBeGreaterThan(1);
    expect(whole.nextCursor).toBeUndefined();
    expect(singles).toEqual(whole.items);
  });

  it('refuses the cursor of another list', async () => {
    const { body } = await client.admin<Page>('repositories?limit=1');
    expect(await client.admin(`replicas?cursor=${body.nextCursor}`)).toMatchObject({ status: 400, body: { errors: [{ field: '/cursor' }] } });
  });
});

describe('leases', () => {
  type Page = { items: LeaseEntry[]; nextCursor?: string };
  const list = async (query: string): Promise<Page> => (await client.admin<Page>(`leases${query}`)).body;

  it('tell who holds what, until they are released', async () => {
    const answer = async (): Promise<MountAnswerBody> => (await client.pull('team/app', 'v1', { authorization: await world.authorizationOf('alice', 'team/app'), 'x-teleport-region': 'westeurope' })).body;
    const { layers, lease } = await eventually('an answer with mounts only', async () => {
      const body = await answer();
      return body.layers.every(({ kind }) => kind === 'mount') && body;
    });
    const ids = async (query: string): Promise<string[]> => (await list(query)).items.map(({ id }) => id);
    await eventually('the lease is written', async () => (await ids('')).includes(lease!.id));
    const listed = (await list('?share=westeurope&region=westeurope')).items.find(({ id }) => id === lease!.id);
    expect(listed).toMatchObject({ region: 'westeurope', shared: false, renewable: true, replicaCount: listed?.replicas.length });
    expect(Date.parse(listed!.expiresAt)).toBeGreaterThan(Date.now());
    expect(listed!.replicas.map(({ layer }) => layer)).toEqual(expect.arrayContaining(layers.map(({ digest }) => digest)));
    expect((await list(`?layer=${layers[0]?.digest}`)).items.find(({ id }) => id === lease!.id)?.replicas).toEqual([{ layer: layers[0]?.digest, share: 'westeurope' }]);
    expect(await ids('?share=southeastasia')).not.toContain(lease!.id);
    await answer();
    const all = await eventually('the other lease is written, too', async () => {
      const found = await ids('');
      return found.length > 1 && found;
    });
    const first = await list('?limit=1');
    expect([...first.items.map(({ id }) => id), ...(await ids(`?limit=500&cursor=${first.nextCursor}`))]).toEqual(all);
    await client.call(`/v1/leases/${lease!.id}`, { method: 'DELETE', headers: bearer(TOKENS.service) });
    expect(await ids('')).not.toContain(lease!.id);
  });

  it('are shown to who may read', async () => {
    expect((await client.call('/api/v1/leases', { headers: bearer(TOKENS.service) })).status).toBe(401);
  });
});

describe('tasks', () => {
  type Page = { items: TaskEntry[]; nextCursor?: string };
  const list = async (query: string): Promise<Page> => (await client.admin<Page>(`tasks?${query}`)).body;
  const retry = (id: string) => client.admin<Problem>('tasks/retry', { method: 'POST', json: { id } });

  it('tell what is stuck and why, and are tried again at once where an operator says so', async () => {
    const { layers } = await world.push('team/stuck', 'v1', smallImage('stuck'));
    const [layer] = layers;
    world.registry.faults.add({ part: 'blobs', target: layer! }, { kind: 'status', status: 404 }, 1_000_000);
    await client.enable('team/stuck');
    const stuck = await eventually('it has failed', async () => (await list(`kind=expansion&state=waiting&failed=true&layer=${layer}`)).items[0]);
    expect(stuck).toMatchObject({ kind: 'expansion', state: 'waiting', layer, repository: 'team/stuck', lastError: expect.stringContaining('answered 404'), nextTryAt: expect.any(String) });
    expect(stuck!.attempts).toBeGreaterThan(0);
    // It is tried again by itself now and then.
    await eventually('it waits, and nothing else of its repository does', async () => isDeepStrictEqual((await list('state=waiting&repository=team/stuck')).items.map(({ id }) => id), [stuck!.id]));
    expect((await list(`kind=copy&layer=${layer}`)).items).toEqual([]);
    world.registry.faults.clear();
    await eventually('it waits and is tried again', async () => (await retry(stuck!.id)).status === 204);
    await eventually('it is there', () => client.readyIn('westeurope', 'team/stuck', 'v1'));
    await eventually('it is no task any more', async () => (await list(`layer=${layer}`)).items.length === 0);
    expect(await retry(stuck!.id)).toMatchObject({ status: 404, body: { code: 'NOT_FOUND' } });
    const { body: trail } = await client.admin<{ items: { path: string; status?: number }[] }>('audit?limit=50');
    expect(trail.items).toContainEqual(expect.objectContaining({ path: '/api/v1/tasks/retry', status: 204 }));
  });

  it('that were given up are listed with the reason, and not tried again', async () => {
    const foreign = { ...smallImage('foreign').layers[0]!, mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip' };
    await world.push('team/foreign', 'v1', { layers: [foreign] });
    await client.enable('team/foreign');
    const refused = await eventually('it is refused', async () => (await list('state=refused&repository=team/foreign')).items[0]);
    expect(refused).toMatchObject({ kind: 'expansion', state: 'refused', lastError: expect.stringContaining('MEDIA_TYPE_UNSUPPORTED') });
    expect(await retry(refused!.id)).toMatchObject({ status: 409, body: { code: 'TASK_NOT_FAILED' } });
    expect(await retry('bnVsbA')).toMatchObject({ status: 404 });
  });
});

describe('pins', () => {
  const create = (json: Record<string, unknown>) => client.admin<PinEntry>('pins', { method: 'POST', json });
  const remove = async (id: string): Promise<void> => {
    expect((await client.admin(`pins/${id}`, { method: 'DELETE' })).status).toBe(204);
  };

  it('makes one pin of a repeated request, and refuses another one under its id', async () => {
    const json = { id: randomUUID(), repository: 'team/other', reference: 'v1', regions: ['eastus'], note: 'for tests' };
    const first = await create(json);
    expect([first.status, first.body]).toEqual([201, { ...json, priority: 0, active: true, createdAt: expect.any(String), createdBy: expect.any(String) }]);
    const again = await create(json);
    expect([again.status, again.body]).toEqual([200, first.body]);
    expect(await create({ ...json, regions: ['southeastasia'] })).toMatchObject({ status: 409, body: { code: 'PIN_CONFLICT' } });
    expect((await client.admin(`pins/${json.id}`)).body).toEqual(first.body);
    expect((await client.admin('pins?repository=team/other')).body).toEqual({ items: [first.body] });
    expect((await client.admin('pins?repository=team/other&region=southeastasia')).body).toEqual({ items: [] });
    await remove(json.id);
    expect((await client.admin(`pins/${json.id}`, { method: 'DELETE' })).status).toBe(404);
    expect((await client.admin('pins?repository=team/other')).body).toEqual({ items: [] });
  });

  it('brings an image to its region until it expires', async () => {
    const isActive = async (id: string): Promise<boolean> => (await client.admin<PinEntry>(`pins/${id}`)).body.active;
    /** A pin that ends so soon that a busy machine may be too late; then one that ends later. */
    const withItsImage = async (seconds: number): Promise<string> => {
      const { body } = await create({ repository: 'team/other', reference: 'v1', regions: ['southeastasia'], expiresAt: new Date(Date.now() + seconds * 1000).toISOString() });
      expect(body.active).toBe(true);
      const isThere = await eventually('the image is there, or the pin is over', async () => {
        if (await client.readyIn('southeastasia', 'team/other', 'v1')) return 'there';
        return (await isActive(body.id)) ? undefined : 'over';
      });
      if (isThere === 'there' || seconds > 30) return body.id;
      await remove(body.id);
      return withItsImage(seconds * 4);
    };
    const id = await withItsImage(4);
    await eventually('the pin is over', async () => !(await isActive(id)));
    await eventually('the image has left again', async () => (await client.status('team/other', 'v1'))?.images[0]?.regions.find((each) => each.region === 'southeastasia')?.state === 'none');
    await remove(id);
  });

  it('follows a tag, and stays with a digest', async () => {
    const old = await world.push('team/app', 'stable', smallImage('base', 'stable-1'));
    await notify(client, { action: 'push', repository: 'team/app', tag: 'stable' });
    const byTag = await create({ repository: 'team/app', reference: 'stable', regions: ['southeastasia'] });
    const byDigest = await create({ repository: 'team/app', reference: old.digest, regions: ['eastus'] });
    await eventually('the image is where its pins want it', async () => (await client.readyIn('southeastasia', 'team/app', old.digest)) && (await client.readyIn('eastus', 'team/app', old.digest)));
    const fresh = await world.push('team/app', 'stable', smallImage('base', 'stable-2'));
    await notify(client, { action: 'push', repository: 'team/app', tag: 'stable' });
    await eventually('the new image of the tag is there', () => client.readyIn('southeastasia', 'team/app', fresh.digest));
    const stateIn = async (region: string, digest: string) => (await client.status('team/app', digest))?.images[0]?.regions.find((each) => each.region === region)?.state;
    await eventually('the old image keeps only the layer that the new one shares', async () => (await stateIn('southeastasia', old.digest)) === 'partial');
    expect(await stateIn('eastus', old.digest)).toBe('ready');
    expect(await stateIn('eastus', fresh.digest)).toBe('partial');
    await remove(byTag.body.id);
    await remove(byDigest.body.id);
  });
});

describe('what machines read', () => {
  it('is alive, ready, and answers HEAD like GET', async () => {
    expect(await client.call('/livez')).toMatchObject({ status: 200, body: { status: 'ok' } });
    expect(await client.call('/readyz')).toMatchObject({ status: 200, body: { status: 'ok', database: 'ok', map: 'ok' } });
    for (const target of ['/livez', '/readyz', '/metrics']) expect(await client.call(target, { method: 'HEAD' })).toMatchObject({ status: 200, text: '' });
    expect((await client.call('/api/v1/regions', { method: 'HEAD' })).status).toBe(401);
  });

  it('keeps its secrets out of its log', () => {
    const log = world.log.join('');
    for (const secret of [...Object.values(TOKENS), 'password-of-the-service']) expect(log).not.toContain(secret);
  });
});
