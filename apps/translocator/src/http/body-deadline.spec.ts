import { connect } from 'node:net';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';

import { fastify } from 'fastify';
import { expect, it } from 'vitest';

import { limitBodyTime } from './body-deadline.js';

const MAX_MS = 200;

it('ends a request whose body does not come, but not an upload to the registry', async () => {
  const instance = fastify({ requestTimeout: 0 });
  limitBodyTime(instance.server, MAX_MS);
  for (const url of ['/api', '/v2/*']) instance.post(url, (_request, reply) => void reply.send('whole'));
  const { port } = new URL(await instance.listen({ host: '127.0.0.1', port: 0 }));
  const answerTo = (path: string): { readonly text: Promise<string>; readonly goOn: () => void } => {
    const socket = connect(Number(port), '127.0.0.1');
    let text = '';
    socket.on('data', (chunk) => (text += String(chunk))).on('error', () => undefined);
    socket.write(`POST ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\na`);
    return { text: once(socket, 'close').then(() => text), goOn: () => socket.write('b') };
  };
  const [refused, upload] = [answerTo('/api'), answerTo('/v2/a/blobs/uploads/1')];
  await refused.text;
  // Both came at the same time; an upload is let be for longer than that, and then goes on.
  await delay(2 * MAX_MS);
  upload.goOn();
  expect(await Promise.all([refused.text, upload.text])).toEqual([expect.stringMatching(/^HTTP\/1\.1 408 [^]*\r\n\r\n$/), expect.stringMatching(/^HTTP\/1\.1 200 .*whole$/s)]);
  await instance.close();
});
