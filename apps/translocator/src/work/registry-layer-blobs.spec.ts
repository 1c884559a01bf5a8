import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { SystemClock } from '#clock';
import { type Digest, digestOf } from '#oci';
import { RegistryClient } from '#registry';
import { LocalRegistry, pushBlob } from '#registry/local';

import { RegistryLayerBlobs } from './registry-layer-blobs.js';

describe('the blobs of layers', () => {
  let registry: LocalRegistry;
  let client: RegistryClient;
  beforeEach(async () => {
    registry = await LocalRegistry.start();
    const limits = { retry: { triesMax: 1, firstWaitMs: 1, waitMaxMs: 1, askedWaitMaxMs: 0 } };
    client = new RegistryClient({ url: registry.url, credentials: { kind: 'anonymous' }, clock: new SystemClock(), limits });
  });
  afterEach(async () => {
    await client.close();
    await registry.stop();
  });

  const read = async (blobs: RegistryLayerBlobs, repository: string, digest: Digest): Promise<string> => {
    const layer = { digest, mediaType: 'application/vnd.oci.image.layer.v1.tar', sizeBytes: 5 };
    const chunks: Uint8Array[] = [];
    for await (const chunk of await blobs.open(repository, layer, new AbortController().signal)) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  };
  const hasIn = (...repositories: string[]) => ({
    imagesByLayer: () => Promise.resolve(repositories.map((repository) => ({ repository, digest: digestOf(repository) }))),
  });

  it('come from the repository that is named, and nobody else is looked for', async () => {
    const digest = await pushBlob({ url: registry.url, repository: 'a' }, Buffer.from('bytes'));
    const images = { imagesByLayer: () => Promise.reject(new Error('not to be asked')) };
    expect(await read(new RegistryLayerBlobs(client, images), 'a', digest)).toBe('bytes');
  });

  it('come from another repository that has the layer when the named one has it no more', async () => {
    const digest = await pushBlob({ url: registry.url, repository: 'b' }, Buffer.from('bytes'));
    expect(await read(new RegistryLayerBlobs(client, hasIn('a', 'c', 'b')), 'a', digest)).toBe('bytes');
  });

  it('are missed with the first refusal when no repository has them', async () => {
    await expect(read(new RegistryLayerBlobs(client, hasIn('a', 'b')), 'a', digestOf('nowhere'))).rejects.toMatchObject({ code: 'NAME_UNKNOWN' });
  });

  it('are not joined from two repositories: a download that is cut fails', async () => {
    const digest = await pushBlob({ url: registry.url, repository: 'a' }, Buffer.alloc(100_000, 'x'));
    registry.faults.add({ part: 'blobs', method: 'GET' }, { kind: 'cut', afterBytes: 10 }, 20);
    await expect(read(new RegistryLayerBlobs(client, hasIn('a', 'b')), 'a', digest)).rejects.toMatchObject({ code: 'REGISTRY_UNAVAILABLE' });
  });
});
