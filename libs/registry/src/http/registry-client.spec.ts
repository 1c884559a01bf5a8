import { afterEach, describe, expect, it } from 'vitest';

import { type Digest, digestOf, MANIFEST_BYTES_MAX, OCI_INDEX, OCI_MANIFEST, parseManifest, type Reference } from '#oci';

import { pushImage, pushIndex, pushManifest } from '../local/index.js';
import { RegistryBench, sampleImage, targetIn } from '../testing/index.js';

const tag = (name: string): Reference => ({ kind: 'tag', tag: name });
const byDigest = (digest: Digest): Reference => ({ kind: 'digest', digest });
const bench = new RegistryBench();
afterEach(() => bench.close());

describe('reading manifests', () => {
  it('resolves tags and digests, and reads images and indexes whole', async () => {
    const registry = await bench.registry();
    const client = bench.client(registry.url);
    const image = await pushImage(targetIn(registry), undefined, sampleImage(['a', 'b']));
    const index = await pushIndex(targetIn(registry), 'v1', [image]);
    expect(await client.resolve('team/app', tag('v1'))).toEqual({ digest: index.digest, mediaType: OCI_INDEX, sizeBytes: index.sizeBytes });
    const found = await client.manifest('team/app', byDigest(image.digest));
    expect(found).toMatchObject({ digest: image.digest, mediaType: OCI_MANIFEST });
    expect(parseManifest(found.bytes, found.mediaType)).toMatchObject({ layers: image.layers.map((digest) => ({ digest })) });
  });

  it('tells an unknown repository from an unknown manifest', async () => {
    const registry = await bench.registry();
    const client = bench.client(registry.url);
    await pushImage(targetIn(registry), 'v1', sampleImage(['a']));
    await expect(client.manifest('team/app', tag('v2'))).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN', transient: false });
    await expect(client.manifest('team/other', tag('v1'))).rejects.toMatchObject({ code: 'NAME_UNKNOWN' });
    await expect(client.resolve('team/app', tag('v2'))).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' });
    await expect(client.manifest('Team/../x', tag('v2'))).rejects.toMatchObject({ code: 'NAME_INVALID' });
  });

  it('refuses a manifest that is not the one asked for', async () => {
    const registry = await bench.registry();
    const image = await pushImage(targetIn(registry), 'v1', sampleImage(['a']));
    registry.faults.add({ part: 'manifests', method: 'GET' }, { kind: 'wrong-byte', at: 10 }, 2);
    const client = bench.client(registry.url);
    await expect(client.manifest('team/app', byDigest(image.digest))).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
    await expect(client.manifest('team/app', tag('v1'))).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
  });

  it('stops reading a manifest that is too long', async () => {
    let sentBytes = 0;
    const url = await bench.server((_request, response) => {
      response.writeHead(200, { 'content-type': OCI_MANIFEST });
      const chunk = Buffer.alloc(1024 * 1024, ' ');
      const more = (): void => {
        sentBytes += chunk.length;
        if (!response.destroyed) response.write(chunk, more);
      };
      more();
    });
    await expect(bench.client(url).manifest('team/app', tag('v1'))).rejects.toMatchObject({ code: 'RESPONSE_TOO_LARGE' });
    expect(sentBytes).toBeLessThan(MANIFEST_BYTES_MAX * 8);
  });

  it('reads the manifest where HEAD tells no digest', async () => {
    const bytes = Buffer.from('{}');
    const url = await bench.server((request, response) => {
      response.writeHead(200, { 'content-type': `${OCI_MANIFEST}; charset=utf-8`, 'content-length': bytes.length });
      response.end(request.method === 'HEAD' ? undefined : bytes);
    });
    expect(await bench.client(url).resolve('team/app', tag('v1'))).toEqual({ digest: digestOf(bytes), mediaType: OCI_MANIFEST, sizeBytes: 2 });
  });
});

describe('a registry in trouble', () => {
  it('is waited for as long as it asks, and asked again', async () => {
    const registry = await bench.registry();
    await pushImage(targetIn(registry), 'v1', sampleImage(['a']));
    registry.faults.add({ part: 'manifests' }, { kind: 'status', status: 429, retryAfter: '1' });
    const startedAt = performance.now();
    await bench.client(registry.url).resolve('team/app', tag('v1'));
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(990);
  });

  it('is not waited for longer than our own limit', async () => {
    const registry = await bench.registry();
    registry.faults.add({ part: 'manifests' }, { kind: 'status', status: 429, retryAfter: '3600' });
    const asking = bench.client(registry.url).resolve('team/app', tag('v1'));
    await expect(asking).rejects.toMatchObject({ code: 'TOO_MANY_REQUESTS', transient: true, retryAfterMs: 3_600_000 });
    expect(registry.seen).toHaveLength(1);
  });

  it('is given up after the policy, and only then', async () => {
    const registry = await bench.registry();
    await pushImage(targetIn(registry), 'v1', sampleImage(['a']));
    const client = bench.client(registry.url);
    registry.faults.add({ part: 'manifests' }, { kind: 'status', status: 503 }, 2);
    await client.resolve('team/app', tag('v1'));
    registry.faults.add({ part: 'manifests' }, { kind: 'status', status: 503 }, 3);
    await expect(client.resolve('team/app', tag('v1'))).rejects.toMatchObject({ code: 'REGISTRY_UNAVAILABLE', transient: true });
  });

  it('that does not answer, or stops in the middle, is left after the time limits', async () => {
    const registry = await bench.registry();
    await pushImage(targetIn(registry), 'v1', sampleImage(['a']));
    const retry = { triesMax: 1, firstWaitMs: 1, waitMaxMs: 1, askedWaitMaxMs: 0 };
    const client = bench.client(registry.url, { limits: { headersMaxMs: 200, idleBodyMaxMs: 200, retry } });
    registry.faults.add({ part: 'manifests' }, { kind: 'silence' });
    await expect(client.manifest('team/app', tag('v1'))).rejects.toMatchObject({ code: 'REGISTRY_UNAVAILABLE' });
    registry.faults.add({ part: 'manifests' }, { kind: 'stall', afterBytes: 5 });
    await expect(client.manifest('team/app', tag('v1'))).rejects.toMatchObject({ code: 'REGISTRY_UNAVAILABLE' });
  });

  it('that is not there at all is told as unavailable', async () => {
    await expect(bench.client('http://127.0.0.1:9').resolve('team/app', tag('v1'))).rejects.toMatchObject({ code: 'REGISTRY_UNAVAILABLE', transient: true });
  });

  it('is left at once when the signal aborts', async () => {
    const registry = await bench.registry();
    registry.faults.add({ part: 'manifests' }, { kind: 'silence' });
    const abort = new AbortController();
    const asking = bench.client(registry.url).resolve('team/app', tag('v1'), abort.signal);
    setTimeout(() => abort.abort(new Error('enough')), 50);
    await expect(asking).rejects.toThrow('enough');
  });
});

describe('listing tags', () => {
  it('goes through all pages', async () => {
    const registry = await bench.registry();
    const names = Array.from({ length: 1005 }, (_none, place) => `v${String(place).padStart(5, '0')}`);
    const image = await pushImage(targetIn(registry), 'v00000', sampleImage(['a']));
    const client = bench.client(registry.url);
    const { bytes } = await client.manifest('team/app', byDigest(image.digest));
    for (const name of names) await pushManifest(targetIn(registry), name, JSON.parse(Buffer.from(bytes).toString()));
    const listed: string[] = [];
    for await (const name of client.tags('team/app')) listed.push(name);
    expect(listed).toEqual(names);
    expect(registry.seen.filter(({ path }) => path.includes('/tags/list'))).toHaveLength(2);
  });

  it('does not follow a page to another host, and ends where pages are empty', async () => {
    const pages: string[] = ['<http://elsewhere.example/v2/x>; rel="next"'];
    const url = await bench.server((_request, response) => {
      const link = pages.shift() ?? '</v2/team/app/tags/list?last=x>; rel="next"';
      response.writeHead(200, { link }).end('{"name":"team/app","tags":null}');
    });
    const list = async (): Promise<string[]> => {
      const listed: string[] = [];
      for await (const name of bench.client(url).tags('team/app')) listed.push(name);
      return listed;
    };
    await expect(list()).rejects.toMatchObject({ code: 'REGISTRY_PROTOCOL' });
    expect(await list()).toEqual([]);
  });
});
