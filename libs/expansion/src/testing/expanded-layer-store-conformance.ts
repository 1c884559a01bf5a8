import { beforeEach, describe, expect, it } from 'vitest';

import { claimSourceConforms } from '#claims/testing';
import { type Digest, digestOf } from '#oci';
import { LAYER_FILE_VERSION } from '#shares';

import type { ExpandedLayer } from '../expanded-layer.js';
import type { ExpandedLayerStore, WantedLayer } from '../expanded-layer-store.js';
import { MEDIA_TYPE_REFUSAL, VIEW_LAYER_REFUSAL } from '../layer-media-types.js';
import { MERGED_VIEW_MEDIA_TYPE, mergedViewDigest } from '../merged-view-digest.js';

const NOW = new Date('2026-03-01T12:00:00.000Z');
const later = (ms: number): Date => new Date(NOW.getTime() + ms);

/** A layer named `name` that is wanted from `team/app`. */
export function wantedLayer(name: string, change: Partial<WantedLayer> = {}): WantedLayer {
  return {
    digest: digestOf(name),
    mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
    sizeBytes: 1000,
    repository: 'team/app',
    priority: 1,
    ...change,
  };
}

/** The merged view of an image of these layers, wanted from `team/app`. */
export function wantedView(layers: readonly WantedLayer[], change: Partial<WantedLayer> = {}): WantedLayer {
  const stacks = layers.map((layer) => layer.digest);
  const digest = mergedViewDigest(stacks);
  if (digest === undefined) throw new Error('an image of one layer has no view');
  return { digest, mediaType: MERGED_VIEW_MEDIA_TYPE, sizeBytes: 0, repository: 'team/app', priority: 0, stacks, ...change };
}

/** What an expansion of `layer` may give: two pieces of data around a hole. */
export function expandedForm(layer: WantedLayer): ExpandedLayer {
  return {
    digest: layer.digest,
    diffId: digestOf(`${layer.digest}, uncompressed`),
    writerVersion: LAYER_FILE_VERSION,
    vhd: { digest: digestOf(`${layer.digest}, expanded`), sizeBytes: 3 * 4 * 1024 * 1024 - 512 },
    verity: { rootHash: digestOf(`${layer.digest}, hashed`).slice('sha256:'.length), hashOffset: 2 * 4 * 1024 * 1024 },
    pieceCrc64s: ['u661BimQ84c=', null, 'AAAAAAAAAAA='],
    dataBytes: 2 * 4 * 1024 * 1024 - 512,
    entryCount: 17,
  };
}

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

  claimSourceConforms(() => ({
    source: store,
    add: async (count: number) => {
      const layers = Array.from({ length: count }, (_, n) => wantedLayer(`layer ${n}`, { priority: count - n }));
      await store.want(layers, NOW);
      return layers.map((layer) => layer.digest);
    },
    nameOf: (layer: WantedLayer) => layer.digest,
  }));

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
      await store.postpone(first, later(10), 'the registry is busy');
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

  describe('merged views', () => {
    const [low, high] = [wantedLayer('low'), wantedLayer('high')];
    const view = wantedView([low, high, low]);
    const claimAll = (now = NOW) => store.claim({ owner: 'worker', limit: 10, now, leaseMs: 60_000 });
    const wantedNames = async (now = NOW): Promise<Digest[]> => (await claimAll(now)).map(({ item }) => item.digest).toSorted();

    it('are given to workers when none of their layers is under way any more, with all that they stack', async () => {
      expect(await store.want([view, low, high], NOW)).toEqual(new Set([view, low, high].map((each) => each.digest)));
      const [one, other] = await claimAll();
      expect([one!, other!].map((claimed) => claimed.item.digest).toSorted()).toEqual([low.digest, high.digest].toSorted());
      expect(await wantedNames()).toEqual([]);
      await store.complete(one!.claim.id, expandedForm(one!.item), NOW);
      expect(await wantedNames()).toEqual([]);
      await store.postpone(other!.claim.id, later(10), 'busy');
      expect(await wantedNames()).toEqual([]);
      const [again] = await claimAll(later(10));
      await store.complete(again!.claim.id, expandedForm(again!.item), later(10));
      expect((await claimAll(later(10))).map(({ item }) => item)).toEqual([view]);
    });

    it('keep nothing else waiting, however many of them wait, and are found at once when their layers are there', async () => {
      const views = Array.from({ length: 250 }, (_, n) => wantedView([low, wantedLayer(`layer ${n}`)], { priority: 9 }));
      await store.want([low, ...views.slice(0, 249), { ...view, priority: 9 }, high], NOW);
      const all = await claimAll();
      expect(all.map(({ item }) => item.digest).toSorted()).toEqual([low.digest, high.digest].toSorted());
      for (const { item, claim } of all) await store.complete(claim.id, expandedForm(item), NOW);
      expect((await store.claim({ owner: 'worker', limit: 300, now: NOW, leaseMs: 60_000 })).map(({ item }) => item.digest)).toContain(view.digest);
    });

    it('are expanded, read and wanted again like layers', async () => {
      await expandNow(low);
      await expandNow(high);
      await expandNow(view);
      expect(await store.find([view.digest])).toEqual([
        { ...view, state: 'expanded', wantedAt: NOW, readBytes: 0, attempts: 1, expanded: expandedForm(view), expandedAt: NOW },
      ]);
      expect(await store.want([low, high, view], later(1))).toEqual(new Set());
      expect(await store.expandAgain(view.digest, later(2))).toBe(true);
      expect((await claimAll(later(2))).map(({ item }) => item)).toEqual([view]);
    });

    it('are given to workers also when a layer is refused or unknown: to be refused', async () => {
      await store.want([low, view], NOW);
      await store.refuse(await claimOne(), { code: 'TAR_INVALID', message: 'x' });
      expect(await wantedNames()).toEqual([view.digest]);
    });

    it('stay refused while a layer is missing, and are wanted again when an image names them and all are good', async () => {
      const foreign = { ...high, mediaType: 'application/x-foreign' };
      await expandNow(low);
      await store.want([foreign, view], NOW);
      await store.refuse(await claimOne(), { code: VIEW_LAYER_REFUSAL, message: 'a layer is refused' });
      expect(await store.want([low, foreign, view], later(1))).toEqual(new Set());
      expect(await store.find([view.digest])).toMatchObject([{ state: 'refused', refusal: { code: VIEW_LAYER_REFUSAL } }]);
      expect(await store.want([low, high, view], later(2))).toEqual(new Set([high.digest, view.digest]));
      expect(await store.find([view.digest])).toEqual([{ ...view, state: 'wanted', wantedAt: later(2), readBytes: 0, attempts: 0 }]);
      expect(await wantedNames(later(2))).toEqual([high.digest]);
    });

    it('stay views when an image names their digest as a layer', async () => {
      const lie = wantedLayer('lie', { digest: view.digest, repository: 'team/liar', priority: 1000 });
      await store.want([view], NOW);
      await store.markUnreferenced([view.digest], NOW);
      expect(await store.want([lie], later(1))).toEqual(new Set());
      expect(await store.find([view.digest])).toMatchObject([{ ...view, unreferencedSince: NOW }]);
    });

    it('become views when an image named their digest as a layer before', async () => {
      const lie = wantedLayer('lie', { digest: view.digest, repository: 'team/liar' });
      await expandNow(low);
      await expandNow(high);
      await store.want([lie], NOW);
      expect(await store.want([view], later(1))).toEqual(new Set([view.digest]));
      expect(await store.find([view.digest])).toMatchObject([{ stacks: view.stacks, mediaType: view.mediaType, repository: 'team/app' }]);
      await store.refuse(await claimOne(later(1)), { code: 'TAR_INVALID', message: 'it is no tar' });
      expect(await store.want([lie], later(2))).toEqual(new Set());
    });

    it('are made again when a layer whose file was of an older version is expanded again', async () => {
      const old = wantedLayer('old');
      const viewOfOld = wantedView([old, low]);
      await store.want([old], NOW);
      await store.complete(await claimOne(), { ...expandedForm(old), writerVersion: 1 }, NOW);
      await expandNow(low);
      await expandNow(viewOfOld);
      await store.expandAgain(low.digest, NOW);
      expect(await stateOf(viewOfOld)).toBe('expanded');
      await store.expandAgain(old.digest, NOW);
      expect([await stateOf(old), await stateOf(viewOfOld)]).toEqual(['wanted', 'wanted']);
    });

    it('are not settled as made when a layer whose file was of an older version is expanded again meanwhile', async () => {
      const old = wantedLayer('old');
      const viewOfOld = wantedView([old, low]);
      await store.want([old], NOW);
      await store.complete(await claimOne(), { ...expandedForm(old), writerVersion: 1 }, NOW);
      await expandNow(low);
      await store.want([viewOfOld], NOW);
      const making = await claimOne();
      await store.expandAgain(old.digest, NOW);
      expect(await store.progress(making, 0)).toBe(false);
      expect(await store.complete(making, expandedForm(viewOfOld), NOW)).toBe(false);
      await store.complete(await claimOne(), expandedForm(old), NOW);
      expect((await claimAll()).map(({ item }) => item.digest)).toEqual([viewOfOld.digest]);
    });

    it('cannot be claimed to be by an image: their media type is none that is expanded', async () => {
      const claimed = wantedLayer('claimed', { mediaType: MERGED_VIEW_MEDIA_TYPE });
      expect(await store.want([claimed], NOW)).toEqual(new Set());
      expect(await store.find([claimed.digest])).toMatchObject([{ state: 'refused', refusal: { code: MEDIA_TYPE_REFUSAL } }]);
    });
  });

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
      expect(await store.unreferencedSince(later(-1), undefined, 10)).toEqual([]);
      expect(await store.unreferencedSince(NOW, undefined, 10)).toEqual(both);
      expect(await store.unreferencedSince(NOW, undefined, 1)).toEqual(both.slice(0, 1));
      expect(await store.unreferencedSince(NOW, both[0], 10)).toEqual(both.slice(1));
      await store.clearUnreferenced([a.digest]);
      await store.want([b], later(60));
      expect(await store.unreferencedSince(later(100), undefined, 10)).toEqual([]);
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

  it('counts the layers in each state', async () => {
    await expandNow(wantedLayer('a'));
    await store.want([wantedLayer('b'), wantedLayer('c')], NOW);
    await claimOne();
    expect(await store.countByState()).toEqual({ wanted: 1, expanding: 1, expanded: 1, refused: 0 });
  });
}
