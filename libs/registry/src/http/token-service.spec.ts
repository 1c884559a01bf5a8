import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { ManualClock } from '#clock/testing';

import { RegistryRelay } from './registry-relay.js';
import { TOKEN_SERVICE_KEPT_MS, TokenServiceFinder } from './token-service.js';

let askedCount = 0;
let answer: (response: ServerResponse) => void;
const server = createServer((_request, response) => {
  askedCount += 1;
  answer(response);
});
let relay: RegistryRelay;

beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  relay = new RegistryRelay({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
});
afterAll(async () => {
  await relay.close();
  await new Promise((resolve) => server.close(resolve));
});
afterEach(() => (askedCount = 0));

const challenge = (text: string) => (response: ServerResponse) => void response.writeHead(401, { 'www-authenticate': text }).end('{}');

describe('where a registry\'s tokens come from', () => {
  it('is what its challenge says, asked once for as long as that is kept', async () => {
    const clock = new ManualClock();
    const finder = new TokenServiceFinder(relay, clock);
    answer = challenge('Basic realm="x", Bearer realm="https://auth.example/oauth2/token?tenant=a",service="s"');
    const found = await Promise.all([finder.find(), finder.find()]);
    expect(found.map((service) => [service?.token.href, service?.exchange?.href])).toEqual([0, 1].map(() => ['https://auth.example/oauth2/token?tenant=a', 'https://auth.example/oauth2/exchange?tenant=a']));
    answer = challenge('Bearer realm="https://other.example/token"');
    expect([(await finder.find())?.token.hostname, askedCount]).toEqual(['auth.example', 1]);
    await clock.advance(TOKEN_SERVICE_KEPT_MS + 1);
    expect(await finder.find()).toMatchObject({ token: { hostname: 'other.example' }, exchange: undefined });
  });

  it('is nowhere when it asks for a password, or for nothing', async () => {
    answer = challenge('Basic realm="x"');
    expect(await new TokenServiceFinder(relay, new ManualClock()).find()).toBeUndefined();
    answer = (response) => void response.writeHead(200).end();
    expect(await new TokenServiceFinder(relay, new ManualClock()).find()).toBeUndefined();
  });

  it('is asked anew after a failure', async () => {
    const finder = new TokenServiceFinder(relay, new ManualClock());
    answer = (response) => void response.writeHead(503).end();
    await expect(finder.find()).rejects.toMatchObject({ code: 'REGISTRY_UNAVAILABLE', transient: true });
    answer = challenge('Bearer realm="http://127.0.0.1:1/token"');
    expect((await finder.find())?.token.pathname).toBe('/token');
  });

  it('is nothing that cannot be asked', async () => {
    for (const realm of ['', 'no url', 'ftp://auth.example/token', '/token']) {
      answer = challenge(`Bearer realm="${realm}"`);
      await expect(new TokenServiceFinder(relay, new ManualClock()).find()).rejects.toMatchObject({ code: 'REGISTRY_PROTOCOL' });
    }
  });
});
