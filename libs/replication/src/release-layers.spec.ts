import { beforeEach, expect, it } from 'vitest';

import type { ExpandedLayerStore } from '#expansion';
import { expandedForm, MemoryExpandedLayerStore, wantedLayer } from '#expansion/testing';
import type { Digest } from '#oci';

import { RELEASE_PAGE_LAYERS, releaseLayers, type ReleaseReport } from './release-layers.js';
import { LayerReferences, type ReferenceGrace, type ReleasableLayer, ReleasableLayers } from './replication-ports.js';
import { MemoryReplicaStore } from './testing/index.js';

const START = new Date('2026-03-01T12:00:00.000Z');
const DAY_MS = 86_400_000;
const later = (ms: number): Date => new Date(START.getTime() + ms);

class SetOfReferences extends LayerReferences {
  readonly digests = new Set<Digest>();
  onAsk: (() => void) | undefined;

  async referenced(digests: readonly Digest[]): Promise<Set<Digest>> {
    this.onAsk?.();
    return new Set(digests.filter((digest) => this.digests.has(digest)));
  }
}

/** The real store of expanded layers behind the port. */
class StoredLayers extends ReleasableLayers {
  readonly store: ExpandedLayerStore = new MemoryExpandedLayerStore();

  async page(after: Digest | undefined, limit: number): Promise<ReleasableLayer[]> {
    const records = await this.store.page(after, limit);
    return records.map(({ digest, state, unreferencedSince }) => ({ digest, expanded: state === 'expanded', ...(unreferencedSince === undefined ? {} : { unreferencedSince }) }));
  }

  markUnreferenced(digests: readonly Digest[], now: Date): Promise<void> {
    return this.store.markUnreferenced(digests, now);
  }

  clearUnreferenced(digests: readonly Digest[]): Promise<void> {
    return this.store.clearUnreferenced(digests);
  }

  unreferencedFor(grace: ReferenceGrace, after: Digest | undefined, limit: number): Promise<Digest[]> {
    return this.store.unreferencedFor(grace, after, limit);
  }

  expandAgain(digest: Digest, now: Date): Promise<boolean> {
    return this.store.expandAgain(digest, now);
  }

  forget(digest: Digest): Promise<boolean> {
    return this.store.forget(digest);
  }
}

let layers: StoredLayers;
let references: SetOfReferences;
let replicas: MemoryReplicaStore;

beforeEach(() => {
  layers = new StoredLayers();
  references = new SetOfReferences();
  replicas = new MemoryReplicaStore();
});

const sweep = (at: number): Promise<ReleaseReport> =>
  releaseLayers({ layers, references, replicas }, { now: later(at), unreferencedGraceMs: DAY_MS, drainGraceMs: 1000 });
const states = async (digest: Digest): Promise<string[]> => (await replicas.find([digest])).map((replica) => `${replica.share} ${replica.state}`);

async function expanded(name: string, shares: readonly string[]): Promise<Digest> {
  const layer = wantedLayer(name);
  await layers.store.want([layer], START);
  const [claimed] = await layers.store.claim({ owner: 'worker', limit: 1, now: START, leaseMs: 1000 });
  for (const share of shares) await replicas.recordReady({ layer: layer.digest, share, sizeBytes: 1000, reason: 'expanded' }, START);
  await layers.store.complete(claimed!.claim.id, expandedForm(layer), START);
  return layer.digest;
}

async function removeAllDue(at: number): Promise<void> {
  for (const { claim } of await replicas.removals.claim({ owner: 'worker', limit: 100, now: later(at), leaseMs: 1000 })) await replicas.gone(claim.id);
}

it('leaves referenced layers alone', async () => {
  const digest = await expanded('a', ['home', 'east']);
  references.digests.add(digest);
  expect(await sweep(0)).toEqual({ unreferenced: 0, recalled: 0, expandedAgain: 0, draining: 0, forgotten: 0 });
  expect(await sweep(9 * DAY_MS)).toEqual({ unreferenced: 0, recalled: 0, expandedAgain: 0, draining: 0, forgotten: 0 });
  expect(await states(digest)).toEqual(['east ready', 'home ready']);
});

it('drains a layer everywhere a grace time after the last reference went, and forgets it when nothing is left', async () => {
  const digest = await expanded('a', ['home', 'east']);
  expect(await sweep(0)).toMatchObject({ unreferenced: 1, draining: 0 });
  expect(await sweep(DAY_MS - 1)).toMatchObject({ unreferenced: 1, draining: 0 });
  expect(await states(digest)).toEqual(['east ready', 'home ready']);
  expect(await sweep(DAY_MS)).toMatchObject({ draining: 1, forgotten: 0 });
  expect(await states(digest)).toEqual(['east draining', 'home draining']);
  await removeAllDue(DAY_MS + 1000);
  expect(await sweep(DAY_MS + 1000)).toMatchObject({ draining: 0, forgotten: 1 });
  expect(await layers.store.find([digest])).toEqual([]);
});

it('begins the grace time anew when a reference came and went', async () => {
  const digest = await expanded('a', ['home']);
  await sweep(0);
  references.digests.add(digest);
  await sweep(DAY_MS / 2);
  references.digests.clear();
  await sweep(DAY_MS - 1);
  expect(await sweep(DAY_MS)).toMatchObject({ unreferenced: 1, draining: 0 });
  expect(await sweep(2 * DAY_MS)).toMatchObject({ draining: 1 });
});

it('drains nothing that got a reference between the first look and the second', async () => {
  const digest = await expanded('a', ['home']);
  await sweep(0);
  let asked = 0;
  references.onAsk = () => {
    asked += 1;
    if (asked === 2) references.digests.add(digest);
  };
  expect(await sweep(2 * DAY_MS)).toMatchObject({ draining: 0, forgotten: 0 });
  expect(await states(digest)).toEqual(['home ready']);
});

it('recalls a layer that is referred to again while it drains everywhere', async () => {
  const digest = await expanded('a', ['home', 'east']);
  await sweep(0);
  await sweep(DAY_MS);
  references.digests.add(digest);
  expect(await sweep(DAY_MS + 1)).toEqual({ unreferenced: 0, recalled: 1, expandedAgain: 0, draining: 0, forgotten: 0 });
  expect(await states(digest)).toEqual(['east ready', 'home ready']);
  await removeAllDue(9 * DAY_MS);
  expect(await sweep(9 * DAY_MS)).toMatchObject({ recalled: 0 });
  expect(await states(digest)).toEqual(['east ready', 'home ready']);
});

it('leaves a replica draining that the plan dropped, as long as another one is ready', async () => {
  const digest = await expanded('a', ['home', 'east']);
  references.digests.add(digest);
  await replicas.drain({ layer: digest, share: 'east' }, { reason: 'no demand', now: START, graceMs: 1000 });
  expect(await sweep(1)).toMatchObject({ recalled: 0, expandedAgain: 0 });
  expect(await states(digest)).toEqual(['east draining', 'home ready']);
});

it('has a referenced layer expanded again when no share has it any more', async () => {
  const digest = await expanded('a', ['home']);
  await sweep(0);
  await sweep(DAY_MS);
  references.digests.add(digest);
  const [removal] = await replicas.removals.claim({ owner: 'worker', limit: 1, now: later(DAY_MS + 1000), leaseMs: 0 });
  await replicas.beginRemoval(removal!.claim.id);
  expect(await sweep(DAY_MS + 1)).toMatchObject({ recalled: 0, expandedAgain: 0 });
  await removeAllDue(DAY_MS + 1000);
  expect(await sweep(DAY_MS + 1000)).toMatchObject({ expandedAgain: 1, forgotten: 0 });
  expect(await layers.store.find([digest])).toMatchObject([{ state: 'wanted' }]);
  expect(await sweep(DAY_MS + 1001)).toMatchObject({ expandedAgain: 0 });
});

it('does not count a copy that never had a source as a place where the layer is', async () => {
  const digest = await expanded('a', []);
  references.digests.add(digest);
  await replicas.want({ name: 'east', capacityBytes: 1e6 }, [{ layer: digest, sizeBytes: 1, priority: 1, reason: 'demand' }], START);
  expect(await sweep(0)).toMatchObject({ expandedAgain: 1 });
});

it('forgets wanted layers that nothing refers to any more, but none that is being expanded', async () => {
  await layers.store.want([wantedLayer('a'), wantedLayer('b', { priority: 9 })], START);
  await layers.store.claim({ owner: 'worker', limit: 1, now: START, leaseMs: 1000 });
  await sweep(0);
  expect(await sweep(DAY_MS)).toMatchObject({ forgotten: 1 });
  expect((await layers.store.page(undefined, 10)).map((record) => record.digest)).toEqual([wantedLayer('b').digest]);
});

it('looks at every layer, however many pages there are', async () => {
  const many = Array.from({ length: RELEASE_PAGE_LAYERS * 2 + 1 }, (_, n) => wantedLayer(`layer ${n}`));
  await layers.store.want(many, START);
  expect(await sweep(0)).toMatchObject({ unreferenced: many.length });
  expect(await sweep(DAY_MS)).toMatchObject({ forgotten: many.length });
});
