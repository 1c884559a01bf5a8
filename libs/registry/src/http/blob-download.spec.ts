import { afterEach, describe, expect, it } from 'vitest';

import { digestOf, type Reference } from '#oci';

import { type LocalRegistry, pushBlob } from '../local/index.js';
import { collectBytes, RegistryBench, sampleBytes, targetIn } from '../testing/index.js';

const tag = (name: string): Reference => ({ kind: 'tag', tag: name });
const blobGets = (registry: LocalRegistry): (string | undefined)[] =>
  registry.seen.filter(({ method, path }) => method === 'GET' && path.includes('/blobs/')).map(({ range }) => range);
const bench = new RegistryBench();
afterEach(() => bench.close());

describe('reading blobs', () => {
  const bytes = sampleBytes('blob', 400_000);
  const blob = { digest: digestOf(bytes), sizeBytes: bytes.length };

  it('takes a download up again where it was cut, and verifies the whole', async () => {
    const registry = await bench.registry();
    await pushBlob(targetIn(registry), bytes);
    registry.faults.add({ part: 'blobs' }, { kind: 'cut', afterBytes: 100_000 });
    registry.faults.add({ part: 'blobs' }, { kind: 'cut', afterBytes: 50_000 });
    const whole = await collectBytes(bench.client(registry.url).blob('team/app', blob));
    expect(whole.equals(bytes)).toBe(true);
    const ranges = blobGets(registry);
    expect(ranges[0]).toBeUndefined();
    expect(ranges).toHaveLength(3);
    for (const range of ranges.slice(1)) expect(range).toMatch(/^bytes=\d+-$/);
  });

  it('skips what it knows where the registry ignores ranges', async () => {
    const registry = await bench.registry();
    await pushBlob(targetIn(registry), bytes);
    registry.faults.add({ part: 'blobs' }, { kind: 'cut', afterBytes: 150_000 });
    registry.faults.add({ part: 'blobs' }, { kind: 'no-ranges' });
    expect((await collectBytes(bench.client(registry.url).blob('team/app', blob))).equals(bytes)).toBe(true);
  });

  it('is taken up again when the body stands still', async () => {
    const registry = await bench.registry();
    await pushBlob(targetIn(registry), bytes);
    registry.faults.add({ part: 'blobs' }, { kind: 'stall', afterBytes: 70_000 });
    expect((await collectBytes(bench.client(registry.url, { limits: { idleBodyMaxMs: 200 } }).blob('team/app', blob))).equals(bytes)).toBe(true);
  });

  it('needs no size: the registry tells whether it was cut, and the digest whether it is right', async () => {
    const registry = await bench.registry();
    await pushBlob(targetIn(registry), bytes);
    registry.faults.add({ part: 'blobs' }, { kind: 'cut', afterBytes: 100_000 });
    const { digest } = blob;
    expect((await collectBytes(bench.client(registry.url).blob('team/app', { digest }))).equals(bytes)).toBe(true);
    registry.faults.add({ part: 'blobs' }, { kind: 'wrong-byte', at: 7 });
    await expect(collectBytes(bench.client(registry.url).blob('team/app', { digest }))).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
    const unsized = await bench.server((_request, response) => void response.writeHead(200).end(bytes.subarray(0, 1000)));
    await expect(collectBytes(bench.client(unsized).blob('team/app', { digest }))).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
  });

  it('gives up after so many cuts', async () => {
    const registry = await bench.registry();
    await pushBlob(targetIn(registry), bytes);
    registry.faults.add({ part: 'blobs' }, { kind: 'cut', afterBytes: 1000 }, 100);
    const client = bench.client(registry.url, { limits: { resumesMax: 3 } });
    await expect(collectBytes(client.blob('team/app', blob))).rejects.toMatchObject({ code: 'REGISTRY_UNAVAILABLE', transient: true });
    expect(blobGets(registry)).toHaveLength(4);
  });

  it('refuses bytes that are not the blob', async () => {
    const registry = await bench.registry();
    await pushBlob(targetIn(registry), bytes);
    registry.faults.add({ part: 'blobs' }, { kind: 'wrong-byte', at: 399_999 });
    await expect(collectBytes(bench.client(registry.url).blob('team/app', blob))).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
    await expect(collectBytes(bench.client(registry.url).blob('team/app', { ...blob, sizeBytes: 399_999 }))).rejects.toMatchObject({ code: 'SIZE_MISMATCH' });
    const missing = { digest: digestOf('nothing'), sizeBytes: 7 };
    await expect(collectBytes(bench.client(registry.url).blob('team/app', missing))).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' });
  });

  it('asks nothing before the first byte is wanted, and may be left early', async () => {
    const registry = await bench.registry();
    await pushBlob(targetIn(registry), bytes);
    const stream = bench.client(registry.url).blob('team/app', blob);
    expect(blobGets(registry)).toEqual([]);
    for await (const part of stream) {
      expect(part.length).toBeGreaterThan(0);
      break;
    }
  });

  it('follows a redirect to another host without showing our authority there', async () => {
    const seen: (string | undefined)[] = [];
    const store = await bench.server((request, response) => {
      seen.push(request.headers.authorization);
      response.writeHead(200, { 'content-length': bytes.length }).end(bytes);
    });
    const registry = await bench.registry({ access: { kind: 'basic', users: [{ username: 'u', password: 'p' }] } });
    await pushBlob({ ...targetIn(registry), authorization: `Basic ${btoa('u:p')}` }, bytes);
    const client = bench.client(registry.url, { credentials: { kind: 'basic', username: 'u', password: 'p' } });
    await client.resolve('team/app', tag('none')).catch(() => undefined);
    registry.faults.add({ part: 'blobs' }, { kind: 'redirect', to: `${store}/blob?sig=secret` });
    expect((await collectBytes(client.blob('team/app', blob))).equals(bytes)).toBe(true);
    expect(seen).toEqual([undefined]);
    expect(registry.seen.at(-1)?.authorization).toMatch(/^Basic /);
  });

  it('shows no password to a token service that a redirect target names', async () => {
    const seen: (string | undefined)[] = [];
    const store: string = await bench.server((request, response) => {
      seen.push(request.headers.authorization);
      response.writeHead(401, { 'www-authenticate': `Bearer realm="http://${request.headers.host}/token"`, 'content-length': 0 }).end();
    });
    const registry = await bench.registry();
    registry.faults.add({ part: 'blobs' }, { kind: 'redirect', to: `${store}/blob` });
    const client = bench.client(registry.url, { credentials: { kind: 'basic', username: 'u', password: 'p' } });
    await expect(collectBytes(client.blob('team/app', blob))).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
    expect(seen).toEqual([undefined]);
  });

  it('stops following redirects that go round in circles', async () => {
    const url = await bench.server((request, response) => {
      response.writeHead(307, { location: request.url ?? '/', 'content-length': 0 }).end();
    });
    await expect(collectBytes(bench.client(url).blob('team/app', blob))).rejects.toMatchObject({ code: 'REGISTRY_PROTOCOL' });
  });
});
