import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, describe, expect, it } from 'vitest';

import { digestOf } from '#oci';

import { isRegistryEnvelope, parseRegistryEnvelope } from '../parse-registry-envelope.js';
import type { RegistryEvent } from '../registry-event.js';
import { deleteManifest, pushBlob, pushImage, pushManifest, type PushTarget } from './push-image.js';
import { sampleBytes, sampleImage } from '../testing/sample-image.js';
import { LocalRegistry, type LocalRegistryOptions } from './local-registry.js';

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

async function start(options: LocalRegistryOptions = {}): Promise<{ registry: LocalRegistry; to: PushTarget }> {
  const registry = await LocalRegistry.start(options);
  closing.push(() => registry.stop());
  return { registry, to: { url: registry.url, repository: 'team/app' } };
}

/** Takes notifications in; refuses the first `refusals`. */
async function startListener(refusals = 0): Promise<{ url: string; events: RegistryEvent[] }> {
  const events: RegistryEvent[] = [];
  let left = refusals;
  const hear = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    left -= 1;
    const taken = left < 0 && isRegistryEnvelope(request.headers['content-type']);
    if (taken) events.push(...parseRegistryEnvelope(Buffer.concat(chunks)).events);
    response.writeHead(taken ? 202 : 503).end();
  };
  const server = createServer((request, response) => void hear(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => new Promise((resolve) => server.close(resolve).closeAllConnections()));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/notifications`, events };
}

describe('the local registry', () => {
  it('takes a blob in chunks, and refuses one out of order or with another digest', async () => {
    const { registry, to } = await start();
    const bytes = sampleBytes('chunks', 3000);
    const begun = await fetch(`${registry.url}/v2/team/app/blobs/uploads/`, { method: 'POST' });
    expect(begun.status).toBe(202);
    const session = `${registry.url}${begun.headers.get('location')}`;
    const patch = (start: number, end: number): Promise<Response> =>
      fetch(session, { method: 'PATCH', body: bytes.subarray(start, end), headers: { 'content-range': `${start}-${end - 1}` } });
    expect((await patch(0, 1000)).headers.get('range')).toBe('0-999');
    expect((await patch(2000, 3000)).status).toBe(416);
    expect((await fetch(session)).headers.get('range')).toBe('0-999');
    expect((await patch(1000, 2000)).status).toBe(202);
    const digest = digestOf(bytes);
    expect((await fetch(`${session}?digest=${digest}`, { method: 'PUT', body: bytes.subarray(2000) })).status).toBe(201);
    const found = await fetch(`${registry.url}/v2/team/app/blobs/${digest}`, { headers: { range: 'bytes=10-19' } });
    expect([found.status, found.headers.get('content-range')]).toEqual([206, 'bytes 10-19/3000']);
    expect(Buffer.from(await found.arrayBuffer()).equals(bytes.subarray(10, 20))).toBe(true);
    const whole = (expected: string): Promise<Response> =>
      fetch(`${registry.url}/v2/team/app/blobs/uploads/?digest=${expected}`, { method: 'POST', body: 'whole' });
    expect((await whole(digestOf('other'))).status).toBe(400);
    expect((await whole(digestOf('whole'))).status).toBe(201);
    expect(to.repository).toBe('team/app');
  });

  it('mounts a blob from another repository, and begins an upload where there is none', async () => {
    const { registry, to } = await start();
    const digest = await pushBlob(to, Buffer.from('shared'));
    const mount = (from: string): Promise<Response> => fetch(`${registry.url}/v2/team/other/blobs/uploads/?mount=${digest}&from=${from}`, { method: 'POST' });
    expect((await fetch(`${registry.url}/v2/team/other/blobs/${digest}`)).status).toBe(404);
    expect((await mount('team/nobody')).status).toBe(202);
    expect((await mount('team/app')).status).toBe(201);
    expect((await fetch(`${registry.url}/v2/team/other/blobs/${digest}`)).status).toBe(200);
  });

  it('refuses a manifest whose blobs are missing', async () => {
    const { to } = await start();
    const missing = { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digestOf('missing'), size: 7 };
    const manifest = { schemaVersion: 2, mediaType: 'application/vnd.oci.image.manifest.v1+json', config: missing, layers: [] };
    await expect(pushManifest(to, 'v1', manifest)).rejects.toThrow('MANIFEST_BLOB_UNKNOWN');
  });

  it('keeps blobs as files where it is told so, and leaves no drafts behind', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'local-registry-'));
    closing.push(() => rm(folder, { recursive: true }));
    const { registry, to } = await start({ folder });
    const bytes = sampleBytes('file', 200_000);
    const digest = await pushBlob(to, bytes);
    await fetch(`${registry.url}/v2/team/app/blobs/uploads/?digest=${digestOf('x')}`, { method: 'POST', body: 'y' });
    expect(await readdir(folder)).toEqual([digest.slice(7)]);
    expect(Buffer.from(await (await fetch(`${registry.url}/v2/team/app/blobs/${digest}`)).arrayBuffer()).equals(bytes)).toBe(true);
  });

  it('tells its endpoints what happens, in order and until they take it', async () => {
    const listener = await startListener(2);
    const { registry, to } = await start({ notify: [{ url: listener.url }] });
    const image = await pushImage(to, 'v1', sampleImage(['a']));
    await (await fetch(`${registry.url}/v2/team/app/manifests/v1`)).arrayBuffer();
    await deleteManifest(to, 'v1');
    await deleteManifest(to, image.digest);
    await registry.notifier.settled();
    expect(listener.events.map(({ action, tag, digest }) => [action, tag ?? digest])).toEqual([
      ['push', image.layers[0]],
      ['push', expect.stringContaining('sha256:')],
      ['push', 'v1'],
      ['pull', 'v1'],
      ['delete', 'v1'],
      ['delete', image.digest],
    ]);
    expect(new Set(listener.events.map(({ id }) => id)).size).toBe(6);
    expect(registry.notifier.droppedCount).toBe(0);
  });

  it('removes a manifest with its tags', async () => {
    const { registry, to } = await start();
    const { digest } = await pushImage(to, 'v1', sampleImage(['a']));
    await pushImage(to, 'v2', sampleImage(['a']));
    await deleteManifest(to, digest);
    expect(await (await fetch(`${registry.url}/v2/team/app/tags/list`)).json()).toEqual({ name: 'team/app', tags: [] });
  });
});
