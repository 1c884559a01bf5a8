import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { json } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { LeaseBody, MountAnswerBody, Problem, RegistryErrorsBody, RenewedBody, RepositoryEntry } from '#contract';
import type { PushedManifest } from '#registry/local';

import { eventually } from './support/eventually.js';
import { type GuardedWorld, startGuardedWorld } from './support/guarded-world.js';
import { bigLayer, smallImage } from './support/real-layers.js';
import { notify } from './support/registry-events.js';
import { type ServiceClient, TOKENS } from './support/service-client.js';

const NOBODY = '00000000-0000-4000-8000-000000000000';
/** A node that has the share of its region mounted. */
const HOST_OF_THE_SHARE = '127.0.0.9';
const HOME = { 'x-teleport-region': 'westeurope' };
/** What writing a lease may take on a busy machine. */
const LEASE_WRITTEN_MAX_MS = 2000;
/** The registry's word is waited for as long as is configured; the rest is this machine's slowness. Less than what a registry is waited for otherwise. */
const ANSWER_MAX_MS = 25_000;
const LEASE_TTL_MS = 5000;
/** Pulls of one image share a lease for a fifteenth of its length at most. */
const LEASE_SHARED_MAX_MS = LEASE_TTL_MS / 15;

let world: GuardedWorld;
let client: ServiceClient;
let app: PushedManifest;
let other: PushedManifest;
/** What alice's node sends for team/app. */
let alice: { authorization: string };

beforeAll(async () => {
  // What is pulled here stays here only by pins.
  world = await startGuardedWorld({
    leases: { ttl: `${LEASE_TTL_MS}ms` },
    placement: { every: '500ms', minimumExpectedPulls: 1000, hitImages: 0, keepRatio: 1, smallLayersRatio: 0 },
    regions: { list: [{ name: 'westeurope', share: { folders: [{ path: '/mnt/layers-here', networks: [HOST_OF_THE_SHARE] }] } }, { name: 'eastus' }, { name: 'southeastasia' }] },
  });
  client = world.client;
  app = await world.push('team/app', 'tag-of-its-own', smallImage('base', 'app'));
  other = await world.push('team/other', 'v1', smallImage('other'));
  await world.push('team/idle', 'v1', smallImage('idle'));
  await client.enable('team/app');
  await client.enable('team/other');
  alice = { authorization: await world.authorizationOf('alice', 'team/app') };
  // What it asks the registry by itself, it asks before anything here is counted.
  for (const name of ['team/app', 'team/other']) await eventually(`${name} was looked through`, async () => (await client.admin<RepositoryEntry>(`repositories/${name}`)).body.backfill.state === 'done');
  await eventually('both images are mounted at home', async () => (await mounts('team/app', 'tag-of-its-own', 'alice')) && (await mounts('team/other', 'v1', 'bob')));
});
afterAll(() => world?.[Symbol.asyncDispose]());

async function mounts(repository: string, reference: string, user: 'alice' | 'bob'): Promise<boolean> {
  const { body } = await client.pull(repository, reference, { ...HOME, authorization: await world.authorizationOf(user, repository) });
  return body.layers?.every((layer) => layer.kind === 'mount') ?? false;
}

/** The body of what a node at another address of this machine is answered. */
async function getFrom(localAddress: string, path: string, headers: Record<string, string>): Promise<unknown> {
  const sent = request(new URL(path, client.url), { localAddress, headers });
  sent.end();
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  return json(answer);
}

const lookup = (body: Record<string, unknown>) => client.call<MountAnswerBody>('/v1/lookup', { method: 'POST', json: body, headers: { authorization: `Bearer ${TOKENS.service}` } });
const reasonsOf = (answer: MountAnswerBody): (string | undefined)[] => answer.layers.map((layer) => (layer.kind === 'blob' ? layer.reason : undefined));

describe('who may pull', () => {
  it('is challenged as the registry challenges, and answered with a token of the registry', async () => {
    const { status, headers, body } = await client.call<RegistryErrorsBody>('/mount/v1/team/app/_manifests/tag-of-its-own', { headers: HOME });
    expect([status, body]).toEqual([401, { errors: [{ code: 'UNAUTHORIZED', message: 'authentication required', detail: [{ Type: 'repository', Name: 'team/app', Action: 'pull' }] }] }]);
    expect(headers['www-authenticate']).toBe(`Bearer realm="${world.registry.url}/token",service="local-registry",scope="repository:team/app:pull"`);
    const answer = await client.pull('team/app', 'tag-of-its-own', { ...HOME, ...alice });
    expect(answer).toMatchObject({ status: 200, headers: { 'cache-control': 'no-store' }, body: { schemaVersion: 1, repository: 'team/app', digest: app.digest, region: 'westeurope' } });
    expect(answer.body.layers.map((layer) => layer.digest)).toEqual(app.layers);
  });

  it('is nobody with a made-up token, with a token for another repository, or with the tokens of this service', async () => {
    const ofOther = await world.authorizationOf('bob', 'team/other');
    const withoutRight = await world.authorizationOf('bob', 'team/app');
    for (const authorization of ['Bearer made-up', ofOther, withoutRight, `Bearer ${TOKENS.service}`, `Bearer ${TOKENS.admin}`]) {
      const { status, body } = await client.pull('team/app', 'tag-of-its-own', { ...HOME, authorization });
      expect([401, 403]).toContain(status);
      expect(body.layers).toBeUndefined();
    }
  });

  it('does not get another repository\'s image or layer by its digest', async () => {
    expect(await client.pull('team/app', other.digest, { ...HOME, ...alice })).toMatchObject({ status: 404, body: { errors: [{ code: 'MANIFEST_UNKNOWN' }] } });
    const { body } = await lookup({ repository: 'team/app', manifest: app.digest, layers: [...app.layers, ...other.layers], region: 'westeurope' });
    expect(reasonsOf(body)).toEqual([undefined, undefined, 'LAYER_NOT_IN_IMAGE']);
    const foreign = await lookup({ repository: 'team/app', manifest: other.digest, layers: other.layers, region: 'westeurope' });
    expect(reasonsOf(foreign.body)).toEqual(['IMAGE_UNKNOWN']);
  });

  it('is told what is not there, or not served', async () => {
    const idle = { ...HOME, authorization: await world.authorizationOf('alice', 'team/idle') };
    expect(await client.pull('team/idle', 'v1', idle)).toMatchObject({ status: 404, body: { errors: [{ code: 'NAME_UNKNOWN' }] } });
    expect(await client.pull('team/app', 'never', { ...HOME, ...alice })).toMatchObject({ status: 404, body: { errors: [{ code: 'MANIFEST_UNKNOWN' }] } });
  });
});

describe('the path', () => {
  const long = 'a'.repeat(10_000);

  it.each([
    ['team/../app/_manifests/v1', 400],
    ['team/%2e%2e/app/_manifests/v1', 400],
    ['../../etc/passwd', 404],
    ['%2e%2e/%2e%2e/etc/_manifests/v1', 400],
    ['team//app/_manifests/v1', 400],
    ['/_manifests/v1', 404],
    ['team/a%00pp/_manifests/v1', 400],
    ['team/app/_manifests/v%00', 400],
    ['team/app/_manifests/..%2f..%2fv1', 404],
    ['team/app/_manifests/%252e%252e', 400],
    ['team/app/_manifests/%zz', 400],
    ['team/app/_manifests/%ff', 400],
    ['team/app/_manifests/', 404],
    ['team/app', 404],
    ['', 404],
    [`${long}/_manifests/v1`, 400],
    [`team/app/_manifests/${long}`, 400],
    ['team/app/_manifests/sha256:abc', 400],
    [`team/app/_manifests/sha512:${'a'.repeat(128)}`, 400],
    ['team/app/_manifests/v1?platform=toaster', 400],
    ['team/app/_manifests/v1?platform=linux/amd64&platform=linux/arm64', 400],
    ['team/app/_manifests/v1?ns=docker.io', 404],
    ['team/app/_manifests/v1?ns=', 404],
  ])('%s is refused with %i, as registries refuse', async (path, status) => {
    const asked = world.registry.seen.length;
    const reply = await client.call<RegistryErrorsBody>(`/mount/v1/${path}`, { headers: { ...HOME, ...alice } });
    expect(reply.status).toBe(status);
    expect(reply.headers['content-type']).toContain('application/json');
    expect(reply.body.errors[0]).toMatchObject({ code: expect.stringMatching(/^[A-Z_]+$/), message: expect.any(String) });
    expect(reply.text.length).toBeLessThan(1000);
    expect(world.registry.seen.length).toBe(asked);
  });
});

describe('an answer', () => {
  it('is only blobs for a caller of whom it is not known where it is, and says so', async () => {
    for (const region of [undefined, 'atlantis', 'WestEurope!', 'x'.repeat(5000)]) {
      const { status, body } = await client.pull('team/app', 'tag-of-its-own', { ...alice, ...(region === undefined ? {} : { 'x-teleport-region': region }) });
      expect([status, body.region, body.lease]).toEqual([200, null, undefined]);
      expect(reasonsOf(body)).toEqual(['REGION_UNKNOWN', 'REGION_UNKNOWN']);
    }
  });

  it('names only the transports that the caller can use', async () => {
    const typesWith = async (headers: Record<string, string>) => {
      const { body } = await client.pull('team/app', 'tag-of-its-own', { ...HOME, ...alice, ...headers });
      return body.layers.map((layer) => (layer.kind === 'mount' ? [...new Set(layer.mounts.map((mount) => mount.type))] : layer.reason));
    };
    expect(await typesWith({ 'x-teleport-transports': ' HTTPS , carrier-pigeon' })).toEqual([['https'], ['https']]);
    expect(await typesWith({ 'x-teleport-transports': 'file' })).toEqual([['file'], ['file']]);
    expect(await typesWith({ 'x-teleport-transports': 'carrier-pigeon' })).toEqual(['TRANSPORT_UNAVAILABLE', 'TRANSPORT_UNAVAILABLE']);
    expect(await typesWith({ 'x-teleport-enabled': 'false' })).toEqual(['TRANSPORT_UNAVAILABLE', 'TRANSPORT_UNAVAILABLE']);
  });

  it('begins with the folder of the caller’s own host where it has the share mounted', async () => {
    const sources = async (answer: Promise<{ readonly body: MountAnswerBody }>): Promise<(string | undefined)[]> =>
      (await answer).body.layers.map((layer) => (layer.kind === 'mount' ? layer.mounts[0]?.source.slice(0, 17) : layer.reason));
    const everywhere = (source: string): string[] => app.layers.map(() => source);
    const pulled = await getFrom(HOST_OF_THE_SHARE, '/mount/v1/team/app/_manifests/tag-of-its-own', { ...HOME, ...alice });
    expect(await sources(Promise.resolve({ body: pulled as MountAnswerBody }))).toEqual(everywhere('/mnt/layers-here/'));
    const question = { repository: 'team/app', manifest: app.digest, layers: app.layers, region: 'westeurope' };
    expect(await sources(lookup({ ...question, address: HOST_OF_THE_SHARE }))).toEqual(everywhere('/mnt/layers-here/'));
    for (const address of [undefined, '192.0.2.1']) expect(await sources(lookup({ ...question, address }))).not.toContain('/mnt/layers-here/');
    expect(await lookup({ ...question, address: 'localhost' })).toMatchObject({ status: 400 });
  });

  it('has a URL that reads exactly this file, and opens nothing else', async () => {
    const { body } = await client.pull('team/app', 'tag-of-its-own', { ...HOME, ...alice, 'x-teleport-transports': 'https' });
    const [first, second] = body.layers.map((layer) => (layer.kind === 'mount' ? { url: new URL(layer.mounts[0]?.source ?? ''), sizeBytes: layer.vhd.sizeBytes } : undefined));
    const file = await fetch(first!.url);
    expect([file.status, (await file.arrayBuffer()).byteLength]).toEqual([200, first!.sizeBytes]);
    const elsewhere = new URL(first!.url);
    elsewhere.pathname = second!.url.pathname;
    expect((await fetch(elsewhere)).status).toBe(403);
    expect((await fetch(first!.url, { method: 'DELETE' })).status).toBe(403);
  });

  it('to HEAD has no body, makes no lease and is not observed', async () => {
    const observed = async (): Promise<number> => Number(/^translocator_observations_total\{region="westeurope"\} (\d+)$/m.exec((await client.call('/metrics')).text)?.[1] ?? 0);
    const before = await observed();
    const head = await client.call('/mount/v1/team/app/_manifests/tag-of-its-own', { method: 'HEAD', headers: { ...HOME, ...alice } });
    expect([head.status, head.text]).toEqual([200, '']);
    expect(await observed()).toBe(before);
    await client.pull('team/app', 'tag-of-its-own', { ...HOME, ...alice });
    expect(await observed()).toBe(before + 1);
    expect((await client.call('/mount/v1/team/app/_manifests/tag-of-its-own', { method: 'HEAD' })).status).toBe(401);
  });

  it('is the same by tag and by digest, with the transports that the caller names, for GET and HEAD', async () => {
    for (const reference of ['tag-of-its-own', app.digest]) {
      for (const [named, types] of [['file', ['file']], ['HTTPS, later-invention', ['https']], ['smb, https', ['smb', 'https']]] as const) {
        const headers = { ...HOME, ...alice, 'x-teleport-transports': named };
        const { status, body } = await client.pull('team/app', reference, headers);
        const mounted = body.layers.flatMap((layer) => (layer.kind === 'mount' ? layer.mounts.map((mount) => mount.type) : ['blob']));
        expect([status, mounted.length > 0, mounted.filter((type) => !types.includes(type as never))]).toEqual([200, true, []]);
        const head = await client.call(`/mount/v1/team/app/_manifests/${reference}`, { method: 'HEAD', headers });
        expect([head.status, head.text, head.headers['content-type']]).toEqual([200, '', expect.stringContaining('application/json')]);
      }
      const none = await client.pull('team/app', reference, { ...HOME, ...alice, 'x-teleport-enabled': 'false' });
      expect([none.status, none.body.layers.map((layer) => layer.kind)]).toEqual([200, ['blob', 'blob']]);
    }
  });

  it('is 409 with progress while nothing of the image is expanded', async () => {
    const layer = bigLayer('slow', 2_000_000);
    const slow = await world.push('team/app', 'slow', { layers: [layer] });
    world.registry.faults.add({ part: 'blobs', method: 'GET', target: slow.layers[0] ?? '' }, { kind: 'stall', afterBytes: 1_000_000 });
    await notify(client, { action: 'push', repository: 'team/app', tag: 'slow' });
    const answer = await eventually('the image is being expanded', async () => {
      const reply = await client.call<RegistryErrorsBody>('/mount/v1/team/app/_manifests/slow', { headers: { ...HOME, ...alice } });
      return reply.status === 409 && reply;
    });
    expect(Number(answer.headers['retry-after'])).toBeGreaterThanOrEqual(1);
    expect(answer.body.errors[0]).toMatchObject({ code: 'EXPANDING', detail: { digest: slow.digest, layerCount: 1, sizeBytes: layer.bytes.length } });
  });

  it('is given to a registry that has authorised the pull, without what the caller has already', async () => {
    const { status, body } = await lookup({ repository: 'team/app', manifest: app.digest, layers: app.layers, region: 'westeurope', have: [app.layers[0]], client: 'node-1' });
    expect([status, reasonsOf(body)]).toEqual([200, ['ALREADY_HELD', undefined]]);
  });

  it('can be rewritten for another region: mounts where there are replicas, blobs where there are none', async () => {
    const { body: response } = await client.pull('team/app', 'tag-of-its-own', { ...HOME, ...alice });
    const rewrite = (region: string) => client.call<MountAnswerBody>('/v1/rewrite', { method: 'POST', json: { response, region }, headers: { authorization: `Bearer ${TOKENS.service}` } });
    expect(reasonsOf((await rewrite('southeastasia')).body)).toEqual(['REPLICA_NONE', 'REPLICA_NONE']);
    expect(reasonsOf((await rewrite('westeurope')).body)).toEqual([undefined, undefined]);
  });
});

describe('leases', () => {
  it('are given with mounts, renewed until they run out, and released', async () => {
    // Nobody can end a lease that is shared, and after so many pulls of this image it may be.
    await delay(LEASE_SHARED_MAX_MS + 10);
    const { body } = await client.pull('team/app', 'tag-of-its-own', { ...HOME, ...alice });
    const { id, expiresAt } = body.lease!;
    const renewed = await client.call<LeaseBody>(`/v1/leases/${id}`, { method: 'PUT' });
    expect([renewed.status, renewed.body.id]).toEqual([200, id]);
    expect(Date.parse(renewed.body.expiresAt)).toBeGreaterThanOrEqual(Date.parse(expiresAt));
    expect((await client.call(`/v1/leases/${id}`, { method: 'DELETE' })).status).toBe(204);
    expect((await client.call(`/v1/leases/${id}`, { method: 'DELETE' })).status).toBe(204);
    expect(await client.call<Problem>(`/v1/leases/${id}`, { method: 'PUT' })).toMatchObject({ status: 404, body: { code: 'LEASE_EXPIRED' } });
    expect((await client.call(`/v1/leases/${NOBODY}`, { method: 'PUT' })).status).toBe(404);
  });

  it('are renewed together, each by itself', async () => {
    const renew = (ids: unknown) => client.call<RenewedBody & Problem>('/v1/leases', { method: 'PUT', json: { ids } });
    const { id } = (await client.pull('team/app', 'tag-of-its-own', { ...HOME, ...alice })).body.lease!;
    const { status, body } = await renew([NOBODY, id]);
    expect([status, body.leases.map((lease) => [lease.id, lease.expiresAt !== null])]).toEqual([200, [[NOBODY, false], [id, true]]]);
    for (const ids of [[], ['x'], undefined, Array.from({ length: 1001 }, () => NOBODY)]) expect((await renew(ids)).status).toBe(400);
  });

  it('that nobody renews run out', async () => {
    let waitedMs = LEASE_WRITTEN_MAX_MS;
    await eventually('one that was not renewed has run out', async () => {
      const { id, expiresAt } = (await client.pull('team/app', 'tag-of-its-own', { ...HOME, ...alice })).body.lease!;
      // Written behind, it holds longer than was told by as long as writing it took: never shorter.
      await eventually('its time is over', () => Date.now() > Date.parse(expiresAt) + waitedMs);
      waitedMs *= 3;
      return (await client.call(`/v1/leases/${id}`, { method: 'PUT' })).status === 404;
    });
  });

  it('keep a replica that no plan wants any more', async () => {
    const pins = await Promise.all([['team/app', 'tag-of-its-own'], ['team/other', 'v1']].map(([repository, reference]) => client.admin<{ id: string }>('pins', { method: 'POST', json: { repository, reference, regions: ['southeastasia'] } })));
    const there = async ({ layers }: PushedManifest, state?: string) => (await client.replicas()).filter((replica) => replica.share === 'southeastasia' && layers.includes(replica.layer) && (state === undefined || replica.state === state)).length;
    await eventually('what nobody will hold is there', async () => (await there(other, 'ready')) === 1);
    const { lease } = await eventually('it is mounted there', async () => {
      const { body } = await client.pull('team/app', 'tag-of-its-own', { ...alice, 'x-teleport-region': 'southeastasia' });
      return body.layers.every((layer) => layer.kind === 'mount') && body;
    });
    for (const { body } of pins) await client.admin(`pins/${body.id}`, { method: 'DELETE' });
    await eventually('what nobody holds is gone, and the lease would have run out', async () => {
      expect((await client.call(`/v1/leases/${lease!.id}`, { method: 'PUT' })).status).toBe(200);
      expect(await there(app)).toBe(2);
      return (await there(other)) === 0 && Date.now() > Date.parse(lease!.expiresAt) + LEASE_WRITTEN_MAX_MS;
    });
    expect(await there(app)).toBe(2);
    await client.call(`/v1/leases/${lease!.id}`, { method: 'DELETE' });
    await eventually('it goes when the lease is released', async () => (await there(app)) === 0);
  }, 300_000);
});

describe('when the registry is down', () => {
  it('answers blobs within its bound, and forgets nothing', async () => {
    const [fresh, admitted] = [{ authorization: await world.authorizationOf('alice', 'team/app') }, { authorization: await world.authorizationOf('alice', 'team/app') }];
    expect(fresh).not.toEqual(admitted);
    expect(reasonsOf((await client.pull('team/app', 'tag-of-its-own', { ...HOME, ...admitted })).body)).toEqual([undefined, undefined]);
    world.registry.faults.add({ part: 'manifests' }, { kind: 'silence' }, 100);
    const startedAt = performance.now();
    const silent = await client.pull('team/app', 'tag-of-its-own', { ...HOME, ...fresh });
    expect(performance.now() - startedAt).toBeLessThan(ANSWER_MAX_MS);
    expect([silent.status, reasonsOf(silent.body), silent.body.lease]).toEqual([200, ['AUTHORIZATION_UNAVAILABLE', 'AUTHORIZATION_UNAVAILABLE'], undefined]);
    world.registry.faults.clear();
    await world.registry.stop();
    const gone = await client.pull('team/app', app.digest, { ...HOME, ...fresh });
    expect([gone.status, reasonsOf(gone.body)]).toEqual([200, ['AUTHORIZATION_UNAVAILABLE', 'AUTHORIZATION_UNAVAILABLE']]);
    expect(await client.call('/readyz')).toMatchObject({ status: 200 });
    // Whom the registry has admitted a moment ago is still admitted.
    expect(reasonsOf((await client.pull('team/app', 'tag-of-its-own', { ...HOME, ...admitted })).body)).toEqual([undefined, undefined]);
  });
});

describe('metrics', () => {
  it('count all this, and name no digest, tag, repository or secret', async () => {
    const { text, headers } = await client.call('/metrics');
    expect(headers['content-type']).toContain('text/plain; version=0.0.4');
    for (const name of ['lookups_total{outcome="denied"}', 'lookups_total{outcome="expanding"}', 'notification_events_total{outcome="accepted"}', 'work_total{loop="expand",outcome="settled"}', 'replicas{region="westeurope",state="ready"}']) {
      expect(text).toContain(`translocator_${name}`);
    }
    for (const line of text.split('\n').filter((each) => each !== '' && !each.startsWith('#'))) {
      expect(line).toMatch(/^[a-z0-9_]+(?:\{[^}]*\})? \S+$/);
      for (const word of ['sha256', app.digest.slice(7, 19), 'tag-of-its-own', 'team/', 'alice', ...Object.values(TOKENS)]) expect(line).not.toContain(word);
    }
  });
});

describe('reports of a share', () => {
  /** Reports from one of this machine's addresses on loopback. */
  async function report(from: string, body: unknown, token: string = TOKENS.service): Promise<number | undefined> {
    const sent = request(new URL('/v1/reports', client.url), { method: 'POST', localAddress: from, headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' } });
    sent.end(JSON.stringify(body));
    const [reply] = (await once(sent, 'response')) as [IncomingMessage];
    reply.resume();
    return reply.statusCode;
  }
  const failed = { region: 'westeurope', type: 'smb', problem: 'mount error(115): Operation now in progress' };
  const answered = async () => {
    const json = { repository: 'team/app', manifest: app.digest, layers: app.layers, region: 'westeurope' };
    const { body } = await client.call<MountAnswerBody>('/v1/lookup', { method: 'POST', json, headers: { authorization: `Bearer ${TOKENS.service}` } });
    return body.layers.map((layer) => (layer.kind === 'blob' ? layer.reason : layer.kind));
  };

  it.runIf(process.platform === 'linux')('take it out of the answers only when several clients agree', async () => {
    expect([await report('127.0.0.1', { ...failed, region: 7 }), await report('127.0.0.1', failed, 'x'.repeat(40))]).toEqual([400, 401]);
    for (let count = 0; count < 3; count += 1) expect(await report('127.0.0.1', failed)).toBe(202);
    expect(await answered()).toEqual(['mount', 'mount']);
    expect([await report('127.0.0.2', failed), await report('127.0.0.3', failed)]).toEqual([202, 202]);
    await eventually('it leaves the answers', async () => (await answered()).every((each) => each === 'SHARE_UNAVAILABLE'));
    expect((await client.call('/metrics')).text).toContain('translocator_share_up{region="westeurope"} 0');
  });
});
