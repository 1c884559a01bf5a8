import { beforeEach, describe, expect, it } from 'vitest';

import { ManualClock } from '#clock/testing';
import { type LayerStanding, mergedViewDigest } from '#expansion';
import { expandedForm, MemoryExpandedLayerStore, wantedLayer, wantedView } from '#expansion/testing';
import type { MapKey, MapRow, MapTopic } from '#mounts';
import { type Digest, digestOf } from '#oci';
import { MemoryCatalogue, MemoryCatalogueReader, MemoryImageStore, MemoryRepositoryStore, sampleIndex, sampleRecord } from '#registry/testing';
import { MemoryReplicaStore, replicaOrder } from '#replication/testing';

import { PAGE_RETRIES, StoredMapSource } from './stored-map-source.js';

const NOW = new Date('2026-03-01T12:00:00.000Z');
const freely = { now: NOW, claimId: undefined };

/** A feed of which nobody tells anything: what follows it is the database room's own matter. */
const quietFeed = {
  end: () => Promise.resolve({ transaction: '7', sequence: '0' }),
  readAfter: (position: { transaction: string; sequence: string }) => Promise.resolve({ changes: [], position, gap: false, heldBackSince: undefined }),
};

let clock: ManualClock;
let catalogue: MemoryCatalogue;
let images: MemoryImageStore;
let layers: MemoryExpandedLayerStore;
let replicas: MemoryReplicaStore;
/** Heard a moment ago. */
const entry = { ensure: async () => undefined };
let source: StoredMapSource;
beforeEach(() => {
  clock = new ManualClock();
  catalogue = new MemoryCatalogue();
  images = new MemoryImageStore(catalogue);
  layers = new MemoryExpandedLayerStore();
  replicas = new MemoryReplicaStore();
  source = new StoredMapSource({ feed: quietFeed, catalogue: new MemoryCatalogueReader(catalogue), layers, replicas, entry, clock });
});

async function loaded(topic: MapTopic): Promise<MapRow[]> {
  const rows: MapRow[] = [];
  for await (const page of source.load(topic)) rows.push(...page.flatMap((row): MapRow[] => (row.topic === 'replicas' ? row.replicas.map((replica) => ({ topic: 'replica', layer: row.layer, ...replica })) : [row])));
  return rows;
}

/** A topic's rows, whole and by their keys, which must be the same. */
async function rowsOf(topic: MapTopic, keys: readonly MapKey[]): Promise<MapRow[]> {
  const [all, named] = [await loaded(topic), await source.read(topic, keys)];
  const sorted = (rows: readonly MapRow[]): MapRow[] => rows.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  expect(sorted(named)).toEqual(sorted(all));
  return sorted(all);
}

/** Brings a layer into a state. */
async function layerIn(state: 'wanted' | 'expanding' | 'expanded' | 'refused'): Promise<Digest> {
  const layer = wantedLayer(state);
  await layers.want([layer], NOW);
  if (state === 'wanted') return layer.digest;
  const [claimed] = await layers.claim({ owner: 'w', limit: 1, now: NOW, leaseMs: 60_000 });
  if (state === 'expanding') await layers.progress(claimed!.claim.id, 300);
  if (state === 'expanded') await layers.complete(claimed!.claim.id, expandedForm(layer), NOW);
  if (state === 'refused') await layers.refuse(claimed!.claim.id, { code: 'TAR_INVALID', message: 'it lies' });
  return layer.digest;
}

/** A source of three pages of layers that fails so many times from that call on. */
async function failingFrom(call: number, times: number): Promise<{ readonly asked: (string | undefined)[]; readonly heard: string[]; readonly failing: StoredMapSource }> {
  await layers.want(Array.from({ length: 2001 }, (_, n) => wantedLayer(`layer ${n}`)), NOW);
  const [asked, heard]: [(string | undefined)[], string[]] = [[], []];
  class Failing extends MemoryExpandedLayerStore {
    override async standingsAfter(after: Digest | undefined, limit: number): Promise<LayerStanding[]> {
      asked.push(after);
      if (asked.length >= call && asked.length < call + times) throw new Error('the connection is gone');
      return layers.standingsAfter(after, limit);
    }
  }
  const onPageFailed = (topic: MapTopic, error: unknown): void => void heard.push(`${topic}: ${(error as Error).message}`);
  const failing = new StoredMapSource({ feed: quietFeed, catalogue: new MemoryCatalogueReader(catalogue), layers: new Failing(), replicas, entry, clock, onPageFailed });
  return { asked, heard, failing };
}

/** Moves the clock until that page was read, or given up. */
async function untilRead(page: Promise<unknown>): Promise<void> {
  let isSettled = false;
  const settle = (): void => void (isSettled = true);
  page.then(settle, settle);
  for (; !isSettled; await new Promise((resolve) => setImmediate(resolve))) await clock.advance(1000);
}

describe('the rows of the lookup map', () => {
  it('tell which repositories are served', async () => {
    const repositories = new MemoryRepositoryStore(catalogue);
    await repositories.enable('team/app', NOW);
    await repositories.enable('team/off', NOW);
    await repositories.disable('team/off', NOW);
    expect(await rowsOf('repository', [['team/app'], ['team/off'], ['team/nobody']])).toEqual([
      { topic: 'repository', name: 'team/app', enabled: true }, { topic: 'repository', name: 'team/off', enabled: false },
    ]);
  });

  it('tell tags, and images and indexes with what they consist of', async () => {
    const child = { ...sampleRecord('child', ['base', 'top']), platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } };
    const index = sampleIndex('index', [child]);
    await images.record({ repository: 'team/app', image: index, children: [child], tag: 'v1' }, freely);
    expect(await rowsOf('tag', [['team/app', 'v1'], ['team/app', 'v2']])).toEqual([{ topic: 'tag', repository: 'team/app', tag: 'v1', digest: index.digest }]);
    const rows = await rowsOf('image', [['team/app', child.digest], ['team/app', index.digest], ['team/other', child.digest]]);
    expect(rows).toHaveLength(2);
    expect(rows).toContainEqual({
      topic: 'image', repository: 'team/app', digest: child.digest,
      content: {
        kind: 'image', layers: child.layers.map(({ digest, diffId, sizeBytes }) => ({ digest, diffId, sizeBytes })),
        view: mergedViewDigest(child.layers.map(({ digest }) => digest)),
      },
    });
    expect(rows).toContainEqual({ topic: 'image', repository: 'team/app', digest: index.digest, content: { kind: 'index', children: index.children } });
  });

  it('tell how far each layer is, with the diffID that its bytes have', async () => {
    const expanding = await layerIn('expanding');
    const expanded = await layerIn('expanded');
    const refused = await layerIn('refused');
    const waiting = await layerIn('wanted');
    const record = expandedForm(wantedLayer('expanded'));
    const rows = await rowsOf('layer', [[expanding], [expanded], [refused], [waiting], [digestOf('unknown')]]);
    expect(rows).toHaveLength(4);
    expect(rows).toEqual(expect.arrayContaining([
      { topic: 'layer', digest: expanding, state: 'expanding', since: NOW, doneBytes: 300 },
      { topic: 'layer', digest: expanded, state: 'expanded', diffId: record.diffId, writerVersion: record.writerVersion, vhd: record.vhd, verity: record.verity },
      { topic: 'layer', digest: refused, state: 'refused', refusal: 'TAR_INVALID' },
      { topic: 'layer', digest: waiting, state: 'wanted', since: NOW },
    ]));
  });

  it('tell a merged view like a layer, but without a diffID: no image has it as one', async () => {
    const view = wantedView([wantedLayer('low'), wantedLayer('high')]);
    await layers.want([view], NOW);
    const [claimed] = await layers.claim({ owner: 'w', limit: 1, now: NOW, leaseMs: 60_000 });
    const { diffId: _, vhd, writerVersion, verity } = expandedForm(view);
    await layers.complete(claimed!.claim.id, { ...expandedForm(view), diffId: view.digest }, NOW);
    expect(await rowsOf('layer', [[view.digest]])).toEqual([{ topic: 'layer', digest: view.digest, state: 'expanded', diffId: undefined, vhd, writerVersion, verity }]);
  });

  it('tell replicas by layer and share, and none that was not asked for', async () => {
    const [a, b] = [replicaOrder('a'), replicaOrder('b')];
    for (const share of ['east', 'asia']) await replicas.want({ name: share, capacityBytes: 2 ** 40 }, [a, b], NOW);
    await replicas.recordReady({ layer: a.layer, share: 'home', sizeBytes: 512, reason: 'expanded here' }, NOW);
    const all = [a, b].flatMap(({ layer }) => ['east', 'asia', 'home'].map((share) => [layer, share]));
    expect(await rowsOf('replica', all)).toHaveLength(5);
    expect(await source.read('replica', [[a.layer, 'home'], [b.layer, 'home']])).toEqual([{ topic: 'replica', layer: a.layer, share: 'home', state: 'ready' }]);
  });

  it('come in pages until the last one', async () => {
    await layers.want(Array.from({ length: 2001 }, (_, n) => wantedLayer(`layer ${n}`)), NOW);
    const pages: number[] = [];
    for await (const page of source.load('layer')) pages.push(page.length);
    expect(pages).toEqual([1000, 1000, 1]);
  });

  it('are read ahead by one page, and a page that fails is read again by itself', async () => {
    const { asked, failing, heard } = await failingFrom(2, 2);
    const all = failing.load('layer')[Symbol.asyncIterator]();
    expect((await all.next()).value).toHaveLength(1000);
    expect(asked).toHaveLength(2);
    const second = all.next();
    await untilRead(second);
    expect((await second).value).toHaveLength(1000);
    expect([(await all.next()).value?.length, (await all.next()).done]).toEqual([1, true]);
    // The first page once, the second until it came, and after the third the empty one that ends the list.
    expect(asked).toEqual([asked[0], asked[1], asked[1], asked[1], asked[4], asked[5]]);
    expect(new Set(asked).size).toBe(4);
    expect(heard).toEqual(['layer: the connection is gone', 'layer: the connection is gone']);
  });

  it('are given up when a page fails again and again, which is told to whoever comes to it', async () => {
    const { asked, failing } = await failingFrom(2, Number.POSITIVE_INFINITY);
    const all = failing.load('layer')[Symbol.asyncIterator]();
    expect((await all.next()).value).toHaveLength(1000);
    const second = all.next();
    second.catch(() => undefined);
    await untilRead(second);
    await expect(second).rejects.toThrow('the connection is gone');
    expect(asked).toHaveLength(1 + PAGE_RETRIES.triesMax);
  });

  it('are not read again for somebody who has gone', async () => {
    const { asked, failing } = await failingFrom(2, Number.POSITIVE_INFINITY);
    for await (const _ of failing.load('layer')) break;
    await clock.advance(60_000);
    expect(asked).toHaveLength(2);
    expect(clock.sleeperCount).toBe(0);
  });

  it('are followed from the feed’s own places', async () => {
    expect(await source.position()).toEqual({ transaction: '7', sequence: '0' });
    expect(await source.changesAfter({ transaction: '7', sequence: '0' }, 10)).toMatchObject({ changes: [], gap: false, position: { transaction: '7', sequence: '0' } });
  });

  it('are not told while the process cannot say that it answers', async () => {
    const unheard = new StoredMapSource({ feed: quietFeed, catalogue: new MemoryCatalogueReader(catalogue), layers, replicas, clock, entry: { ensure: async () => Promise.reject(new Error('nobody hears')) } });
    await expect(unheard.position()).rejects.toThrow('nobody hears');
    await expect(unheard.changesAfter({ transaction: '7', sequence: '0' }, 10)).rejects.toThrow('nobody hears');
  });
});
