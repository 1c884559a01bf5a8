import { beforeEach, describe, expect, it } from 'vitest';

import type { Claimed } from '#claims';
import { ManualClock } from '#clock/testing';
import type { Digest } from '#oci';
import { LAYER_FILE_VERSION } from '#shares';
import { MemoryShare } from '#shares/testing';

import { HomeReplicas } from './expand-wanted-layer.js';
import { expandWantedView, isWantedView, type ViewExpansionPorts, type WantedView } from './expand-wanted-view.js';
import type { WantedLayer } from './expanded-layer-store.js';
import { ExpansionError } from './expansion-error.js';
import { expandedForm, wantedLayer, wantedView } from './testing/sample-layers.js';
import { MemoryExpandedLayerStore } from './testing/memory-expanded-layer-store.js';

class RecordedReplicas extends HomeReplicas {
  readonly rows = new Map<string, number>();

  async ready(layer: Digest, share: string, sizeBytes: number): Promise<void> {
    this.rows.set(`${layer} ${share}`, sizeBytes);
  }
}

const [low, high] = [wantedLayer('low'), wantedLayer('high')];
const view = wantedView([low, high, low]);
let clock: ManualClock;
let store: MemoryExpandedLayerStore;
let replicas: RecordedReplicas;
let room: number[];

const expandsWell: ViewExpansionPorts['expand'] = () => Promise.resolve({ ...expandedForm(view), diffId: view.digest });

beforeEach(async () => {
  clock = new ManualClock();
  store = new MemoryExpandedLayerStore();
  replicas = new RecordedReplicas();
  room = [];
  await store.want([low, high, view], clock.now());
});

async function claimed(): Promise<Claimed<WantedLayer>> {
  const [one] = await store.claim({ owner: 'worker', limit: 1, now: clock.now(), leaseMs: 60_000 });
  return one!;
}

async function claimedView(): Promise<Claimed<WantedView>> {
  const work = await claimed();
  if (!isWantedView(work)) throw new Error('it is a layer');
  return work;
}

async function expandLayers(): Promise<void> {
  for (let left = 2; left > 0; left -= 1) {
    const { item, claim } = await claimed();
    await store.complete(claim.id, expandedForm(item), clock.now());
  }
}

async function run(expand: ViewExpansionPorts['expand'], work?: Claimed<WantedView>): Promise<void> {
  const ensureRoom = (likelyBytes: number): Promise<void> => Promise.resolve(void room.push(likelyBytes));
  await expandWantedView({ store, replicas, expand, homeShare: new MemoryShare({ name: 'home' }), clock, ensureRoom }, work ?? (await claimedView()), new AbortController().signal);
}

const record = async (): Promise<unknown> => (await store.find([view.digest]))[0];

describe('a merged view that is wanted', () => {
  it('is made of its layers as they are recorded, in their order and repeats kept, noted at home, and settled', async () => {
    await expandLayers();
    const seen: unknown[] = [];
    await run((expansion) => {
      seen.push(expansion.view, expansion.layers.map((layer) => layer.digest));
      return expandsWell(expansion);
    });
    expect(seen).toEqual([view.digest, view.stacks]);
    expect(replicas.rows).toEqual(new Map([[`${view.digest} home`, expandedForm(view).vhd.sizeBytes]]));
    expect(await record()).toMatchObject({ state: 'expanded', expanded: { digest: view.digest, diffId: view.digest } });
  });

  it('is begun only when the home share has room for what the names of its layers take, each layer counted once', async () => {
    await expandLayers();
    await run(expandsWell);
    expect(room).toEqual([65_536 + 2 * 17 * 192]);
  });

  it.each<[string, () => Promise<void>]>([
    ['refused', async () => {
      const { claim } = await claimed();
      await store.refuse(claim.id, { code: 'TAR_INVALID', message: 'it lies' });
      await store.complete((await claimed()).claim.id, expandedForm(low), clock.now());
    }],
    ['not known', async () => {
      await expandLayers();
      await store.markUnreferenced([low.digest], clock.now());
      await store.forget(low.digest);
    }],
    ['expanded in a file of an older version', async () => {
      for (let left = 2; left > 0; left -= 1) {
        const { item, claim } = await claimed();
        await store.complete(claim.id, { ...expandedForm(item), writerVersion: item.digest === high.digest ? LAYER_FILE_VERSION : LAYER_FILE_VERSION - 1 }, clock.now());
      }
    }],
  ])('is refused for the time being when a layer is %s, without being made', async (_, spoil) => {
    await spoil();
    await run(() => Promise.reject(new Error('it is not to be made')));
    expect(await record()).toMatchObject({ state: 'refused', refusal: { code: 'VIEW_LAYER_MISSING' } });
    expect(room).toEqual([]);
  });

  it('is made once its layer of an older version is expanded again, and an image names it', async () => {
    for (let left = 2; left > 0; left -= 1) {
      const { item, claim } = await claimed();
      await store.complete(claim.id, { ...expandedForm(item), writerVersion: LAYER_FILE_VERSION - 1 }, clock.now());
    }
    await run(() => Promise.reject(new Error('it is not to be made')));
    for (const layer of [low, high]) await store.expandAgain(layer.digest, clock.now());
    await expandLayers();
    expect(await store.want([low, high, view], clock.now())).toEqual(new Set([view.digest]));
    await run(expandsWell);
    expect(await record()).toMatchObject({ state: 'expanded' });
  });

  it('is given back when a layer is expanded anew meanwhile, before it is made and after', async () => {
    await expandLayers();
    const work = await claimedView();
    await store.expandAgain(low.digest, clock.now());
    await run(() => Promise.reject(new Error('it is not to be made')), work);
    expect(await record()).toMatchObject({ state: 'wanted', attempts: 0 });
    await store.complete((await claimed()).claim.id, expandedForm(low), clock.now());
    await run(async (expansion) => {
      await store.expandAgain(high.digest, clock.now());
      return expandsWell(expansion);
    });
    expect(await record()).toMatchObject({ state: 'wanted', attempts: 0 });
    expect(replicas.rows.size).toBe(0);
  });

  it('is tried again after a failure that passes, and refused for good after one that does not', async () => {
    await expandLayers();
    const work = await claimedView();
    const damaged = new ExpansionError('LAYER_FILE_INVALID', 'a file is damaged', { transient: true });
    await expect(run(() => Promise.reject(damaged), work)).rejects.toBe(damaged);
    await store.release(work.claim.id);
    await run(() => Promise.reject(new ExpansionError('TOO_LARGE', 'it passes a limit')));
    expect(await record()).toMatchObject({ state: 'refused', refusal: { code: 'TOO_LARGE' } });
  });

  it('records nothing under a claim that was lost', async () => {
    await expandLayers();
    const stale = await claimedView();
    await clock.advance(60_000);
    await run(expandsWell);
    replicas.rows.clear();
    await run(expandsWell, stale);
    expect(replicas.rows.size).toBe(0);
    expect(await record()).toMatchObject({ state: 'expanded' });
  });

  it('is no layer to those who expand layers', async () => {
    expect(isWantedView(await claimed())).toBe(false);
  });
});
