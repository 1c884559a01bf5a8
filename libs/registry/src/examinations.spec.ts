import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { SystemClock } from '#clock';
import { DEFAULT_PLATFORMS, digestOf, type Reference } from '#oci';
import { MINUTE_MS } from '#quantities';

import { backfillRepository } from './backfill-repository.js';
import { ExaminedImages, type ExaminationOutcome, type ExaminedReference, examineReference } from './examine-reference.js';
import { RegistryClient } from './http/registry-client.js';
import type { RegistryEvent } from './registry-event.js';
import { deleteManifest, pushBlob, pushImage, pushIndex, pushManifest, type PushTarget, LocalRegistry } from './local/index.js';
import {
  MemoryBackfillStore, MemoryCatalogue, MemoryExaminationStore, MemoryImageStore, MemoryRepositoryStore, sampleEvent, sampleImage,
} from './testing/index.js';

const NOW = new Date('2026-03-01T12:00:00.000Z');
const REPOSITORY = 'team/app';
const tagged = (tag: string): Reference => ({ kind: 'tag', tag });

class Heard extends ExaminedImages {
  readonly calls: string[] = [];
  /** For each image found, whether it could be seen already. */
  readonly seenBefore: boolean[] = [];
  failNext = false;

  async found({ repository, reference }: ExaminedReference): Promise<void> {
    // Every image that is found is heard of before anybody can see it, when it is new.
    this.seenBefore.push((await stores.images.resolve(repository, reference)) !== undefined);
  }

  async recorded({ reference, images }: ExaminedReference): Promise<void> {
    this.calls.push(`recorded ${reference.kind === 'tag' ? reference.tag : 'digest'} ${images.length}`);
    if (this.failNext) {
      this.failNext = false;
      throw new Error('crashed here');
    }
  }

  async removed(_repository: string, reference: Reference): Promise<void> {
    this.calls.push(`removed ${reference.kind === 'tag' ? reference.tag : 'digest'}`);
  }
}

let registry: LocalRegistry;
let client: RegistryClient;
let to: PushTarget;
let heard: Heard;
let stores: { repositories: MemoryRepositoryStore; backfills: MemoryBackfillStore; images: MemoryImageStore; examinations: MemoryExaminationStore };
let now: Date;

beforeEach(async () => {
  registry = await LocalRegistry.start();
  client = new RegistryClient({
    url: registry.url,
    credentials: { kind: 'anonymous' },
    clock: new SystemClock(),
    limits: { retry: { triesMax: 1, firstWaitMs: 1, waitMaxMs: 1, askedWaitMaxMs: 0 } },
  });
  to = { url: registry.url, repository: REPOSITORY };
  heard = new Heard();
  now = NOW;
  const catalogue = new MemoryCatalogue();
  stores = {
    repositories: new MemoryRepositoryStore(catalogue),
    backfills: new MemoryBackfillStore(catalogue),
    images: new MemoryImageStore(catalogue),
    examinations: new MemoryExaminationStore(catalogue),
  };
  await stores.repositories.enable(REPOSITORY, NOW);
});
afterEach(async () => {
  await client.close();
  await registry.stop();
});

const tools = (): Parameters<typeof examineReference>[0] => ({ ...stores, client, recorded: heard, platforms: DEFAULT_PLATFORMS, now: () => now });

/** Runs every open examination once, the most urgent first. */
async function runAll(): Promise<ExaminationOutcome['kind'][]> {
  const kinds: ExaminationOutcome['kind'][] = [];
  for (;;) {
    const [claimed] = await stores.examinations.claim({ owner: 'w', limit: 1, now, leaseMs: MINUTE_MS });
    if (claimed === undefined) return kinds;
    kinds.push((await examineReference(tools(), claimed)).kind);
    await stores.examinations.settle(claimed.claim.id, claimed.item.generation, now);
  }
}

const told = async (...events: Partial<RegistryEvent>[]): Promise<ExaminationOutcome['kind'][]> => {
  await stores.examinations.intake(events.map((event) => sampleEvent(event)), now);
  return runAll();
};

describe('an examination', () => {
  it('records a pushed image with its layers and diffIDs', async () => {
    const image = sampleImage(['a', 'b'], { createdAt: new Date('2025-05-05T00:00:00Z') });
    const pushed = await pushImage(to, 'v1', image);
    expect(await told({ tag: 'v1' })).toEqual(['recorded']);
    const resolved = await stores.images.resolve(REPOSITORY, tagged('v1'));
    const platform = { os: 'linux', architecture: 'amd64' };
    expect(resolved?.image).toMatchObject({ digest: pushed.digest, pushedAt: NOW, createdAt: image.createdAt, platform });
    expect(resolved?.image.layers).toEqual(
      image.layers.map(({ bytes, diffId, mediaType }) => ({ digest: digestOf(bytes), diffId, mediaType, sizeBytes: bytes.length })),
    );
    expect([heard.seenBefore, heard.calls]).toEqual([[false], ['recorded v1 1']]);
  });

  it('records an index with the images that the policy wants', async () => {
    const children = [];
    for (const architecture of ['amd64', 'arm64', 's390x']) {
      children.push(await pushImage(to, undefined, sampleImage([architecture], { platform: { os: 'linux', architecture } })));
    }
    await pushIndex(to, 'v1', children);
    expect(await told({ tag: 'v1' })).toEqual(['recorded']);
    const resolved = await stores.images.resolve(REPOSITORY, tagged('v1'));
    expect(resolved?.images.map(({ platform }) => platform?.architecture)).toEqual(['amd64', 'arm64']);
  });

  it('leaves out a child that the registry has lost, and keeps the others', async () => {
    const amd64 = await pushImage(to, undefined, sampleImage(['amd64']));
    const arm64 = await pushImage(to, undefined, sampleImage(['arm64'], { platform: { os: 'linux', architecture: 'arm64' } }));
    await pushIndex(to, 'v1', [amd64, arm64]);
    await deleteManifest(to, amd64.digest);
    expect(await told({ tag: 'v1' })).toEqual(['recorded']);
    expect((await stores.images.resolve(REPOSITORY, tagged('v1')))?.images.map(({ digest }) => digest)).toEqual([arm64.digest]);
  });

  it('does nothing for a repository that is not enabled', async () => {
    await pushImage(to, 'v1', sampleImage(['a']));
    await stores.repositories.disable(REPOSITORY, NOW);
    expect(await told({ tag: 'v1' })).toEqual(['repository-not-enabled']);
    expect(heard.calls).toEqual([]);
  });

  it('follows a tag that moved, however late and in which order the events come', async () => {
    await pushImage(to, 'v1', sampleImage(['old']));
    await told({ tag: 'v1' });
    const { digest } = await pushImage(to, 'v1', sampleImage(['new']));
    await told({ tag: 'v1', at: new Date('2020-01-01T00:00:00Z'), digest: digestOf('forged') }, { tag: 'v1' }, { tag: 'v1', action: 'delete' });
    expect((await stores.images.resolve(REPOSITORY, tagged('v1')))?.image.digest).toBe(digest);
    expect(await stores.images.list(REPOSITORY, { limit: 10 })).toHaveLength(2);
  });

  it('forgets what was deleted, and records it when it is pushed again', async () => {
    const image = await pushImage(to, 'v1', sampleImage(['a']));
    await told({ tag: 'v1' });
    await deleteManifest(to, image.digest);
    expect(await told({ action: 'delete', tag: undefined as never, digest: image.digest })).toEqual(['removed']);
    expect(await stores.images.resolve(REPOSITORY, tagged('v1'))).toBeUndefined();
    await pushImage(to, 'v1', sampleImage(['a']));
    // The deletion is told again, after the push.
    expect(await told({ tag: 'v1' }, { action: 'delete', tag: undefined as never, digest: image.digest })).toEqual(['recorded', 'recorded']);
    expect((await stores.images.resolve(REPOSITORY, tagged('v1')))?.image.digest).toBe(image.digest);
    await deleteManifest(to, 'v1');
    expect(await told({ action: 'delete', tag: 'v1' })).toEqual(['removed']);
    expect(await stores.images.resolve(REPOSITORY, { kind: 'digest', digest: image.digest })).toBeDefined();
  });

  it('forgets a tag that now names something that cannot be served', async () => {
    await pushImage(to, 'v1', sampleImage(['a']));
    await told({ tag: 'v1' });
    const config = await pushBlob(to, Buffer.from('{}'));
    const chart = { schemaVersion: 2, mediaType: 'application/vnd.oci.image.manifest.v1+json', layers: [] };
    await pushManifest(to, 'v1', { ...chart, config: { mediaType: 'application/vnd.cncf.helm.config.v1+json', digest: config, size: 2 } });
    expect(await told({ tag: 'v1' })).toEqual(['unusable']);
    expect(await stores.images.resolve(REPOSITORY, tagged('v1'))).toBeUndefined();
    await pushManifest(to, 'v2', { ...chart, config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: config, size: 2 } });
    await pushImage(to, 'v3', sampleImage(['a'], { platform: { os: 'windows', architecture: 'amd64' } }));
    expect(await told({ tag: 'v2' }, { tag: 'v3' })).toEqual(['unusable', 'unusable']);
  });

  it('that fails between recording and settling is repeated by another worker and ends the same', async () => {
    await pushImage(to, 'v1', sampleImage(['a']));
    await stores.examinations.intake([sampleEvent({ tag: 'v1' })], now);
    const [crashed] = await stores.examinations.claim({ owner: 'first', limit: 1, now, leaseMs: MINUTE_MS });
    heard.failNext = true;
    await expect(examineReference(tools(), crashed as never)).rejects.toThrow('crashed here');
    const before = await stores.images.list(REPOSITORY, { limit: 10 });
    now = new Date(NOW.getTime() + MINUTE_MS);
    expect(await runAll()).toEqual(['recorded']);
    expect(await stores.images.list(REPOSITORY, { limit: 10 })).toEqual(before);
    // The first worker wakes up: its claim is lost.
    expect(await examineReference(tools(), crashed as never)).toEqual({ kind: 'lost' });
    expect(heard.calls).toEqual(['recorded v1 1', 'recorded v1 1']);
  });

  it('changes nothing when the registry is down, or sends wrong bytes', async () => {
    await pushImage(to, 'v1', sampleImage(['a']));
    await told({ tag: 'v1' });
    registry.faults.add({ part: 'manifests' }, { kind: 'status', status: 503 });
    registry.faults.add({ part: 'blobs' }, { kind: 'wrong-byte', at: 3 });
    await stores.examinations.intake([sampleEvent({ tag: 'v1' })], now);
    const [claimed] = await stores.examinations.claim({ owner: 'w', limit: 1, now, leaseMs: MINUTE_MS });
    await expect(examineReference(tools(), claimed as never)).rejects.toMatchObject({ code: 'REGISTRY_UNAVAILABLE' });
    await expect(examineReference(tools(), claimed as never)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
    expect(await stores.images.resolve(REPOSITORY, tagged('v1'))).toBeDefined();
  });

  it('forgets nothing for a 404 that is not the registry’s own, such as that of a proxy while the registry restarts', async () => {
    await pushImage(to, 'v1', sampleImage(['a']));
    await told({ tag: 'v1' });
    registry.faults.add({ part: 'manifests' }, { kind: 'status', status: 404 });
    await stores.examinations.intake([sampleEvent({ tag: 'v1' })], now);
    const [claimed] = await stores.examinations.claim({ owner: 'w', limit: 1, now, leaseMs: MINUTE_MS });
    await expect(examineReference(tools(), claimed as never)).rejects.toMatchObject({ code: 'REGISTRY_UNAVAILABLE', transient: true });
    expect(await stores.images.resolve(REPOSITORY, tagged('v1'))).toBeDefined();
  });
});

describe('a backfill', () => {
  const backfill = async (): Promise<boolean> => {
    const [claimed] = await stores.backfills.claim({ owner: 'w', limit: 1, now, leaseMs: MINUTE_MS });
    return backfillRepository({ ...stores, client, platforms: DEFAULT_PLATFORMS, now: () => now }, claimed as never);
  };
  const progress = async (): Promise<unknown> => (await stores.repositories.get(REPOSITORY))?.backfill;

  it('examines the tags that are there, the newest image first, and shows its progress', async () => {
    const years = { a: 2021, b: 2025, c: 2023 };
    for (const [tag, year] of Object.entries(years)) await pushImage(to, tag, sampleImage([tag], { createdAt: new Date(Date.UTC(year, 1)) }));
    await pushImage(to, 'undated', sampleImage(['undated']));
    const child = await pushImage(to, undefined, sampleImage(['child'], { createdAt: new Date(Date.UTC(2024, 1)) }));
    await pushIndex(to, 'index', [child]);
    expect(await backfill()).toBe(true);
    expect(await progress()).toMatchObject({ state: 'examining', totalCount: 5, doneCount: 0 });
    expect(await runAll()).toHaveLength(5);
    expect(heard.calls.map((call) => call.split(' ')[1])).toEqual(['b', 'index', 'c', 'a', 'undated']);
    expect(await progress()).toMatchObject({ state: 'done', totalCount: 5, doneCount: 5 });
    expect((await stores.images.resolve(REPOSITORY, tagged('a')))?.image.pushedAt).toEqual(new Date(Date.UTC(2021, 1)));
  });

  it('finds out what vanished while the repository was not served', async () => {
    const image = await pushImage(to, 'v1', sampleImage(['a']));
    const untagged = await pushImage(to, undefined, sampleImage(['b']));
    await told({ tag: 'v1' }, { tag: undefined as never, digest: untagged.digest });
    await stores.repositories.disable(REPOSITORY, now);
    await deleteManifest(to, image.digest);
    await deleteManifest(to, untagged.digest);
    await stores.repositories.enable(REPOSITORY, now);
    expect(await backfill()).toBe(true);
    expect(await runAll()).toEqual(['removed', 'removed']);
    expect(await stores.images.resolve(REPOSITORY, tagged('v1'))).toBeUndefined();
  });

  it('of a repository that the registry does not know is done at once', async () => {
    expect(await backfill()).toBe(true);
    expect(await progress()).toMatchObject({ state: 'done', totalCount: 0 });
  });

  it('that fails in the middle has wanted nothing, and begins anew', async () => {
    await pushImage(to, 'v1', sampleImage(['a']));
    await pushImage(to, 'v2', sampleImage(['b']));
    registry.faults.add({ part: 'manifests', target: 'v2' }, { kind: 'status', status: 503 });
    await expect(backfill()).rejects.toMatchObject({ code: 'REGISTRY_UNAVAILABLE' });
    expect(await stores.examinations.openCount()).toBe(0);
    now = new Date(NOW.getTime() + MINUTE_MS);
    expect(await backfill()).toBe(true);
    expect(await runAll()).toEqual(['recorded', 'recorded']);
  });
});
