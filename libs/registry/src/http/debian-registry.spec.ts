import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { SystemClock } from '#clock';
import { OCI_INDEX, OCI_MANIFEST } from '#oci';

import { freePort } from '../../../../test/e2e/support/free-port.js';
import { isRegistryEnvelope, parseRegistryEnvelope } from '../parse-registry-envelope.js';
import { isUnknown } from '../registry-error.js';
import { type RegistryEvent, referenceToExamine } from '../registry-event.js';
import { deleteManifest, pushImage, pushIndex, type PushTarget } from '../local/index.js';
import { sampleImage, sampleLayer } from '../testing/index.js';
import { RegistryClient } from './registry-client.js';

/** Debian's package `docker-registry`: the CNCF distribution registry. */
const REGISTRY_PROGRAM = '/usr/bin/docker-registry';

describe.skipIf(!existsSync(REGISTRY_PROGRAM))('against Debian\'s docker-registry', () => {
  let folder: string;
  let program: ChildProcess;
  let client: RegistryClient;
  let to: PushTarget;
  const events: RegistryEvent[] = [];
  const heard = new EventTarget();
  const hear = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    if (isRegistryEnvelope(request.headers['content-type'])) events.push(...parseRegistryEnvelope(Buffer.concat(chunks)).events);
    response.writeHead(200).end();
    heard.dispatchEvent(new Event('event'));
  };
  const listener = createServer((request, response) => void hear(request, response));

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'docker-registry-'));
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
    const port = await freePort();
    const notifyUrl = `http://127.0.0.1:${(listener.address() as AddressInfo).port}/`;
    const config = {
      version: 0.1,
      log: { level: 'error' },
      storage: { filesystem: { rootdirectory: folder }, delete: { enabled: true } },
      http: { addr: `127.0.0.1:${port}` },
      notifications: { endpoints: [{ name: 'us', url: notifyUrl, timeout: '2s', threshold: 3, backoff: '100ms' }] },
    };
    // JSON is YAML too.
    await writeFile(join(folder, 'config.yml'), JSON.stringify(config));
    program = spawn(REGISTRY_PROGRAM, ['serve', join(folder, 'config.yml')], { stdio: 'ignore' });
    to = { url: `http://127.0.0.1:${port}`, repository: 'team/app' };
    client = new RegistryClient({
      url: to.url,
      credentials: { kind: 'anonymous' },
      clock: new SystemClock(),
      limits: { retry: { triesMax: 60, firstWaitMs: 50, waitMaxMs: 200, askedWaitMaxMs: 1000 } },
    });
    // It answers that there is nothing as soon as it listens.
    await client.manifest('team/none', { kind: 'tag', tag: 'v1' }).catch((error: unknown) => {
      if (!isUnknown(error)) throw error;
    });
  });
  afterAll(async () => {
    await client?.close();
    if (program?.exitCode === null && program.kill()) await once(program, 'exit');
    await new Promise((resolve) => listener.close(resolve).closeAllConnections());
    await rm(folder, { recursive: true, force: true });
  });

  it('reads what was pushed, and hears of it', async () => {
    const layer = sampleLayer('big', 300_000);
    const image = await pushImage(to, undefined, { layers: [layer] });
    const index = await pushIndex(to, 'v1', [image]);
    expect(await client.resolve('team/app', { kind: 'tag', tag: 'v1' })).toEqual({ digest: index.digest, mediaType: OCI_INDEX, sizeBytes: index.sizeBytes });
    expect(await client.manifest('team/app', { kind: 'digest', digest: image.digest })).toMatchObject({ mediaType: OCI_MANIFEST, digest: image.digest });
    const chunks: Uint8Array[] = [];
    for await (const chunk of client.blob('team/app', { digest: image.layers[0] ?? image.digest, sizeBytes: layer.bytes.length })) chunks.push(chunk);
    expect(Buffer.concat(chunks).equals(layer.bytes)).toBe(true);
    expect(await client.probe('team/app', { kind: 'tag', tag: 'v1' }, undefined)).toBe('allowed');
    expect(await client.probe('team/app', { kind: 'tag', tag: 'v2' }, undefined)).toBe('unknown');
    while (!events.some((event) => event.action === 'push' && event.tag === 'v1')) await once(heard, 'event');
    expect(events.filter((event) => event.action === 'push').map(referenceToExamine).filter((each) => each !== undefined)).toEqual([image.digest, 'v1']);
  });

  it('lists tags, and hears of deletions by digest', async () => {
    const kept = await pushImage(to, 'kept', sampleImage(['a']));
    const gone = await pushImage(to, 'gone', sampleImage(['b']));
    const listed: string[] = [];
    for await (const tag of client.tags('team/app')) listed.push(tag);
    expect(listed).toEqual(expect.arrayContaining(['gone', 'kept']));
    await deleteManifest(to, gone.digest);
    await expect(client.manifest('team/app', { kind: 'tag', tag: 'gone' })).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' });
    expect((await client.resolve('team/app', { kind: 'tag', tag: 'kept' })).digest).toBe(kept.digest);
    const deleted = (): (string | undefined)[] => events.filter((event) => event.action === 'delete').map(referenceToExamine);
    while (!deleted().includes(gone.digest) || !deleted().includes('gone')) await once(heard, 'event');
    expect(deleted()).not.toContain('kept');
  });
});
