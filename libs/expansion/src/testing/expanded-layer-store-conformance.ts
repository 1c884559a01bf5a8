import { beforeEach, describe, expect, it } from 'vitest';

import { claimSourceConforms, workListConforms } from '#claims/testing';
import { type Digest, digestOf } from '#oci';

import type { ExpandedLayerStore, ReferenceGrace, WantedLayer } from '../expanded-layer-store.js';
import { MEDIA_TYPE_REFUSAL } from '../layer-media-types.js';
import { mergedViewsConform } from './merged-view-conformance.js';
import { expandedForm, wantedLayer, wantedView } from './sample-layers.js';

const NOW = new Date('2026-03-01T12:00:00.000Z');
const later = (ms: number): Date => new Date(NOW.getTime() + ms);
const GRACE_MS = 1000;
/** A grace that begins at an instant, and is over a second later. */
const graceSince = (began: Date): ReferenceGrace => ({ now: new Date(began.getTime() + GRACE_MS), graceMs: GRACE_MS });

/** What every store of expanded layers promises. `make` gives an empty one. */
export function expandedLayerStoreConforms(make: () => ExpandedLayerStore): void {
  let store: ExpandedLayerStore;
  beforeEach(() => {
    store = make();
  });
  const claimOne = async (now = NOW): Promise<string> => {
    const [claimed] = await store.claim({ owner: 'worker', limit: 1, now, leaseMs: 60_000 });
    expect(claimed).toBeDefined();
    return claimed!.claim.id;
  };
  const expandNow = async (layer: WantedLayer): Promise<void> => {
    await store.want([layer], NOW);
    expect(await store.complete(await claimOne(), expandedForm(layer), NOW)).toBe(true);
  };
  const stateOf = async (layer: WantedLayer): Promise<string | undefined> => (await store.find([layer.digest]))[0]?.state;

  const underTest = () => ({
    source: store,
    add: async (count: number) => {
      const layers = Array.from({ length: count }, (_, n) => wantedLayer(`layer ${n}`, { priority: count - n }));
      await store.want(layers, NOW);
      return layers.map((layer) => layer.digest);
    },
    nameOf: (layer: WantedLayer) => layer.digest,
    work: store.work,
    subject: { repository: wantedLayer('any').repository },
  });
  claimSourceConforms(underTest);
  workListConforms(underTest);

  describe('wanting layers', () => {
    it('creates each layer once, however often and in whatever order it is wanted', async () => {
      const [a, b] = [wantedLayer('a'), wantedLayer('b')];
      expect(await store.want([a, b, a], NOW)).toEqual(new Set([a.digest, b.digest]));
      expect(await store.want([b, a], later(1))).toEqual(new Set());
      expect(await store.want([], NOW)).toEqual(new Set());
      expect(await store.find([a.digest])).toEqual([{ ...a, state: 'wanted', wantedAt: NOW, readBytes: 0, attempts: 0 }]);
    });

    it('lets callers that name the same layers in other orders pass at the same time', async () => {
      const layers = Array.from({ length: 50 }, (_, n) => wantedLayer(`layer ${n}`));
      const created = await Promise.all([store.want(layers, NOW), store.want(layers.toReversed(), NOW), store.want(layers, NOW)]);
      expect(created.reduce((sum, digests) => sum + digests.size, 0)).toBe(50);
    });

    it('remembers the newest repository and the largest priority', async () => {
      const layer = wantedLayer('a', { priority: 5 });
      await store.want([layer], NOW);
      await store.want([{ ...layer, repository: 'team/other', priority: 2 }], later(1));
      expect(await store.find([layer.digest])).toMatchObject([{ repository: 'team/other', priority: 5 }]);
      await store.want([{ ...layer, priority: 9 }], later(2));
      expect(await store.find([layer.digest])).toMatchObject([{ repository: 'team/app', priority: 9 }]);
    });

    it('keeps a layer that is expanded or refused as it is', async () => {
      const [good, bad] = [wantedLayer('good'), wantedLayer('bad')];
      await expandNow(good);
      await store.want([bad], NOW);
      expect(await store.refuse(await claimOne(), { code: 'TAR_INVALID', message: 'an entry lies' })).toBe(true);
      await store.want([good, bad], later(1));
      expect([await stateOf(good), await stateOf(bad)]).toEqual(['expanded', 'refused']);
      expect((await store.work.list({ limit: 9 }, later(1))).entries).toEqual([]);
      expect(await store.refused.list({ limit: 9 }, later(1))).toMatchObject({ entries: [{ key: [bad.digest], standing: 'refused', lastError: 'TAR_INVALID: an entry lies', subject: { layer: bad.digest, repository: bad.repository } }] });
      expect(await store.refused.retry([bad.digest], later(1))).toBe('NOT_FAILED');
      expect(await store.claim({ owner: 'worker', limit: 5, now: later(1), leaseMs: 1 })).toEqual([]);
    });
  });

  describe('the media type that an image claims', () => {
    const foreign = (name: string, change: Partial<WantedLayer> = {}): WantedLayer =>
      wantedLayer(name, { mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip', ...change });

    it('keeps a layer from being read while no image claims one that is expanded', async () => {
      expect(await store.want([foreign('a')], NOW)).toEqual(new Set());
      expect(await store.claim({ owner: 'worker', limit: 5, now: NOW, leaseMs: 1 })).toEqual([]);
      expect(await store.find([foreign('a').digest])).toMatchObject([{ state: 'refused', refusal: { code: MEDIA_TYPE_REFUSAL } }]);
    });

    it('does not keep the layer from the images that claim a better one, whoever comes first', async () => {
      const [first, second, both] = ['first', 'second', 'both'].map((name) => wantedLayer(name, { repository: 'team/honest' })) as [WantedLayer, WantedLayer, WantedLayer];
      const lie = (layer: WantedLayer): WantedLayer => ({ ...layer, mediaType: 'application/x-lie', sizeBytes: 7, repository: 'team/liar', priority: 9 });
      await store.want([lie(second)], NOW);
      await store.markUnreferenced([second.digest], NOW);
      expect(await store.want([first, second, both, lie(both)], later(1))).toEqual(new Set([first.digest, second.digest, both.digest]));
      expect(await store.want([lie(first), lie(second), lie(both)], later(2))).toEqual(new Set());
      for (const layer of [first, second, both]) {
        expect(await store.find([layer.digest])).toEqual([{ ...layer, priority: 9, state: 'wanted', wantedAt: later(1), readBytes: 0, attempts: 0 }]);
      }
    });

    it('is tried again, once it is wanted again, after a refusal for bytes that were not its own', async () => {
      const layer = wantedLayer('a');
      await store.want([layer], NOW);
      await store.refuse(await claimOne(), { code: 'DIGEST_MISMATCH', message: 'these are not its bytes' });
      expect(await store.want([layer], later(1))).toEqual(new Set([layer.digest]));
      expect(await store.find([layer.digest])).toEqual([{ ...layer, state: 'wanted', wantedAt: later(1), readBytes: 0, attempts: 0 }]);
    });

    it('does not undo a refusal that comes from the bytes', async () => {
      const layer = wantedLayer('a');
      await store.want([layer], NOW);
      await store.refuse(await claimOne(), { code: 'LAYER_UNSUPPORTED', message: 'it is for Windows' });
      expect(await store.want([foreign('a'), layer], later(1))).toEqual(new Set());
      expect(await store.find([layer.digest])).toMatchObject([{ state: 'refused', refusal: { code: 'LAYER_UNSUPPORTED' } }]);
    });
  });

  describe('settling', () => {
    it('gives back the record of an expanded layer as it was told, holes included', async () => {
      const layer = wantedLayer('a');
      await expandNow(layer);
      expect(await store.find([layer.digest])).toEqual([
        { ...layer, state: 'expanded', wantedAt: NOW, readBytes: 1000, attempts: 1, expanded: expandedForm(layer), expandedAt: NOW },
      ]);
    });

    it('keeps the reason of a refusal', async () => {
      const layer = wantedLayer('a');
      await store.want([layer], NOW);
      await store.refuse(await claimOne(), { code: 'TOO_LARGE', message: 'it passes a limit' });
      expect(await store.find([layer.digest])).toMatchObject([{ state: 'refused', refusal: { code: 'TOO_LARGE', message: 'it passes a limit' } }]);
    });

    it('shows the progress of a running expansion, and why the last try failed', async () => {
      const layer = wantedLayer('a');
      await store.want([layer], NOW);
      const first = await claimOne();
      expect(await store.progress(first, 400)).toBe(true);
      expect(await store.find([layer.digest])).toMatchObject([{ state: 'expanding', readBytes: 400, attempts: 1 }]);
      await store.postpone(first, { now: NOW, waitMs: 10, reason: 'the registry is busy' });
      expect(await store.find([layer.digest])).toMatchObject([{ state: 'wanted', lastError: 'the registry is busy' }]);
      expect(await store.complete(await claimOne(later(10)), expandedForm(layer), later(10))).toBe(true);
      expect((await store.find([layer.digest]))[0]?.lastError).toBeUndefined();
    });

    it('changes nothing for a claim that was lost', async () => {
      const layer = wantedLayer('a');
      await store.want([layer], NOW);
      const lost = await claimOne();
      const held = await claimOne(later(60_000));
      expect(await store.progress(lost, 1)).toBe(false);
      expect(await store.complete(lost, expandedForm(layer), NOW)).toBe(false);
      expect(await store.refuse(lost, { code: 'X', message: 'x' })).toBe(false);
      expect(await stateOf(layer)).toBe('expanding');
      expect(await store.complete(held, expandedForm(layer), NOW)).toBe(true);
      expect(await store.complete(held, expandedForm(layer), NOW)).toBe(false);
    });
  });

  describe('merged views', () => mergedViewsConform(make));

  describe('the end of a layer', () => {
    it('wants an expanded layer again as if it were new, and no other', async () => {
      const layer = wantedLayer('a');
      await expandNow(layer);
      expect(await store.expandAgain(layer.digest, later(5))).toBe(true);
      expect(await store.expandAgain(layer.digest, later(6))).toBe(false);
      expect(await store.expandAgain(digestOf('unknown'), NOW)).toBe(false);
      expect(await store.find([layer.digest])).toEqual([{ ...layer, state: 'wanted', wantedAt: later(5), readBytes: 0, attempts: 0 }]);
      await claimOne(later(5));
    });

    it('remembers since when a layer is unreferenced, until it is referenced or wanted again', async () => {
      const [a, b] = [wantedLayer('a'), wantedLayer('b')];
      await store.want([a, b], NOW);
      await store.markUnreferenced([a.digest, b.digest, digestOf('unknown')], NOW);
      await store.markUnreferenced([a.digest, b.digest], later(50));
      const both: Digest[] = [a.digest, b.digest].toSorted();
      expect(await store.unreferencedFor(graceSince(later(-1)), undefined, 10)).toEqual([]);
      expect(await store.unreferencedFor(graceSince(NOW), undefined, 10)).toEqual(both);
      expect(await store.unreferencedFor(graceSince(NOW), undefined, 1)).toEqual(both.slice(0, 1));
      expect(await store.unreferencedFor(graceSince(NOW), both[0], 10)).toEqual(both.slice(1));
      expect(await store.referencedAfter(graceSince(later(-1)), undefined, 10)).toEqual(both);
      expect(await store.referencedAfter(graceSince(later(-1)), both[0], 10)).toEqual(both.slice(1));
      expect(await store.referencedAfter(graceSince(NOW), undefined, 10)).toEqual([]);
      await store.clearUnreferenced([a.digest]);
      await store.want([b], later(60));
      expect(await store.unreferencedFor(graceSince(later(100)), undefined, 10)).toEqual([]);
      expect(await store.referencedAfter(graceSince(later(100)), undefined, 1)).toEqual(both.slice(0, 1));
    });

    it('forgets only a layer that is unreferenced and that nobody works on', async () => {
      const layer = wantedLayer('a');
      await store.want([layer], NOW);
      expect(await store.forget(layer.digest)).toBe(false);
      await store.markUnreferenced([layer.digest], NOW);
      const held = await claimOne();
      expect(await store.forget(layer.digest)).toBe(false);
      await store.release(held);
      expect(await store.forget(layer.digest)).toBe(true);
      expect(await store.forget(layer.digest)).toBe(false);
      expect(await store.find([layer.digest])).toEqual([]);
    });
  });

  it('pages through all layers by digest', async () => {
    const layers = Array.from({ length: 5 }, (_, n) => wantedLayer(`layer ${n}`));
    await store.want(layers, NOW);
    const digests = layers.map((layer) => layer.digest).toSorted();
    const first = await store.page(undefined, 3);
    const rest = await store.page(first.at(-1)!.digest, 3);
    expect([...first, ...rest].map((record) => record.digest)).toEqual(digests);
  });

  it('pages through how far all layers are, as their records say it', async () => {
    await expandNow(wantedLayer('a'));
    await store.want([wantedLayer('b'), wantedView([wantedLayer('a'), wantedLayer('b')])], NOW);
    await claimOne();
    const records = await store.page(undefined, 10);
    const first = await store.standingsAfter(undefined, 2);
    const rest = await store.standingsAfter(first.at(-1)!.digest, 10);
    expect(records).toHaveLength(3);
    expect(records).toMatchObject([...first, ...rest]);
    const sizes = [...(await store.sizesAfter(undefined, 2)), ...(await store.sizesAfter(first.at(-1)!.digest, 10))];
    expect(sizes).toEqual(records.map(({ digest, state, expanded: file }) => ({ digest, state, ...(file === undefined ? {} : { sizeBytes: file.vhd.sizeBytes }) })));
    const expanded = [...first, ...rest].find(({ state }) => state === 'expanded')?.expanded;
    expect(expanded).toMatchObject({ diffId: expect.any(String), writerVersion: expect.any(Number), vhd: expect.any(Object), verity: expect.any(Object) });
  });

  it('counts the layers in each state', async () => {
    await expandNow(wantedLayer('a'));
    await store.want([wantedLayer('b'), wantedLayer('c')], NOW);
    await claimOne();
    expect(await store.countByState()).toEqual({ wanted: 1, expanding: 1, expanded: 1, refused: 0 });
  });
}
