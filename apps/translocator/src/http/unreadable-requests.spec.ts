import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';

import { afterEach, describe, expect, it } from 'vitest';

import { refuseConnection } from './unreadable-requests.js';

let server: Server;
afterEach(() => server.close().closeAllConnections());

async function serve(answer: Parameters<typeof createServer>[1] = (_request, response) => response.end('read')): Promise<Socket> {
  server = createServer({ maxHeaderSize: 1000 }, answer as never).on('clientError', (error, socket) => refuseConnection(error as NodeJS.ErrnoException, socket as Socket, 1000));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return connect((server.address() as AddressInfo).port, '127.0.0.1').setEncoding('latin1');
}
async function all(socket: Socket): Promise<string> {
  let said = '';
  for await (const part of socket as AsyncIterable<string>) said += part;
  return said;
}
const BEGIN = 'GET / HTTP/1.1\r\nHost: a\r\n';

describe('a connection whose bytes are no request', () => {
  it.each([
    ['two lengths', `${BEGIN}Content-Length: 1\r\nContent-Length: 1\r\n\r\n`, 400, /Content-Length/],
    ['no method', 'FOO / HTTP/1.1\r\n\r\n', 400, /method/],
    ['headers without end', `${BEGIN}X: ${'x'.repeat(2000)}`, 431, /1000 bytes/],
  ])('is told what is wrong with %s, and ended', async (_what, bytes, status, detail) => {
    const socket = await serve();
    socket.write(bytes);
    const said = await all(socket);
    expect(said).toMatch(new RegExp(`^HTTP/1\\.1 ${status} [^]*connection: close`, 'i'));
    expect(JSON.parse(said.slice(said.indexOf('{')))).toMatchObject({ type: 'about:blank', status, detail: expect.stringMatching(detail) });
  });

  it('is cut without a word within an answer that has begun: that must not be taken for its end', async () => {
    const socket = await serve((_request, response) => void response.write('half of an'));
    socket.write(`${BEGIN.replace('GET', 'POST')}Transfer-Encoding: chunked\r\n\r\n`);
    socket.once('data', () => socket.write('no chunk\r\n'));
    expect(await all(socket)).not.toContain('400');
  });
});
