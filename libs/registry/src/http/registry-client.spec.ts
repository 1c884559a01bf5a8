import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { SystemClock } from '#clock';
import { type Digest, digestOf, MANIFEST_BYTES_MAX, OCI_INDEX, OCI_MANIFEST, parseManifest, type Reference } from '#oci';

import { pushBlob, pushImage, pushIndex, pushManifest, type PushTarget, sampleBytes, sampleImage, TestRegistry, type TestRegistryOptions } from '../testing/index.js';
import { RegistryClient, type RegistryClientOptions } from './registry-client.js';

const tag = (name: string): Reference => ({ kind: 'tag', tag: name });
const byDigest = (digest: Digest): Reference => ({ kind: 'digest', digest });
const QUICK = { triesMax: 3, firstWaitMs: 1, waitMaxMs: 2, askedWaitMaxMs: 1500 };

let open: { stop(): Promise<void> }[] = [];
let clients: RegistryClient[] = [];
beforeEach(() => {
  open = [];
  clients = [];
});
afterEach(async () => {
  await Promise.all(clients.map((client) => client.close()));
  await Promise.all(open.map((each) => each.stop()));
});

async function startRegistry(options: TestRegistryOptions = {}): Promise<TestRegistry> {
  const registry = await TestRegistry.start(options);
  open.push(registry);
  return registry;
}

function clientOf(url: string, options: Partial<RegistryClientOptions> = {}): RegistryClient {
  const client = new RegistryClient({
    url,
    credentials: { kind: 'anonymous' },
    clock: new SystemClock(),
    ...options,
    limits: { retry: QUICK, ...options.limits },
  });
  clients.push(client);
  return client;
}

/** A server that answers as it is told. */
async function startServer(answer: Parameters<typeof createServer>[1] & object): Promise<string> {
  const server: Server = createServer(answer as never);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  open.push({
    stop: () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      return closed;
    },
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const target = (registry: TestRegistry): PushTarget => ({ url: registry.url, repository: 'team/app' });
const blobGets = (registry: TestRegistry): (string | undefined)[] =>
  registry.seen.filter(({ method, path }) => method === 'GET' && path.includes('/blobs/')).map(({ range }) => range);

async function collect(source: AsyncIterable<Uint8Array | string>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(Buffer.from(part as Uint8Array));
  return Buffer.concat(parts);
}

describe('reading manifests', () => {
  it('resolves tags and digests, and reads images and indexes whole', async () => {
    const registry = await startRegistry();
    const client = clientOf(registry.url);
    const image = await pushImage(target(registry), undefined, sampleImage(['a', 'b']));
    const index = await pushIndex(target(registry), 'v1', [image]);
    expect(await client.resolve('team/app', tag('v1'))).toEqual({ digest: index.digest, mediaType: OCI_INDEX, sizeBytes: index.sizeBytes });
    const found = await client.manifest('team/app', byDigest(image.digest));
    expect(found).toMatchObject({ digest: image.digest, mediaType: OCI_MANIFEST });
    expect(parseManifest(found.bytes, found.mediaType)).toMatchObject({ layers: image.layers.map((digest) => ({ digest })) });
  });

  it('tells an unknown repository from an unknown manifest', async () => {
    const registry = await startRegistry();
    const client = clientOf(registry.url);
    await pushImage(target(registry), 'v1', sampleImage(['a']));
    await expect(client.manifest('team/app', tag('v2'))).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN', transient: false });
    await expect(client.manifest('team/other', tag('v1'))).rejects.toMatchObject({ code: 'NAME_UNKNOWN' });
    await expect(client.resolve('team/app', tag('v2'))).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' });
    await expect(client.manifest('Team/../x', tag('v2'))).rejects.toMatchObject({ code: 'NAME_INVALID' });
  });

  it('refuses a manifest that is not the one asked for', async () => {
    const registry = await startRegistry();
    const image = await pushImage(target(registry), 'v1', sampleImage(['a']));
    registry.faults.add({ part: 'manifests', method: 'GET' }, { kind: 'wrong-byte', at: 10 }, 2);
    const client = clientOf(registry.url);
    await expect(client.manifest('team/app', byDigest(image.digest))).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
    await expect(client.manifest('team/app', tag('v1'))).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
  });

  it('stops reading a manifest that is too long', async () => {
    let sentBytes = 0;
    const url = await startServer((_request, response) => {
      response.writeHead(200, { 'content-type': OCI_MANIFEST });
      const chunk = Buffer.alloc(1024 * 1024, ' ');
      const more = (): void => {
        sentBytes += chunk.length;
        if (!response.destroyed) response.write(chunk, more);
      };
      more();
    });
    await expect(clientOf(url).manifest('team/app', tag('v1'))).rejects.toMatchObject({ code: 'RESPONSE_TOO_LARGE' });
    expect(sentBytes).toBeLessThan(MANIFEST_BYTES_MAX * 8);
  });

  it('reads the manifest where HEAD tells no digest', async () => {
    const bytes = Buffer.from('{}');
    const url = await startServer((request, response) => {
      response.writeHead(200, { 'content-type': `${OCI_MANIFEST}; charset=utf-8`, 'content-length': bytes.length }).end(request.method === 'HEAD' ? undefined : bytes);
    });
    expect(await clientOf(url).resolve('team/app', tag('v1'))).toEqual({ digest: digestOf(bytes), mediaType: OCI_MANIFEST, sizeBytes: 2 });
  });
});

describe('a registry in trouble', () => {
  it('is waited for as long as it asks, and asked again', async () => {
    const registry = await startRegistry();
    await pushImage(target(registry), 'v1', sampleImage(['a']));
    registry.faults.add({ part: 'manifests' }, { kind: 'status', status: 429, retryAfter: '1' });
    const startedAt = performance.now();
    await clientOf(registry.url).resolve('team/app', tag('v1'));
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(990);
  });

  it('is not waited for longer than our own limit', async () => {
    const registry = await startRegistry();
    registry.faults.add({ part: 'manifests' }, { kind: 'status', status: 429, retryAfter: '3600' });
    await expect(clientOf(registry.url).resolve('team/app', tag('v1'))).rejects.toMatchObject({ code: 'TOO_MANY_REQUESTS', transient: true, retryAfterMs: 3_600_000 });
    expect(registry.seen).toHaveLength(1);
  });

  it('is given up after the policy, and only then', async () => {
    const registry = await startRegistry();
    await pushImage(target(registry), 'v1', sampleImage(['a']));
    const client = clientOf(registry.url);
    registry.faults.add({ part: 'manifests' }, { kind: 'status', status: 503 }, 2);
    await client.resolve('team/app', tag('v1'));
    registry.faults.add({ part: 'manifests' }, { kind: 'status', status: 503 }, 3);
    await expect(client.resolve('team/app', tag('v1'))).rejects.toMatchObject({ code: 'REGISTRY_UNAVAILABLE', transient: true });
  });

  it('that does not answer, or stops in the middle, is left after the time limits', async () => {
    const registry = await startRegistry();
    await pushImage(target(registry), 'v1', sampleImage(['a']));
    const client = clientOf(registry.url, { limits: { headersMaxMs: 200, idleBodyMaxMs: 200, retry: { ...QUICK, triesMax: 1 } } });
    registry.faults.add({ part: 'manifests' }, { kind: 'silence' });
    await expect(client.manifest('team/app', tag('v1'))).rejects.toMatchObject({ code: 'REGISTRY_UNAVAILABLE' });
    registry.faults.add({ part: 'manifests' }, { kind: 'stall', afterBytes: 5 });
    await expect(client.manifest('team/app', tag('v1'))).rejects.toMatchObject({ code: 'REGISTRY_UNAVAILABLE' });
  });

  it('that is not there at all is told as unavailable', async () => {
    const registry = await TestRegistry.start();
    const { url } = registry;
    await registry.stop();
    await expect(clientOf(url).resolve('team/app', tag('v1'))).rejects.toMatchObject({ code: 'REGISTRY_UNAVAILABLE', transient: true });
  });

  it('is left at once when the signal aborts', async () => {
    const registry = await startRegistry();
    registry.faults.add({ part: 'manifests' }, { kind: 'silence' });
    const abort = new AbortController();
    const asking = clientOf(registry.url).resolve('team/app', tag('v1'), abort.signal);
    setTimeout(() => abort.abort(new Error('enough')), 50);
    await expect(asking).rejects.toThrow('enough');
  });
});

describe('reading blobs', () => {
  const bytes = sampleBytes('blob', 400_000);
  const blob = { digest: digestOf(bytes), sizeBytes: bytes.length };

  it('takes a download up again where it was cut, and verifies the whole', async () => {
    const registry = await startRegistry();
    await pushBlob(target(registry), bytes);
    registry.faults.add({ part: 'blobs' }, { kind: 'cut', afterBytes: 100_000 });
    registry.faults.add({ part: 'blobs' }, { kind: 'cut', afterBytes: 50_000 });
    const whole = await collect(clientOf(registry.url).blob('team/app', blob));
    expect(whole.equals(bytes)).toBe(true);
    const ranges = blobGets(registry);
    expect(ranges[0]).toBeUndefined();
    expect(ranges).toHaveLength(3);
    for (const range of ranges.slice(1)) expect(range).toMatch(/^bytes=\d+-$/);
  });

  it('skips what it knows where the registry ignores ranges', async () => {
    const registry = await startRegistry();
    await pushBlob(target(registry), bytes);
    registry.faults.add({ part: 'blobs' }, { kind: 'cut', afterBytes: 150_000 });
    registry.faults.add({ part: 'blobs' }, { kind: 'no-ranges' });
    expect((await collect(clientOf(registry.url).blob('team/app', blob))).equals(bytes)).toBe(true);
  });

  it('is taken up again when the body stands still', async () => {
    const registry = await startRegistry();
    await pushBlob(target(registry), bytes);
    registry.faults.add({ part: 'blobs' }, { kind: 'stall', afterBytes: 70_000 });
    expect((await collect(clientOf(registry.url, { limits: { idleBodyMaxMs: 200 } }).blob('team/app', blob))).equals(bytes)).toBe(true);
  });

  it('gives up after so many cuts', async () => {
    const registry = await startRegistry();
    await pushBlob(target(registry), bytes);
    registry.faults.add({ part: 'blobs' }, { kind: 'cut', afterBytes: 1000 }, 100);
    const client = clientOf(registry.url, { limits: { resumesMax: 3 } });
    await expect(collect(client.blob('team/app', blob))).rejects.toMatchObject({ code: 'REGISTRY_UNAVAILABLE', transient: true });
    expect(blobGets(registry)).toHaveLength(4);
  });

  it('refuses bytes that are not the blob', async () => {
    const registry = await startRegistry();
    await pushBlob(target(registry), bytes);
    registry.faults.add({ part: 'blobs' }, { kind: 'wrong-byte', at: 399_999 });
    await expect(collect(clientOf(registry.url).blob('team/app', blob))).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
    await expect(collect(clientOf(registry.url).blob('team/app', { ...blob, sizeBytes: 399_999 }))).rejects.toMatchObject({ code: 'SIZE_MISMATCH' });
    const missing = { digest: digestOf('nothing'), sizeBytes: 7 };
    await expect(collect(clientOf(registry.url).blob('team/app', missing))).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' });
  });

  it('asks nothing before the first byte is wanted, and may be left early', async () => {
    const registry = await startRegistry();
    await pushBlob(target(registry), bytes);
    const stream = clientOf(registry.url).blob('team/app', blob);
    expect(blobGets(registry)).toEqual([]);
    for await (const part of stream) {
      expect(part.length).toBeGreaterThan(0);
      break;
    }
  });

  it('follows a redirect to another host without showing our authority there', async () => {
    const seen: (string | undefined)[] = [];
    const store = await startServer((request, response) => {
      seen.push(request.headers.authorization);
      response.writeHead(200, { 'content-length': bytes.length }).end(bytes);
    });
    const registry = await startRegistry({ access: { kind: 'basic', users: [{ username: 'u', password: 'p' }] } });
    await pushBlob({ ...target(registry), authorization: `Basic ${btoa('u:p')}` }, bytes);
    const client = clientOf(registry.url, { credentials: { kind: 'basic', username: 'u', password: 'p' } });
    await client.resolve('team/app', tag('none')).catch(() => undefined);
    registry.faults.add({ part: 'blobs' }, { kind: 'redirect', to: `${store}/blob?sig=secret` });
    expect((await collect(client.blob('team/app', blob))).equals(bytes)).toBe(true);
    expect(seen).toEqual([undefined]);
    expect(registry.seen.at(-1)?.authorization).toMatch(/^Basic /);
  });

  it('shows no password to a token service that a redirect target names', async () => {
    const seen: (string | undefined)[] = [];
    const store: string = await startServer((request, response) => {
      seen.push(request.headers.authorization);
      response.writeHead(401, { 'www-authenticate': `Bearer realm="http://${request.headers.host}/token"`, 'content-length': 0 }).end();
    });
    const registry = await startRegistry();
    registry.faults.add({ part: 'blobs' }, { kind: 'redirect', to: `${store}/blob` });
    const client = clientOf(registry.url, { credentials: { kind: 'basic', username: 'u', password: 'p' } });
    await expect(collect(client.blob('team/app', blob))).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
    expect(seen).toEqual([undefined]);
  });

  it('stops following redirects that go round in circles', async () => {
    const url = await startServer((request, response) => {
      response.writeHead(307, { location: request.url ?? '/', 'content-length': 0 }).end();
    });
    await expect(collect(clientOf(url).blob('team/app', blob))).rejects.toMatchObject({ code: 'REGISTRY_PROTOCOL' });
  });
});

describe('listing tags', () => {
  it('goes through all pages', async () => {
    const registry = await startRegistry();
    const names = Array.from({ length: 1005 }, (_none, place) => `v${String(place).padStart(5, '0')}`);
    const image = await pushImage(target(registry), 'v00000', sampleImage(['a']));
    const client = clientOf(registry.url);
    const { bytes } = await client.manifest('team/app', byDigest(image.digest));
    for (const name of names) await pushManifest(target(registry), name, JSON.parse(Buffer.from(bytes).toString()));
    const listed: string[] = [];
    for await (const name of client.tags('team/app')) listed.push(name);
    expect(listed).toEqual(names);
    expect(registry.seen.filter(({ path }) => path.includes('/tags/list'))).toHaveLength(2);
  });

  it('does not follow a page to another host, and ends where pages are empty', async () => {
    const pages: string[] = ['<http://elsewhere.example/v2/x>; rel="next"'];
    const url = await startServer((_request, response) => {
      const link = pages.shift() ?? '</v2/team/app/tags/list?last=x>; rel="next"';
      response.writeHead(200, { link }).end('{"name":"team/app","tags":null}');
    });
    const list = async (): Promise<string[]> => {
      const listed: string[] = [];
      for await (const name of clientOf(url).tags('team/app')) listed.push(name);
      return listed;
    };
    await expect(list()).rejects.toMatchObject({ code: 'REGISTRY_PROTOCOL' });
    expect(await list()).toEqual([]);
  });
});

describe('authority', () => {
  const users = [{ username: 'u', password: 'p:w', repositories: ['team/app'] }];
  const credentials = { kind: 'basic', username: 'u', password: 'p:w' } as const;
  let now = new Date('2026-01-01T00:00:00Z');
  const tokenRegistry = async (extra: { anonymousPull?: boolean; tokenLifeSeconds?: number } = {}): Promise<TestRegistry> => {
    now = new Date('2026-01-01T00:00:00Z');
    return startRegistry({ access: { kind: 'token', users, now: () => now, ...extra } });
  };
  const clock = { now: () => now, sleep: async () => undefined };

  it('by password is learnt from the first challenge and shown from then on', async () => {
    const registry = await startRegistry({ access: { kind: 'basic', users } });
    await pushBlob({ ...target(registry), authorization: `Basic ${btoa('u:p:w')}` }, Buffer.from('x'));
    const before = registry.seen.length;
    const client = clientOf(registry.url, { credentials });
    for (let times = 0; times < 3; times += 1) await expect(client.resolve('team/app', tag('v1'))).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' });
    expect(registry.seen.slice(before).map(({ authorization }) => authorization !== undefined)).toEqual([false, true, true, true]);
    await expect(client.resolve('team/secret', tag('v1'))).rejects.toMatchObject({ code: 'DENIED' });
    await expect(clientOf(registry.url).resolve('team/app', tag('v1'))).rejects.toMatchObject({ code: 'UNAUTHORIZED', transient: false });
  });

  it('by token asks once per scope, however many wait for it', async () => {
    const registry = await tokenRegistry();
    const client = clientOf(registry.url, { credentials, clock });
    await expect(client.resolve('team/app', tag('v1'))).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' });
    registry.gate.issuedCount = 0;
    registry.gate.revokeTokens();
    await Promise.allSettled(Array.from({ length: 20 }, () => client.resolve('team/app', tag('v1'))));
    expect(registry.gate.issuedCount).toBe(1);
  });

  it('by token asks anew shortly before the token ends, and when it was revoked', async () => {
    const registry = await tokenRegistry({ tokenLifeSeconds: 60 });
    const client = clientOf(registry.url, { credentials, clock });
    const ask = (): Promise<unknown> => client.resolve('team/app', tag('v1')).catch((error: { code: string }) => error.code);
    for (const [waitMs, issued] of [[0, 1], [40_000, 1], [11_000, 2]] as const) {
      now = new Date(now.getTime() + waitMs);
      expect(await ask()).toBe('MANIFEST_UNKNOWN');
      expect(registry.gate.issuedCount).toBe(issued);
    }
    registry.gate.revokeTokens();
    expect(await ask()).toBe('MANIFEST_UNKNOWN');
    expect(registry.gate.issuedCount).toBe(3);
  });

  it('by token works without a name where anybody may pull', async () => {
    const registry = await tokenRegistry({ anonymousPull: true });
    await expect(clientOf(registry.url, { clock }).resolve('team/app', tag('v1'))).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' });
  });

  it('that does not reach is told, not tried for ever', async () => {
    const registry = await tokenRegistry();
    const client = clientOf(registry.url, { credentials, clock });
    await expect(client.resolve('team/secret', tag('v1'))).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
    await expect(clientOf(registry.url, { credentials: { ...credentials, password: 'wrong' }, clock }).resolve('team/app', tag('v1'))).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
    expect(registry.seen.length).toBeLessThan(10);
  });

  it('waits for a token service in trouble', async () => {
    const registry = await tokenRegistry();
    registry.faults.add({ part: 'token' }, { kind: 'status', status: 503 }, 2);
    await expect(clientOf(registry.url, { credentials, clock }).resolve('team/app', tag('v1'))).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' });
  });

  it('of a caller is asked for with the caller\'s header alone', async () => {
    const registry = await tokenRegistry();
    const owner = clientOf(registry.url, { credentials, clock });
    await expect(owner.resolve('team/app', tag('v1'))).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' });
    const bearer = registry.seen.at(-1)?.authorization;
    const unasked = await owner.probe('team/app', tag('v1'), undefined);
    expect(unasked).toMatchObject({ challenge: expect.stringContaining('repository:team/app:pull') });
    expect(registry.seen.at(-1)?.authorization).toBeUndefined();
    expect(await owner.probe('team/app', tag('v1'), bearer)).toBe('unknown');
    expect(await owner.probe('team/other', tag('v1'), bearer)).toMatchObject({ challenge: expect.stringContaining('insufficient_scope') });
    expect(await owner.probe('team/app', tag('v1'), 'Bearer a\r\nx: y')).toBe('denied');
  });

  it('of a caller is granted by a manifest, refused by a 403 or a login page, and unknown to a registry that is down', async () => {
    const registry = await startRegistry({ access: { kind: 'basic', users } });
    const authorization = `Basic ${btoa('u:p:w')}`;
    await pushImage({ ...target(registry), authorization }, 'v1', sampleImage(['a']));
    const client = clientOf(registry.url);
    expect(await client.probe('team/app', tag('v1'), authorization)).toBe('allowed');
    expect(await client.probe('team/secret', tag('v1'), authorization)).toBe('denied');
    registry.faults.add({ part: 'manifests' }, { kind: 'status', status: 503 });
    await expect(client.probe('team/app', tag('v1'), authorization)).rejects.toMatchObject({ code: 'REGISTRY_UNAVAILABLE' });
    registry.faults.add({ part: 'manifests' }, { kind: 'silence' });
    await expect(clientOf(registry.url, { limits: { probeMaxMs: 100 } }).probe('team/app', tag('v1'), authorization)).rejects.toMatchObject({ code: 'REGISTRY_UNAVAILABLE' });
    const login = await startServer((_request, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('sign in'));
    expect(await clientOf(login).probe('team/app', tag('v1'), authorization)).toBe('denied');
  });
});
