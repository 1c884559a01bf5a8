import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { text } from 'node:stream/consumers';

import { afterEach, describe, expect, it } from 'vitest';

import { TokenBook } from '#access';
import { aKeptToken } from '#access/testing';
import { ManualClock } from '#clock/testing';
import type { LookupRequest, MountAnswer, PlainLookup, WrittenAnswer } from '#mounts';
import { digestOf } from '#oci';
import { Metrics } from '#telemetry';

import { eventually } from '../../../../test/e2e/support/eventually.js';
import { AnswerLine } from './answer-line.js';
import { LookupDoor, PLAIN_BODY_BYTES_MAX } from './lookup-door.js';

const BODY = JSON.stringify({ repository: 'team/app', manifest: digestOf('image'), layers: [digestOf('a')], region: 'eastus' });
const SECRET = 'a-token-that-is-long-enough';
const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close().closeAllConnections();
});

/** What is worked out for a request: its layers as blobs, with a reason that tells whether it was given less. */
function workedOut({ repository, manifest, layers, region, onlyBlobs }: LookupRequest): MountAnswer {
  return { schemaVersion: 1, repository, digest: manifest, region: region ?? null, asOf: null, layers: layers.map((digest) => ({ digest, kind: 'blob', url: '/v2/', reason: onlyBlobs ?? 'REPLICA_NONE' })) };
}

/** For repositories of the team alone, in one region. */
const LIMITED = aKeptToken({ scopes: ['lookup'], repositories: ['team/*'], regions: ['eastus'] });

/** For bodies that come in pieces on a busy machine. */
const PATIENT_MS = 60_000;

/** A door before a server that says what reached it. Only what names team/app is written already. */
async function start({ load = { isLoaded: false }, line = new AnswerLine(), bodyWithinMs = PATIENT_MS } = {}): Promise<{ port: number; door: LookupDoor; metrics: Metrics; post: (body: string, headers?: Record<string, string>, path?: string) => Promise<string> }> {
  const answers = { lookup: workedOut, written: (asked: PlainLookup): WrittenAnswer | undefined => (asked.repository === 'team/app' ? { pieces: { opening: '"at ', rest: Buffer.from('the'), closing: ' door"' }, tally: [{ kind: 'mount', reason: '', count: 1 }] } : undefined) };
  const metrics = new Metrics();
  const book = new TokenBook({ clock: new ManualClock(), bootstrap: [{ actor: 'service', secretText: SECRET, scopes: ['lookup'] }] });
  book.replace({ tokens: [LIMITED] });
  const door = new LookupDoor({ lookup: answers, line, load, book, metrics, bodyWithinMs });
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
    for (const wrong of [BODY.replace('team/app', 'Team'), BODY.replace('"region"', '"place"'), BODY.slice(1), `[${BODY}]`]) expect(await post(wrong)).toBe(`behind it: ${wrong}`);
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
    const other = BODY.replace('"region"', '"regioN"');
    const several = await sendPieces(port, [head(BODY.length) + BODY + head(other.length) + other + head(BODY.length, end) + BODY]);
    expect(several.split('HTTP/1.1 200 OK').slice(1).map((answer) => answer.split('\r\n\r\n')[1])).toEqual(['"at the door"', expect.stringContaining(`behind it: ${other}`), '"at the door"']);
    const chunked = await sendPieces(port, [
      `POST /v1/lookup HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${SECRET}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n${end}\r\n${BODY.length.toString(16)}\r\n${BODY}\r\n0\r\n\r\n`,
    ]);
    expect(chunked).toContain(`behind it: ${BODY}`);
  });

  it('answers a body that does not come whole in time with 408', async () => {
    const { port, post } = await start({ bodyWithinMs: 300 });
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

  it('works out what is as the contract says and not written already, and counts it', async () => {
    const { post, metrics } = await start();
    for (const other of [BODY.replace('team/app', 'team/other'), JSON.stringify({ ...(JSON.parse(BODY) as object), repository: 'team/other', have: [digestOf('b')] }, undefined, 1)]) {
      expect(JSON.parse(await post(other))).toEqual(workedOut(JSON.parse(other) as LookupRequest));
    }
    const counts = await metrics.text();
    expect(counts).toContain('translocator_lookup_layers_total{kind="blob",reason="REPLICA_NONE"} 2');
    expect(counts).toContain('translocator_lookups_total{outcome="ok"} 2');
    expect(counts).not.toContain('translocator_lookups_shed_total{');
  });

  it('gives blobs at once while turns of the loop are late, to those alone whose answers are not written, and counts them', async () => {
    const { post, metrics } = await start({ load: { isLoaded: true } });
    const other = BODY.replace('team/app', 'team/other');
    expect(JSON.parse(await post(other))).toMatchObject({ layers: [{ kind: 'blob', reason: 'SERVICE_BUSY' }] });
    expect(await post(BODY)).toBe('"at the door"');
    const wrong = BODY.replace('team/app', 'Team');
    expect(await post(wrong)).toBe(`behind it: ${wrong}`);
    expect(await metrics.text()).toContain('translocator_lookups_shed_total{cause="loop"} 1');
  });

  it('gives blobs to what has stood in line for too long, and counts them', async () => {
    const { post, metrics } = await start({ line: await usedUpLine(() => true) });
    const other = BODY.replace('team/app', 'team/other');
    const answers = await Promise.all([other, other].map((body) => post(body)));
    for (const answer of answers) expect(JSON.parse(answer)).toMatchObject({ repository: 'team/other', layers: [{ kind: 'blob', reason: 'SERVICE_BUSY' }] });
    expect(await metrics.text()).toContain('translocator_lookups_shed_total{cause="line"} 2');
  });

  it('works out nothing for a token that is not for that repository or region, however busy', async () => {
    for (const isLoaded of [false, true]) {
      const { post } = await start({ load: { isLoaded } });
      const { authorization } = LIMITED;
      for (const other of [BODY.replace('team/app', 'others/app'), BODY.replace('eastus', 'mars')]) expect(await post(other, { authorization })).toBe(`behind it: ${other}`);
      expect(await post(BODY.replace('team/app', 'team/other'), { authorization })).toContain('"team/other"');
    }
  });

  it('has pulls of nodes stand in line without an answer that is less', async () => {
    let isUsedUp = true;
    const line = await usedUpLine(() => isUsedUp);
    const { post } = await start({ line });
    const answer = post('', { 'content-type': 'text/plain' }, '/mount/v1/team/app/_manifests/1');
    await eventually('it stands in line', () => line.length === 1);
    isUsedUp = false;
    expect(await answer).toBe('behind it: ');
  });

  it('goes on when a client that stood in line has gone away', async () => {
    let isUsedUp = true;
    const line = await usedUpLine(() => isUsedUp);
    const { port, post } = await start({ line });
    const socket = connect(port, '127.0.0.1');
    socket.write(`GET /mount/v1/team/app/_manifests/1 HTTP/1.1\r\nHost: x\r\n\r\n`);
    await eventually('it stands in line', () => line.length === 1);
    socket.resetAndDestroy();
    isUsedUp = false;
    await eventually('it stands there no more', () => line.length === 0);
    expect(await post(BODY)).toBe('"at the door"');
  });
});

/** A line that has no share of any turn while that is so, and in which everything has stood for long. */
async function usedUpLine(isUsedUp: () => boolean): Promise<AnswerLine> {
  let seconds = 0;
  let turn = 0;
  const line = new AnswerLine({ now: () => (seconds += 1) * 1000, turn: () => (isUsedUp() ? turn : (turn += 1)) });
  // Takes the share of the only turn.
  line.stand({ give: () => {} });
  await eventually('the share is taken', () => line.length === 0);
  return line;
}
