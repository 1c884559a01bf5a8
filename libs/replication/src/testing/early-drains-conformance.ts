import { beforeEach, describe, expect, it } from 'vitest';

import type { Claimed } from '#claims';
import { type Digest, digestOf } from '#oci';

import type { Replica } from '../replica.js';
import type { ReplicaStore } from '../replica-store.js';

const NOW = new Date('2026-03-01T12:00:00.000Z');
const LEASE_MS = 60_000;
const GRACE_MS = 600_000;
const later = (ms: number): Date => new Date(NOW.getTime() + ms);
const EAST = { name: 'east', capacityBytes: 1e6 };

/** What every store of replicas promises of graces that end early. `make` gives an empty one, and tells a place in the feed that is at or behind the last drain and before the next one. */
export function earlyDrainsConform(make: () => { readonly store: ReplicaStore; readonly place: () => Promise<bigint> }): void {
  describe('graces that end early', () => {
    let store: ReplicaStore;
    let place: () => Promise<bigint>;
    beforeEach(() => {
      ({ store, place } = make());
    });

    async function ready(layer: Digest): Promise<void> {
      for (const share of ['home', EAST.name]) await store.recordReady({ layer, share, sizeBytes: 1000, reason: 'expanded' }, NOW);
    }
    const drain = (layer: Digest) => store.drain({ layer, share: EAST.name }, { reason: 'no demand', now: NOW, graceMs: GRACE_MS });
    const due = async (now: Date): Promise<Claimed<Replica>[]> => store.removals.claim({ owner: 'worker', limit: 9, now, leaseMs: LEASE_MS });
    const endGraces = async (knownTo: bigint, limit = 9): Promise<number> => store.endGraces({ knownTo, limit, now: later(1000) });

    it('are those of what left the answers up to the place that all know, and nothing after it', async () => {
      const [one, two] = [digestOf('one'), digestOf('two')];
      for (const layer of [one, two]) await ready(layer);
      const before = await place();
      await drain(one);
      const between = await place();
      await drain(two);
      expect([await endGraces(before), await due(later(1000))]).toEqual([0, []]);
      expect([await endGraces(between), await endGraces(between)]).toEqual([1, 0]);
      expect(await due(later(999))).toEqual([]);
      expect((await due(later(1000))).map(({ item }) => item.layer)).toEqual([one]);
      expect(await due(later(GRACE_MS - 1))).toMatchObject([{ item: { layer: one } }]);
      expect((await due(later(GRACE_MS))).map(({ item }) => item.layer)).toEqual([two]);
    });

    it('are a bounded number at a time, the earliest first', async () => {
      const layers = ['c', 'a', 'b'].map((name) => digestOf(name));
      for (const layer of layers) await ready(layer);
      for (const layer of layers) await drain(layer);
      expect(await endGraces(await place(), 2)).toBe(2);
      expect((await due(later(1000))).map(({ item }) => item.layer).toSorted()).toEqual(layers.slice(0, 2).toSorted());
      expect([await endGraces(await place(), 2), await endGraces(await place(), 2)]).toEqual([1, 0]);
    });

    it('are not those of what was recalled and drains again since', async () => {
      const layer = digestOf('a layer');
      await ready(layer);
      await drain(layer);
      const first = await place();
      await store.want(EAST, [{ layer, sizeBytes: 1000, priority: 1, reason: 'demand' }], NOW);
      expect(await endGraces(first)).toBe(0);
      await drain(layer);
      expect([await endGraces(first), await due(later(1000))]).toEqual([0, []]);
      expect(await endGraces(await place())).toBe(1);
    });

    it('shorten no wait for a copier that may still write, nor one that a look at the leases ordered', async () => {
      const [copied, leased] = [digestOf('copied'), digestOf('leased')];
      await store.recordReady({ layer: copied, share: 'home', sizeBytes: 1000, reason: 'expanded' }, NOW);
      await store.want(EAST, [{ layer: copied, sizeBytes: 1000, priority: 1, reason: 'demand' }], NOW);
      const [copy] = await store.copies.claim({ owner: 'worker', limit: 1, now: NOW, leaseMs: GRACE_MS });
      await store.progress(copy!.claim.id, 4, { path: 'partial', pieces: new Uint8Array(1) });
      expect(await store.cancel({ layer: copied, share: EAST.name }, { reason: 'not wanted', now: NOW, graceMs: 0 })).toBe('draining');
      await ready(leased);
      await drain(leased);
      const removal = (await due(later(GRACE_MS))).find(({ item }) => item.layer === leased);
      expect(await endGraces(await place())).toBe(0);
      await store.removals.postpone(removal!.claim.id, { now: later(GRACE_MS), waitMs: GRACE_MS, reason: 'leased by a node' });
      expect(await endGraces(await place())).toBe(0);
      expect((await due(later(2 * GRACE_MS - 1))).map(({ item }) => item.layer)).toEqual([copied]);
      expect((await due(later(2 * GRACE_MS))).map(({ item }) => item.layer)).toEqual([leased]);
    });

    it('end for a layer that nothing refers to on every share', async () => {
      const layer = digestOf('a layer');
      await ready(layer);
      await store.drainUnreferenced(layer, { reason: 'no image refers to it', now: NOW, graceMs: GRACE_MS });
      expect(await endGraces(await place())).toBe(2);
      expect((await due(later(1000))).map(({ item }) => item.share).toSorted()).toEqual(['east', 'home']);
    });
  });
}
