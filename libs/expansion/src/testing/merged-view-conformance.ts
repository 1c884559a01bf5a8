import { beforeEach, expect, it } from 'vitest';

import type { WorkEntry } from '#claims';
import type { Digest } from '#oci';

import type { ExpandedLayerStore, WantedLayer } from '../expanded-layer-store.js';
import { MEDIA_TYPE_REFUSAL, VIEW_LAYER_REFUSAL } from '../layer-media-types.js';
import { MERGED_VIEW_MEDIA_TYPE } from '../merged-view-digest.js';
import { expandedForm, wantedLayer, wantedView } from './sample-layers.js';

const NOW = new Date('2026-03-01T12:00:00.000Z');
const later = (ms: number): Date => new Date(NOW.getTime() + ms);

/** What every store of expanded layers promises of merged views. `make` gives an empty one. */
export function mergedViewsConform(make: () => ExpandedLayerStore): void {
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
  const [low, high] = [wantedLayer('low'), wantedLayer('high')];
  const view = wantedView([low, high, low]);
  const claimAll = (now = NOW) => store.claim({ owner: 'worker', limit: 10, now, leaseMs: 60_000 });
  const wantedNames = async (now = NOW): Promise<Digest[]> => (await claimAll(now)).map(({ item }) => item.digest).toSorted();

  it('are given to workers when none of their layers is under way any more, with all that they stack', async () => {
    expect(await store.want([view, low, high], NOW)).toEqual(new Set([view, low, high].map((each) => each.digest)));
    const listedView = async (): Promise<WorkEntry | undefined> => (await store.work.list({ limit: 9, filter: { layer: view.digest } }, NOW)).entries[0];
    expect(await listedView()).toMatchObject({ standing: 'blocked', blockedBy: 'LAYERS_WANTED', subject: { layer: view.digest, isView: true } });
    const [one, other] = await claimAll();
    expect([one!, other!].map((claimed) => claimed.item.digest).toSorted()).toEqual([low.digest, high.digest].toSorted());
    expect(await wantedNames()).toEqual([]);
    await store.complete(one!.claim.id, expandedForm(one!.item), NOW);
    expect(await wantedNames()).toEqual([]);
    await store.postpone(other!.claim.id, { now: NOW, waitMs: 10, reason: 'busy' });
    expect(await wantedNames()).toEqual([]);
    const [again] = await claimAll(later(10));
    await store.complete(again!.claim.id, expandedForm(again!.item), later(10));
    expect(await listedView()).toMatchObject({ standing: 'due' });
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

  it('become views also while a worker reads their digest as a layer, who then has nothing to settle', async () => {
    const lie = wantedLayer('lie', { digest: view.digest, repository: 'team/liar' });
    await expandNow(low);
    await expandNow(high);
    await store.want([lie], NOW);
    const reading = await claimOne();
    expect(await store.want([view], later(1))).toEqual(new Set([view.digest]));
    expect(await store.refuse(reading, { code: 'TAR_INVALID', message: 'it is no tar' })).toBe(false);
    expect(await store.find([view.digest])).toEqual([{ ...view, priority: 1, state: 'wanted', wantedAt: later(1), readBytes: 0, attempts: 0 }]);
    const [making] = await claimAll(later(1));
    expect(await store.want([view], later(2))).toEqual(new Set());
    expect(await store.complete(making!.claim.id, expandedForm(view), later(2))).toBe(true);
  });

  it('are found at once also when a worker left one, and a layer of it was expanded again before anybody took it over', async () => {
    await expandNow(low);
    await expandNow(high);
    await store.want([view], NOW);
    await claimOne();
    await store.expandAgain(low.digest, NOW);
    const [again, ...others] = await claimAll(later(60_000));
    expect([again!.item.digest, others]).toEqual([low.digest, []]);
    await store.complete(again!.claim.id, expandedForm(low), later(60_000));
    expect((await claimAll(later(60_000))).map(({ item }) => item.digest)).toEqual([view.digest]);
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
}
