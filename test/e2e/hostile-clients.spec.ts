import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { eventually } from './support/eventually.js';
import { converse, openSocket, statusesIn } from './support/raw-socket.js';
import { type ServiceClient, TOKENS } from './support/service-client.js';
import { startService } from './support/start-service.js';

const HEADERS_WITHIN_MS = 1000;
const REQUEST_WITHIN_MS = 2000;
/** Limits are looked at every second; the rest is this machine's slowness. */
const SLACK_MS = 20_000;
/** After an answer, how long another one is listened for that must not come. */
const QUIET_MS = 500;
const GOOD = `Authorization: Bearer ${TOKENS.admin}`;
const BAD = 'Authorization: Bearer made-up-0123456789';

let client: ServiceClient;
const undo = new AsyncDisposableStack();
beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'translocator-e2e-'));
  undo.defer(() => rm(folder, { recursive: true, force: true }));
  const server = { shutdownGrace: '1s', headersWithin: `${HEADERS_WITHIN_MS}ms`, requestWithin: `${REQUEST_WITHIN_MS}ms` };
  const service = await startService({ folder, registryUrl: 'http://127.0.0.1:9' }, { overrides: { server } });
  undo.defer(() => service.translocator.stop());
  client = service.client;
  await eventually('the map is loaded', async () => (await client.call('/readyz')).status === 200);
});
afterAll(() => undo.disposeAsync());

/** A request head of these lines, and what comes behind it. */
const request = (first: string, lines: readonly string[], body = ''): string => `${[`${first} HTTP/1.1`, 'Host: service', ...lines].join('\r\n')}\r\n\r\n${body}`;

describe.concurrent('a request that two readers would read differently', () => {
  const GET = 'GET /api/v1/regions';
  const POST = 'POST /v1/lookup';
  const json = 'Content-Type: application/json';
  const second = request(GET, [GOOD]);
  it.each([
    ['shows two tokens, the good one first', request(GET, [GOOD, BAD])],
    ['shows two tokens, the good one last', request(GET, [BAD, GOOD])],
    ['shows two tokens to lookups', request('POST /v1/lookup', [GOOD, BAD, 'Content-Type: application/json', 'Content-Length: 2'], '{}')],
    ['shows the same token twice', request(GET, [GOOD, GOOD.toLowerCase().replace('bearer', 'Bearer')])],
    ['names two hosts', request(GET, [GOOD, 'Host: elsewhere'])],
    ['names two regions', request('GET /mount/v1/team/app/_manifests/v1', ['X-Teleport-Region: eastus', 'X-Teleport-Region: westeurope'])],
    ['folds a header', request(GET, ['X-Anything: a', ` ${GOOD}`])],
    ['ends a header in a carriage return alone', request(GET, [`X-Anything: a\r${GOOD}`])],
    ['has a nul in a header', request(GET, [`X-Anything: a\0b`, GOOD])],
    ['has a space before a colon', request(GET, [GOOD.replace(':', ' :')])],
    ['has a length and chunks', request(POST, [GOOD, json, 'Content-Length: 5', 'Transfer-Encoding: chunked'], `0\r\n\r\n${second}`)],
    ['has chunks and a length', request(POST, [GOOD, json, 'Transfer-Encoding: chunked', 'Content-Length: 5'], `0\r\n\r\n${second}`)],
    ['has two lengths', request(POST, [GOOD, json, 'Content-Length: 0', `Content-Length: ${second.length}`], second)],
    ['has a length that is none', request(POST, [GOOD, json, 'Content-Length: +0'], second)],
    ['has a coding that is none', request(POST, [GOOD, json, 'Transfer-Encoding: xchunked'], `0\r\n\r\n${second}`)],
    ['has chunks that are not the last coding', request(POST, [GOOD, json, 'Transfer-Encoding: chunked, identity'], `0\r\n\r\n${second}`)],
    ['has a chunk of a wrong size', request(POST, [GOOD, json, 'Transfer-Encoding: chunked'], `2\r\n{}X\r\n0\r\n\r\n${second}`)],
    ['names a repository in disguise', request('GET /mount/v1/team%2fapp/_manifests/v1', [])],
    ['climbs in disguise', request('GET /mount/v1/team/%2e%2e/app/_manifests/v1', [])],
    ['is disguised twice', request('GET /v2/team%252fapp/manifests/v1', [])],
    ['writes letters of a repository in disguise', request('GET /mount/v1/%74eam/app/_manifests/v1', [])],
    ['writes the route of a pull in disguise', request('GET /%6dount/v1/team/app/_manifests/v1', [])],
    ['writes the route of attributes in disguise', request('PATCH /%61cr/v1/team/app', [json, 'Content-Length: 2'], '{}')],
    ['writes the route of operators in disguise', request('GET /%61pi/v1/regions', [GOOD])],
    ['writes the mark before the reference in disguise', request('GET /mount/v1/team/app/%5fmanifests/v1', [])],
    ['names its host in its target', request('GET http://elsewhere/api/v1/regions', [GOOD])],
    ['hides a disguise behind a host in its target', request('GET http://service/mount/v1/team%2fapp/_manifests/v1', [])],
    ['ends its target in a fragment', request('GET /api/v1/regions#/../x', [GOOD])],
    ['has a coding before chunks', request(POST, [GOOD, json, 'Transfer-Encoding: gzip, chunked'], `2\r\n{}\r\n0\r\n\r\n`)],
  ])('is refused when it %s, and nothing behind it is answered', async (_what, bytes) => {
    const { said } = await converse(client.url, bytes, { quietMs: QUIET_MS });
    const statuses = statusesIn(said);
    expect(statuses.length).toBeLessThanOrEqual(1);
    expect(statuses[0]).toBe(400);
    // In the form of every other error, and with what was wrong.
    expect(JSON.parse(said.slice(said.indexOf('\r\n\r\n') + 4))).toMatchObject(/^\S+ \/(?:mount|acr|v2)\//.test(bytes) && said.includes('application/json') ? { errors: [{ message: expect.stringMatching(/ .+ /) }] } : { status: 400, detail: expect.stringMatching(/ .+ /) });
    expect(said).not.toContain('westeurope');
  });

  it('is not one that has a digest with its colon written otherwise', async () => {
    const { status } = await client.call(`/mount/v1/team/app/_manifests/sha256%3A${'a'.repeat(64)}`);
    // Not refused for its form: there is no such repository.
    expect(status).toBe(404);
  });
});

describe('a request that is too much', () => {
  const TEN_MB = 10_000_000;
  const routes = ['/v1/lookup', '/v1/rewrite', '/api/v1/pins', '/api/v1/tokens', '/notifications'];

  it.each(routes)('of 10 MB on %s is refused without being read to its end, whether it says its length or not', async (path) => {
    const token = path === '/notifications' ? TOKENS.notification : TOKENS.admin;
    const type = path === '/notifications' ? 'application/vnd.docker.distribution.events.v1+json' : 'application/json';
    const head = (length: string): string => request(`POST ${path}`, [`Authorization: Bearer ${token}`, `Content-Type: ${type}`, length, 'Connection: close']);
    // Sent whole: the refusal must come all the same.
    const big = Buffer.concat([Buffer.from(head(`Content-Length: ${TEN_MB}`)), Buffer.alloc(1000, ' ')]);
    const { said } = await converse(client.url, big);
    expect(statusesIn(said)).toEqual([413]);
    expect(said).toMatch(/may have at most \d{7} bytes/);
    const chunk = `100000\r\n${' '.repeat(2 ** 20)}\r\n`;
    expect(statusesIn((await converse(client.url, `${head('Transfer-Encoding: chunked')}${chunk.repeat(10)}0\r\n\r\n`)).said)).toEqual([413]);
  });

  it('has headers without end, or a URL', async () => {
    const { said } = await converse(client.url, request('GET /livez', [`X-Much: ${'x'.repeat(100_000)}`]));
    expect(statusesIn(said)).toEqual([431]);
    expect(said).toContain('the headers of a request may have 32768 bytes together');
    expect(statusesIn((await converse(client.url, request(`GET /mount/v1/${'a/'.repeat(10_000)}x/_manifests/v1`, ['Connection: close']))).said)[0]).toBeGreaterThanOrEqual(400);
    expect((await client.call(`/mount/v1/team/app/_manifests/v1`, { headers: { authorization: `Bearer ${'x'.repeat(17_000)}` } })).status).toBeLessThan(500);
  });
});

describe.concurrent('a slow request', () => {
  it.each([
    ['says nothing', '', HEADERS_WITHIN_MS],
    ['does not end its headers', 'GET /livez HTTP/1.1\r\nHost: service\r\nX-Slow: ', HEADERS_WITHIN_MS],
    ['does not end its body', request('POST /v1/lookup', [GOOD, 'Content-Type: application/json', 'Content-Length: 100'], '{'), REQUEST_WITHIN_MS],
    ['does not end its last chunk', request('POST /v1/lookup', [GOOD, 'Content-Type: application/json', 'Transfer-Encoding: chunked'], '5\r\n{'), REQUEST_WITHIN_MS],
  ])('that %s is ended in its time', async (_what, bytes, withinMs) => {
    const { said, closed, ms } = await converse(client.url, bytes);
    expect([closed, statusesIn(said)]).toEqual([true, [408]]);
    expect(ms).toBeGreaterThanOrEqual(withinMs * 0.9);
    expect(ms).toBeLessThan(withinMs + SLACK_MS);
  });

  it('comes five hundred times, a byte now and then, and keeps nobody from an answer', async () => {
    const sockets = await Promise.all(Array.from({ length: 500 }, () => openSocket(client.url)));
    let open = sockets.length;
    for (const socket of sockets) {
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        open -= 1;
      });
      socket.resume();
      socket.write('GET /livez HTTP/1.1\r\nHost: service\r\n');
    }
    const dripping = setInterval(() => {
      for (const socket of sockets) if (socket.writable) socket.write('X-Slow: a\r\n');
    }, 200);
    try {
      const startedAt = performance.now();
      expect((await client.call('/livez')).status).toBe(200);
      expect(performance.now() - startedAt).toBeLessThan(SLACK_MS);
      // Bytes in between buy no time.
      while (open > 0 && performance.now() - startedAt < HEADERS_WITHIN_MS + SLACK_MS) await new Promise((resolve) => setTimeout(resolve, 50));
      expect(open).toBe(0);
    } finally {
      clearInterval(dripping);
      for (const socket of sockets) socket.destroy();
    }
  });
});
