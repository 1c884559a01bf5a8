import { once } from 'node:events';
import { createServer, request as ask } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';

import type { FastifyReply, FastifyRequest } from 'fastify';
import { afterAll, describe, expect, it } from 'vitest';

import { KiB, MiB } from '#quantities';
import type { RelayedAnswer } from '#registry';

import { passAnswer } from './client-answer.js';

const PART_BYTES = 64 * KiB;
const PARTS = 1024;
/** What sockets and streams hold on loopback while the far end reads nothing. */
const IN_FLIGHT_MAX = 32 * MiB;

const undo = new AsyncDisposableStack();
afterAll(() => undo.disposeAsync());

describe('an answer that is passed on while somebody listens', () => {
  it('goes at the client\'s pace, and the listener hears all of it once, in order', async () => {
    let readParts = 0;
    const body = new Readable({
      read() {
        this.push(readParts < PARTS ? Buffer.alloc(PART_BYTES, readParts) : null);
        readParts += 1;
      },
    });
    const heard: Buffer[] = [];
    const passed = Promise.withResolvers<boolean>();
    const server = createServer((request, raw) => {
      const relayed = { status: 200, headers: {}, body: Object.assign(body, { dump: async () => undefined }) } satisfies RelayedAnswer;
      const reply = { raw, hijack: () => undefined } as unknown as FastifyReply;
      passAnswer({ raw: request, method: 'GET' } as unknown as FastifyRequest, reply, { relayed, headers: {}, onPart: (part) => heard.push(part) }).then(passed.resolve, passed.reject);
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    undo.defer(() => void server.close());
    const [answer] = (await once(ask({ port: (server.address() as AddressInfo).port, agent: false }).end(), 'response')) as [Readable];
    // Nothing is read until what is on its way has come to rest.
    for (let last = -1; last !== readParts; ) {
      last = readParts;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(readParts * PART_BYTES).toBeLessThan(IN_FLIGHT_MAX);
    const received: Buffer[] = [];
    for await (const chunk of answer as AsyncIterable<Buffer>) received.push(chunk);
    expect(await passed.promise).toBe(true);
    expect(Buffer.concat(received).equals(Buffer.concat(heard))).toBe(true);
    expect(heard).toHaveLength(PARTS);
  });
});
