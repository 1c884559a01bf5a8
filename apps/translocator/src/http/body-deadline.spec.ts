import { connect } from 'node:net';
import { once } from 'node:events';

import { fastify } from 'fastify';
import { expect, it } from 'vitest';

import { limitBodyTime } from './body-deadline.js';

const MAX_MS = 200;

it('ends a request whose body does not come, but not an upload to the registry', async () => {
  const instance = fastify({ requestTimeout: 0 });
  limitBodyTime(instance.server, MAX_MS);
  for (const url of ['/api', '/v2/*']) instance.post(url, (_request, reply) => void reply.send('whole'));
  const { port } = new URL(await instance.listen({ host: '127.0.0.1', port: 0 }));
  const answerTo = async (path: string): Promise<string> => {
    const socket = connect(Number(port), '127.0.0.1');
    let text = '';
    socket.on('data', (chunk) => (text += String(chunk))).on('error', () => undefined);
    socket.write(`POST ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\na`);
    const later = setTimeout(() => socket.write('b'), 3 * MAX_MS);
    await once(socket, 'close');
    clearTimeout(later);
    return text;
  };
  expect(await Promise.all([answerTo('/api'), answerTo('/v2/a/blobs/uploads/1')])).toEqual([expect.stringMatching(/^HTTP\/1\.1 408 [^]*\r\n\r\n$/), expect.stringMatching(/^HTTP\/1\.1 200 .*whole$/s)]);
  await instance.close();
});
