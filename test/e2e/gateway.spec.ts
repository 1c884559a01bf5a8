import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { request as ask, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { eventually } from './support/eventually.js';
import { sendRaw } from './support/raw-http.js';
import { RawRegistry } from './support/raw-registry.js';
import type { ServiceClient } from './support/service-client.js';
import { startService } from './support/start-service.js';

const MiB = 2 ** 20;
const DIGEST = `sha256:${'a'.repeat(64)}`;
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
/** Requests that the gateway passes on at the same time. */
const CONCURRENT = 4;
/** A registry that answers is heard within this also on a busy machine. */
const NAMESPACE_ANSWER_MAX_MS = 2000;
/** A registry that says nothing is given up after the time that is configured; the rest is this machine's slowness. */
const ANSWER_MAX_MS = 20_000;
/** What may be on its way in sockets and streams while the far end reads nothing: some megabytes of the kernel's on loopback, and a little of ours. */
const IN_FLIGHT_MAX = 32 * MiB;

const undo = new AsyncDisposableStack();
let registry: RawRegistry;
let client: ServiceClient;

beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'translocator-e2e-'));
  undo.defer(() => rm(folder, { recursive: true, force: true }));
  registry = undo.use(await RawRegistry.start());
  const gateway = { enabled: true, hosts: ['registry.test'], realm: 'own', namespaceAnswerMax: `${NAMESPACE_ANSWER_MAX_MS}ms`, concurrent: CONCURRENT };
  const service = await startService({ folder, registryUrl: registry.url }, { overrides: { gateway } });
  undo.defer(() => service.translocator.stop());
  client = service.client;
});
afterAll(() => undo.disposeAsync());
afterEach(() => {
  registry.seen.length = 0;
  registry.answer = (_request, response) => void response.writeHead(200, { 'content-length': 0 }).end();
});

/** What comes back for bytes that are sent as they are. */
async function sendBytes(bytes: string): Promise<string> {
  const { hostname, port } = new URL(client.url);
  const socket = connect(Number(port), hostname);
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk)).on('error', () => undefined);
  socket.write(bytes);
  const end = setTimeout(() => socket.destroy(), 5000);
  await new Promise((resolve) => socket.once('close', resolve));
  clearTimeout(end);
  return Buffer.concat(chunks).toString();
}

/** Sends a request whose body never ends, until somebody says something. @returns the bytes written. */
function upload(path: string): { readonly answered: Promise<IncomingMessage>; readonly writtenBytes: () => number; readonly stop: () => void } {
  const { hostname, port } = new URL(client.url);
  const sent = ask({ hostname, port, path, method: 'PATCH', headers: { 'content-type': 'application/octet-stream' }, agent: false });
  let writtenBytes = 0;
  const chunk = Buffer.alloc(64 * 1024);
  const more = (): void => {
    do writtenBytes += chunk.length;
    while (!sent.destroyed && sent.write(chunk));
  };
  sent.on('drain', more);
  const answered = new Promise<IncomingMessage>((resolve, reject) => sent.on('response', resolve).on('error', reject));
  answered.catch(() => undefined);
  more();
  return { answered, writtenBytes: () => writtenBytes - sent.writableLength, stop: () => sent.destroy() };
}

/** Returns when a number has not changed for a while. */
async function settled(count: () => number): Promise<number> {
  let [last, sinceMs] = [-1, performance.now()];
  return eventually('it has come to rest', () => {
    if (count() !== last) [last, sinceMs] = [count(), performance.now()];
    return performance.now() - sinceMs > 500 && last > 0 && last;
  });
}

describe('what passes through the gateway', () => {
  it('goes at the pace of a registry that reads nothing', async () => {
    registry.answer = () => undefined;
    const sent = upload('/v2/a/blobs/uploads/1');
    expect(await settled(sent.writtenBytes)).toBeLessThan(IN_FLIGHT_MAX);
    sent.stop();
    // Nobody hears of an end that reads nothing.
    registry.seen[0]?.resume();
    await eventually('the registry hears that the upload was cut', () => registry.seen[0]?.destroyed === true && !registry.seen[0].complete);
  });

  it('comes at the pace of a client that reads nothing', async () => {
    let writtenBytes = 0;
    registry.answer = (_request, response) => {
      response.writeHead(200, { 'content-length': 4096 * MiB });
      const more = (): void => {
        do writtenBytes += MiB;
        while (!response.destroyed && response.write(Buffer.alloc(MiB)));
      };
      response.on('drain', more);
      more();
    };
    const { hostname, port } = new URL(client.url);
    const sent = ask({ hostname, port, path: `/v2/a/blobs/${DIGEST}`, agent: false }).end();
    const [answer] = (await once(sent, 'response')) as [IncomingMessage];
    expect(answer.headers['content-length']).toBe(String(4096 * MiB));
    expect(await settled(() => writtenBytes)).toBeLessThan(IN_FLIGHT_MAX);
    answer.destroy();
    await eventually('the registry hears that nobody reads', () => registry.seen[0]?.socket.destroyed);
  });

  it('is the same bytes, whole or as a range, with the registry\'s headers', async () => {
    const bytes = Buffer.alloc(3 * MiB, createHash('sha256').update('x').digest());
    registry.answer = (request, response) => {
      const part = request.headers.range === 'bytes=5-9';
      const body = part ? bytes.subarray(5, 10) : bytes;
      response.writeHead(part ? 206 : 200, { 'content-length': body.length, etag: '"x"', 'docker-content-digest': DIGEST, ...(part ? { 'content-range': `bytes 5-9/${bytes.length}` } : {}), connection: 'x-hop', 'x-hop': '1' });
      response.end(body);
    };
    const whole = await sendRaw(client.url, `/v2/a/blobs/${DIGEST}`);
    expect([whole.status, whole.text === bytes.toString(), whole.headers['etag'], whole.headers['x-hop']]).toEqual([200, true, '"x"', undefined]);
    const range = await sendRaw(client.url, `/v2/a/blobs/${DIGEST}`, { headers: { range: 'bytes=5-9' } });
    expect([range.status, range.headers['content-range'], range.text.length]).toEqual([206, `bytes 5-9/${bytes.length}`, 5]);
    const head = await sendRaw(client.url, `/v2/a/blobs/${DIGEST}`, { method: 'HEAD' });
    expect([head.status, head.headers['content-length'], head.text]).toEqual([200, String(bytes.length), '']);
  });

  it('is not cut short without a word when the registry cuts it', async () => {
    registry.answer = (_request, response) => {
      response.writeHead(200, { 'content-length': 1000 }).write('x'.repeat(10), () => response.destroy());
    };
    await expect(sendRaw(client.url, `/v2/a/blobs/${DIGEST}`)).rejects.toThrow('aborted');
  });

  it('shows a refusal to a client that is still sending', async () => {
    registry.answer = (_request, response) => void response.writeHead(413, { 'content-type': 'application/json' }).end('{"errors":[{"code":"SIZE_INVALID"}]}');
    const sent = upload('/v2/a/blobs/uploads/1');
    const answer = await sent.answered;
    let text = '';
    for await (const chunk of answer) text += String(chunk);
    sent.stop();
    expect([answer.statusCode, text]).toEqual([413, '{"errors":[{"code":"SIZE_INVALID"}]}']);
  });

  it('leads back to the gateway by the name that the client uses, and elsewhere where the registry says so', async () => {
    const locations = [`${registry.url}/v2/a/blobs/uploads/1?_state=x`, '/v2/a/blobs/uploads/1', 'https://store.example/blob?sig=1'];
    const seen: unknown[] = [];
    for (const location of locations) {
      registry.answer = (_request, response) => void response.writeHead(307, { location, link: `<${registry.url}/v2/a/tags/list?last=b&n=2>; rel="next"`, 'content-length': 0 }).end();
      const { status, headers } = await sendRaw(client.url, '/v2/a/tags/list?n=2', { headers: { host: 'registry.test:8080' } });
      seen.push([status, headers.location, headers['link']]);
    }
    const link = '<http://registry.test:8080/v2/a/tags/list?last=b&n=2>; rel="next"';
    expect(seen).toEqual([[307, 'http://registry.test:8080/v2/a/blobs/uploads/1?_state=x', link], [307, '/v2/a/blobs/uploads/1', link], [307, 'https://store.example/blob?sig=1', link]]);
  });

  it('names the gateway\'s own realm to clients that call it by the registry\'s name, and the registry\'s to others', async () => {
    registry.answer = (_request, response) => void response.writeHead(401, { 'www-authenticate': 'Bearer realm="https://auth.example/token",service="r"', 'content-length': 0 }).end();
    const realmAt = async (host: string) => (await sendRaw(client.url, '/v2/', { headers: { host } })).headers['www-authenticate'];
    expect(await realmAt('registry.test')).toBe('Bearer realm="http://registry.test/oauth2/token",service="r"');
    expect(await realmAt('registry.test:8443')).toBe('Bearer realm="http://registry.test:8443/oauth2/token",service="r"');
    expect(await realmAt('other.test')).toBe('Bearer realm="https://auth.example/token",service="r"');
  });

  it('tells the registry who asks, whatever the client claims, and nothing of the client\'s connection', async () => {
    const claimed = { 'x-forwarded-for': '1.2.3.4', 'x-forwarded-host': 'evil.example', forwarded: 'for=1.2.3.4', connection: 'close, x-mine', 'x-mine': '1', te: 'trailers', authorization: 'Bearer of-the-caller' };
    await sendRaw(client.url, '/v2/a/tags/list?n=1&last=x%2Fy', { headers: { ...claimed, host: 'registry.test' } });
    const { url, headers } = registry.seen[0]!;
    expect(url).toBe('/v2/a/tags/list?n=1&last=x%2Fy');
    expect(headers).toMatchObject({ host: new URL(registry.url).host, 'x-forwarded-for': '127.0.0.1', 'x-forwarded-host': 'registry.test', 'x-forwarded-proto': 'http', authorization: 'Bearer of-the-caller' });
    expect(['forwarded', 'x-mine', 'te'].filter((name) => headers[name] !== undefined)).toEqual([]);
  });
});

describe('a gateway that stops', () => {
  it('waits for what it passes on, and cuts what goes on after its grace', async () => {
    await using end = new AsyncDisposableStack();
    const folder = await mkdtemp(join(tmpdir(), 'translocator-e2e-'));
    end.defer(() => rm(folder, { recursive: true, force: true }));
    const { client: own, translocator } = await startService({ folder, registryUrl: registry.url }, { overrides: { gateway: { enabled: true }, server: { shutdownGrace: '2s' } } });
    registry.answer = (request, response) => {
      response.writeHead(200, { 'content-length': 3 }).write('a');
      if (request.url === '/v2/a/blobs/short') setTimeout(() => response.end('bc'), 500);
    };
    const [short, long] = [sendRaw(own.url, '/v2/a/blobs/short'), sendRaw(own.url, '/v2/a/blobs/long')];
    const cut = long.then(() => 'whole', (error: Error) => error.message);
    await eventually('both have begun', () => registry.seen.length === 2);
    await translocator.stop();
    expect((await short).text).toBe('abc');
    expect(await cut).toBe('aborted');
  });
});

describe('the gateway refuses', () => {
  it.each([
    ['two lengths', 'POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcd'],
    ['a length beside chunks', 'POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /v2/smuggled HTTP/1.1\r\n'],
    ['an encoding that is no chunks', 'POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n'],
    ['a header that is folded', 'GET /v2/ HTTP/1.1\r\nHost: x\r\nX-A: 1\r\n Transfer-Encoding: chunked\r\n\r\n'],
    ['a name with a space', 'GET /v2/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n'],
    ['a body where there is none', 'GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 30\r\n\r\nGET /v2/smuggled HTTP/1.1\r\n\r\n'],
    ['headers without end', `GET /v2/ HTTP/1.1\r\nHost: x\r\nX-A: ${'a'.repeat(70_000)}\r\n\r\n`],
    ['dot segments', 'GET /v2/a/%2e%2e/%2e%2e/admin HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'],
    ['escaped slashes', 'GET /v2/team%2fapp/tags/list HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'],
  ])('%s', async (_title, bytes) => {
    // A connection that is cut while it still sends may lose the answer.
    expect(await sendBytes(bytes)).toMatch(/^(?:HTTP\/1\.1 4\d\d |$)/);
    expect(registry.seen).toEqual([]);
  });

  it('an upload that must not be passed on, and does not listen to it for ever', async () => {
    const sent = upload('/v2/a//b/blobs/uploads/1');
    const answer = await sent.answered;
    expect([answer.statusCode, registry.seen]).toEqual([400, []]);
    await new Promise((resolve) => answer.socket.once('close', resolve).resume());
  });

  it('more requests at a time than it may pass on, and goes on with the next', async () => {
    const waiting: (() => void)[] = [];
    registry.answer = (_request, response) => waiting.push(() => response.writeHead(200, { 'content-length': 0 }).end());
    const first = Array.from({ length: CONCURRENT }, () => sendRaw(client.url, '/v2/'));
    await eventually('all of them are with the registry', () => waiting.length === CONCURRENT);
    expect(await sendRaw(client.url, '/v2/')).toMatchObject({ status: 503, headers: { 'retry-after': '1' }, text: expect.stringContaining('TOOMANYREQUESTS') });
    for (const go of waiting) go();
    expect((await Promise.all(first)).map(({ status }) => status)).toEqual(first.map(() => 200));
    registry.answer = (_request, response) => void response.writeHead(200, { 'content-length': 0 }).end();
    expect((await sendRaw(client.url, '/v2/')).status).toBe(200);
  });
});

describe('a client that knows other registries', () => {
  it('is answered for the registry that it means, and sent away from others', async () => {
    const named = await sendRaw(client.url, '/v2/a/tags/list?ns=registry.test&n=5');
    expect([named.status, named.headers['oci-namespace'], registry.seen[0]?.url]).toEqual([200, 'registry.test', '/v2/a/tags/list?n=5']);
    for (const query of ['?ns=docker.io', '?ns=', '?n=1&ns=registry.test.evil.example']) expect((await sendRaw(client.url, `/v2/a/manifests/v1${query}`)).status).toBe(404);
    expect((await sendRaw(client.url, '/v2/a/manifests/v1?ns=registry.test&ns=docker.io')).status).toBe(400);
    expect(registry.seen).toHaveLength(1);
  });

  it('goes on when the registry is in trouble, silent or slow, and is not kept waiting again', async () => {
    registry.answer = (_request, response) => void response.writeHead(502, { 'content-type': 'text/html' }).end('<html>');
    const troubled = await sendRaw(client.url, '/v2/a/manifests/v1?ns=registry.test');
    expect([troubled.status, troubled.text]).toEqual([503, '']);
    registry.answer = () => undefined;
    const startedAt = performance.now();
    expect(await sendRaw(client.url, '/v2/a/manifests/v1?ns=registry.test')).toMatchObject({ status: 503, text: '' });
    expect(performance.now() - startedAt).toBeLessThan(ANSWER_MAX_MS);
    expect(registry.seen).toHaveLength(2);
    expect((await sendRaw(client.url, '/v2/a/manifests/v1?ns=registry.test')).status).toBe(503);
    // The third was not asked of the registry.
    expect(registry.seen).toHaveLength(2);
  });
});

describe('the data plane of Azure Container Registry', () => {
  const asked = () => registry.seen.map(({ method, url, headers }) => [method, url, headers.authorization]);
  const AUTHORIZED = { authorization: 'Bearer for-the-registry' };

  it.each([
    ['GET', '/acr/v1/_catalog?n=2&last=a'], ['GET', '/acr/v1/team/app/_tags?orderby=timedesc'], ['GET', '/acr/v1/team/app/_tags/v1'], ['GET', '/acr/v1/app/_manifests'],
    ['GET', `/acr/v1/a/b/c/_manifests/${DIGEST}`], ['HEAD', `/acr/v1/a/_manifests/${DIGEST.replace(':', '%3A')}`], ['DELETE', '/acr/v1/team/none'], ['DELETE', '/acr/v1/team/app/_tags/v1'],
  ])('is the registry\'s own to answer, with the caller\'s authority: %s %s', async (method, path) => {
    const link = '</acr/v1/_catalog?last=b&n=2>; rel="next"';
    registry.answer = (_request, response) => void response.writeHead(403, { 'content-type': 'application/json', link, 'x-ms-correlation-request-id': '1' }).end('{"errors":[{"code":"DENIED"}]}');
    const reply = await sendRaw(client.url, path, { method, headers: AUTHORIZED });
    expect([reply.status, reply.text, reply.headers.link, reply.headers['x-ms-correlation-request-id']]).toEqual([403, method === 'HEAD' ? '' : '{"errors":[{"code":"DENIED"}]}', link, '1']);
    expect(asked()).toEqual([[method, path, AUTHORIZED.authorization]]);
  });

  it('takes a change of a tag\'s attributes with its body as it is', async () => {
    const bodies: string[] = [];
    registry.answer = (request, response) => void request.on('data', (part: Buffer) => bodies.push(part.toString())).on('end', () => response.writeHead(200).end());
    await sendRaw(client.url, '/acr/v1/team/app/_tags/v1', { method: 'PATCH', headers: { ...AUTHORIZED, 'content-type': 'application/json' }, body: '{"writeEnabled": false}' });
    expect([bodies.join(''), registry.seen[0]?.method]).toEqual(['{"writeEnabled": false}', 'PATCH']);
  });

  it('of a registry that has none is what that registry says', async () => {
    registry.answer = (_request, response) => void response.writeHead(404, { 'content-type': 'text/plain' }).end('404 page not found\n');
    expect(await sendRaw(client.url, '/acr/v1/_catalog')).toMatchObject({ status: 404, text: '404 page not found\n' });
  });

  it('that has a tag or a manifest deleted has it noticed, as below /v2/; what the registry refuses is not', async () => {
    const noticed = async () => Number(/outcome="noticed"} (\d+)/.exec((await client.call('/metrics')).text)?.[1] ?? 0);
    const before = await noticed();
    registry.answer = ({ url }, response) => void response.writeHead(url?.includes('kept') === true ? 405 : 202, { 'content-length': 0 }).end();
    const remove = async (path: string): Promise<number> => (await sendRaw(client.url, `/acr/v1/${path}`, { method: 'DELETE' })).status;
    expect([await remove('team/app/_tags/kept'), await noticed()]).toEqual([405, before]);
    expect([await remove('team/app/_tags/v1'), await noticed()]).toEqual([202, before + 1]);
    expect([await remove(`team/app/_manifests/${DIGEST}`), await noticed()]).toEqual([202, before + 2]);
    expect([await remove('team/app'), await noticed()]).toEqual([202, before + 2]);
  });

  it('is asked for nothing by other methods, nor by paths in disguise', async () => {
    expect(await sendRaw(client.url, '/acr/v1/team/app/_tags', { method: 'POST' })).toMatchObject({ status: 405, headers: { allow: 'DELETE, GET, HEAD, OPTIONS, PATCH' } });
    for (const path of ['/acr/v1/team/%2e%2e/_tags', '/acr/v1/team/../other/_tags', '/acr/v1/team%2fapp/_tags', '/acr/v1//_tags', '/acr/v1/team/app/_manifests/%2e%2e']) {
      expect([path, (await sendRaw(client.url, path)).status]).toEqual([path, 400]);
    }
    expect(asked()).toEqual([]);
  });
});

describe('a manifest that is pushed through the gateway', () => {
  it('is taken in before the client is answered', async () => {
    registry.answer = (request, response) => {
      request.resume();
      response.writeHead(201, { location: '/v2/a/manifests/v1', 'docker-content-digest': DIGEST, 'content-length': 0 }).end();
    };
    const noticed = async () => Number(/outcome="noticed"} (\d+)/.exec((await client.call('/metrics')).text)?.[1] ?? 0);
    const before = await noticed();
    expect((await sendRaw(client.url, '/v2/a/manifests/v1', { method: 'PUT', body: '{}', headers: { 'content-type': MANIFEST } })).status).toBe(201);
    expect(await noticed()).toBe(before + 1);
  });
});
