import { beforeEach, expect, it } from 'vitest';

import type { Claimed } from '#claims';
import { ManualClock } from '#clock/testing';
import { type Digest, OciError } from '#oci';
import { LAYER_FILE_VERSION, layerFilePath } from '#shares';
import { MemoryShare } from '#shares/testing';

import { type ExpansionPorts, expandWantedLayer, HomeReplicas, LayerBlobs, WRONG_DIGESTS_MAX } from './expand-wanted-layer.js';
import type { LayerToExpand } from './expanded-layer.js';
import type { WantedLayer } from './expanded-layer-store.js';
import { ExpansionError } from './expansion-error.js';
import { expandedForm, wantedLayer } from './testing/sample-layers.js';
import { MemoryExpandedLayerStore } from './testing/memory-expanded-layer-store.js';

class ThreeChunks extends LayerBlobs {
  readonly opened: string[] = [];

  async open(repository: string, layer: LayerToExpand): Promise<AsyncIterable<Uint8Array>> {
    this.opened.push(`${repository} ${layer.digest}`);
    return (async function* () {
      for (let n = 0; n < 3; n += 1) yield Buffer.alloc(100, n);
    })();
  }
}

class RecordedReplicas extends HomeReplicas {
  readonly rows = new Map<string, number>();
  failure: Error | undefined;

  async ready(layer: Digest, share: string, sizeBytes: number): Promise<void> {
    if (this.failure !== undefined) throw this.failure;
    this.rows.set(`${layer} ${share}`, sizeBytes);
  }
}

const layer = wantedLayer('a', { sizeBytes: 300 });
let clock: ManualClock;
let store: MemoryExpandedLayerStore;
let blobs: ThreeChunks;
let replicas: RecordedReplicas;
let homeShare: MemoryShare;

beforeEach(async () => {
  clock = new ManualClock();
  store = new MemoryExpandedLayerStore();
  blobs = new ThreeChunks();
  replicas = new RecordedReplicas();
  homeShare = new MemoryShare({ name: 'home' });
  await store.want([layer], clock.now());
});

/** Reads the whole blob and leaves a file, as the real expansion does. */
const expandsWell: ExpansionPorts['expand'] = async ({ layer: wanted, blob, share }) => {
  for await (const chunk of blob) expect(chunk.length).toBe(100);
  await share.createFile(layerFilePath(wanted.digest, LAYER_FILE_VERSION), expandedForm(layer).vhd.sizeBytes);
  return expandedForm(layer);
};

async function claimed(): Promise<Claimed<WantedLayer>> {
  const [one] = await store.claim({ owner: 'worker', limit: 1, now: clock.now(), leaseMs: 60_000 });
  return one!;
}

async function run(expand: ExpansionPorts['expand'], work?: Claimed<WantedLayer>): Promise<void> {
  await expandWantedLayer({ store, blobs, replicas, expand, homeShare, clock }, work ?? (await claimed()), new AbortController().signal);
}

const record = async (): Promise<unknown> => (await store.find([layer.digest]))[0];

it('reads the layer from its repository, notes the home replica, and settles the layer as expanded', async () => {
  await run(expandsWell);
  expect(blobs.opened).toEqual([`team/app ${layer.digest}`]);
  expect(replicas.rows).toEqual(new Map([[`${layer.digest} home`, expandedForm(layer).vhd.sizeBytes]]));
  expect(await record()).toMatchObject({ state: 'expanded', expanded: expandedForm(layer) });
});

it('settles a layer that can never be expanded as refused, with the reason', async () => {
  await run(async () => {
    throw new ExpansionError('TAR_INVALID', 'an entry reaches out of the tree');
  });
  expect(await record()).toMatchObject({ state: 'refused', refusal: { code: 'TAR_INVALID', message: 'an entry reaches out of the tree' } });
  expect(replicas.rows.size).toBe(0);
});

it.each([
  ['a transient failure of the expansion', new ExpansionError('BLOB_TRUNCATED', 'cut', { transient: true })],
  ['a failure that is not the layer’s own', new Error('the share is full')],
])('leaves the layer to another try after %s', async (_title, failure) => {
  await expect(run(() => Promise.reject(failure))).rejects.toBe(failure);
  expect(await record()).toMatchObject({ state: 'expanding' });
});

it.each([
  ['the expansion', new ExpansionError('DIGEST_MISMATCH', 'these are not its bytes')],
  ['the source of the blob', new OciError('DIGEST_MISMATCH', 'these are not its bytes')],
])('refuses a layer for its digest only when the blob came wrong several times, as %s has seen', async (_title, failure) => {
  const wrong: ExpansionPorts['expand'] = () => Promise.reject(failure);
  for (let attempt = 1; attempt < WRONG_DIGESTS_MAX; attempt += 1) {
    const work = await claimed();
    await expect(run(wrong, work)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
    await store.postpone(work.claim.id, { now: clock.now(), waitMs: 0, reason: 'wrong bytes' });
  }
  await run(wrong);
  expect(await record()).toMatchObject({ state: 'refused', refusal: { code: 'DIGEST_MISMATCH' } });
});

it('works under its claim, and knows when that was lost', async () => {
  const stale = await claimed();
  const held: boolean[] = [];
  await run(async (expansion) => {
    expect(expansion.claimId).toBe(stale.claim.id);
    held.push(await expansion.isHeld());
    await clock.advance(60_000);
    await claimed();
    held.push(await expansion.isHeld());
    return expandsWell(expansion);
  }, stale);
  expect(held).toEqual([true, false]);
  expect(replicas.rows.size).toBe(0);
});

it('does not settle a layer whose replica could not be noted', async () => {
  replicas.failure = new Error('being removed');
  await expect(run(expandsWell)).rejects.toThrow('being removed');
  expect(await record()).toMatchObject({ state: 'expanding' });
  replicas.failure = undefined;
  await clock.advance(60_000);
  await run(expandsWell);
  expect(await record()).toMatchObject({ state: 'expanded', attempts: 2 });
});

it('changes nothing when its claim was lost while it worked', async () => {
  const stale = await claimed();
  await clock.advance(60_000);
  await run(expandsWell);
  replicas.rows.clear();
  await run(() => Promise.reject(new ExpansionError('TAR_INVALID', 'late')), stale);
  await run(expandsWell, stale);
  expect(replicas.rows.size).toBe(0);
  expect(await record()).toMatchObject({ state: 'expanded' });
});

it('writes its progress down at most once a second', async () => {
  const seen: unknown[] = [];
  await run(async (expansion) => {
    for await (const chunk of expansion.blob) {
      expect(chunk.length).toBe(100);
      seen.push(((await record()) as { readBytes: number }).readBytes);
      await clock.advance(1);
    }
    return expandsWell({ ...expansion, blob: (async function* () {})() });
  });
  expect(seen).toEqual([0, 100, 100]);
});
