import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { text } from 'node:stream/consumers';

import { afterEach, describe, expect, it } from 'vitest';

import { TokenBook } from '#access';
import { ManualClock } from '#clock/testing';
import type { PlainLookup, WrittenAnswer } from '#mounts';
import { digestOf } from '#oci';
import { Metrics } from '#telemetry';

import { LookupDoor, PLAIN_BODY_BYTES_MAX } from './lookup-door.js';

const BODY = JSON.stringify({ repository: 'team/app', manifest: digestOf('image'), layers: [digestOf('a')], region: 'eastus' });
const SECRET = 'a-token-that-is-long-enough';
const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close().closeAllConnections();
});

/** A door before a server that says what reached it. Only what names team/app is answered at the door. */
async function start(): Promise<{ port: number; door: LookupDoor; metrics: Metrics; post: (body: string, headers?: Record<string, string>, path?: string) => Promise<string> }> {
  const answers = { written: (asked: PlainLookup): WrittenAnswer | undefined => (asked.repository === 'team/app' ? { pieces: { opening: '"at ', rest: Buffer.from('the'), closing: ' door"' }, tally: [{ kind: 'mount', reason: '', count: 1 }] } : undefined) };
  const metrics = new Metrics();
  const book = new TokenBook({ clock: new ManualClock(), bootstrap: [{ actor: 'service', secretText: SECRET, scopes: ['lookup'] }] });
  const door = new LookupDoor({ lookup: answers, book, metrics, bodyWithinMs: 300 });
  const server = createServer((request, response) => void text(request).then((body) => response.end(`behind it: ${body}`)));
  servers.push(server);
  door.standBefore(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const post = async (body: string, headers: Record<string, string> = {}, path = '/v1/lookup'): Promise<string> => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method: 'POST', body, headers: { 'content-type': 'application/json', authorization: `Bearer ${SECRET}`, ...headers } });
    return answer.text();
  };
  return { port, door, metrics, post };
}

/** Sends pieces as they are, each after the server has had a turn, and gives everything that comes back before the connection ends. */
async function sendPieces(port: number, pieces: readonly (string | Buffer)[]): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.setNoDelay(true);
  for (const piece of pieces) {
    socket.write(piece);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return text(socket);
}

describe('the door for lookups', () => {
  it('answers a plain lookup with a good token, and counts it', async () => {
    const { post, metrics } = await start();
    expect(await post(BODY)).toBe('"at the door"');
    expect(await metrics.text()).toContain('translocator_lookup_layers_total{kind="mount",reason=""} 1');
  });

  it('hands everything else on with its body unread', async () => {
    const { post, door } = await start();
    const spaced = JSON.stringify(JSON.parse(BODY), undefined, 1);
    expect(await post(spaced)).toBe(`behind it: ${spaced}`);
    const other = BODY.replace('team/app', 'team/other');
    expect(await post(other)).toBe(`behind it: ${other}`);
    expect(await post(BODY, { authorization: 'Bearer another' })).toBe(`behind it: ${BODY}`);
    expect(await post(BODY, { 'content-type': 'text/plain' })).toBe(`behind it: ${BODY}`);
    expect(await post(BODY, {}, '/v1/lookup?x')).toBe(`behind it: ${BODY}`);
    const long = BODY + ' '.repeat(PLAIN_BODY_BYTES_MAX);
    expect(await post(long)).toBe(`behind it: ${long}`);
    door.close();
    expect(await post(BODY)).toBe(`behind it: ${BODY}`);
  });

  it('takes a body in pieces, several requests in one, and a chunked body as they are', async () => {
    const { port } = await start();
    const head = (length: number, more = ''): string => `POST /v1/lookup HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${SECRET}\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n${more}\r\n`;
    const end = 'Connection: close\r\n';
    const inPieces = await sendPieces(port, [head(BODY.length, end), BODY.slice(0, 50), BODY.slice(50, 51), BODY.slice(51)]);
    expect(inPieces).toContain('"at the door"');
    const other = BODY.replace('team/app', 'team/abc');
    const several = await sendPieces(port, [head(BODY.length) + BODY + head(other.length) + other + head(BODY.length, end) + BODY]);
    expect(several.split('HTTP/1.1 200 OK').slice(1).map((answer) => answer.split('\r\n\r\n')[1])).toEqual(['"at the door"', expect.stringContaining(`behind it: ${other}`), '"at the door"']);
    const chunked = await sendPieces(port, [
      `POST /v1/lookup HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${SECRET}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n${end}\r\n${BODY.length.toString(16)}\r\n${BODY}\r\n0\r\n\r\n`,
    ]);
    expect(chunked).toContain(`behind it: ${BODY}`);
  });

  it('answers a body that does not come whole in time with 408', async () => {
    const { port, post } = await start();
    const answer = await sendPieces(port, [`POST /v1/lookup HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${SECRET}\r\nContent-Type: application/json\r\nContent-Length: ${BODY.length}\r\n\r\n`, BODY.slice(0, 40)]);
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
    expect(await post(BODY)).toBe('"at the door"');
  });

  it('is left standing by a client that goes away amid its body', async () => {
    const { port, post } = await start();
    const socket = connect(port, '127.0.0.1');
    socket.write(`POST /v1/lookup HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${SECRET}\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"repo`);
    await once(socket, 'connect');
    socket.destroy();
    expect(await post(BODY)).toBe('"at the door"');
  });
});
