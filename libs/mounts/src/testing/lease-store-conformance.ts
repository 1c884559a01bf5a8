import { randomUUID } from 'node:crypto';

import { beforeEach, describe, expect, it } from 'vitest';

import { after } from '#clock';

import type { HeldReplica, Lease } from '../lease.js';
import { type LeaseFilter, type LeaseStore, LISTED_REPLICAS_MAX } from '../lease-store.js';
import { digestNamed } from './map-rows.js';

const NOW = new Date('2026-03-01T12:00:00.000Z');
const TTL_MS = 60_000;
const [BASE, APP] = [digestNamed('base'), digestNamed('app')];

function lease(replicas: readonly HeldReplica[], grantedAt = NOW): Lease {
  return { id: randomUUID(), region: 'eastus', replicas, grantedAt, expiresAt: after(grantedAt, TTL_MS), shared: false };
}

/** Checks that an implementation keeps the contract of {@link LeaseStore}; `open` gives an empty one before each test. */
export function leaseStoreConformance(open: () => LeaseStore): void {
  describe('as a lease store', () => {
    let store: LeaseStore;
    beforeEach(() => {
      store = open();
    });
    const renewed = async (id: string, now: Date, ttlMs: number): Promise<Date | undefined> => (await store.renewMany([id], now, ttlMs)).get(id);

    it('holds the replicas of a lease until it runs out', async () => {
      await store.grantMany([lease([{ layer: BASE, share: 'east' }, { layer: APP, share: 'east' }])], NOW);
      expect(await store.heldUntil(BASE, 'east', NOW)).toEqual(after(NOW, TTL_MS));
      expect(await store.heldUntil(BASE, 'west', NOW)).toBeUndefined();
      expect(await store.leasedLayers('east', NOW)).toEqual(new Set([BASE, APP]));
      expect(await store.heldUntil(BASE, 'east', after(NOW, TTL_MS))).toBeUndefined();
      expect(await store.leasedLayers('east', after(NOW, TTL_MS))).toEqual(new Set());
    });

    it('holds a replica as long as the longest of its leases', async () => {
      const later = after(NOW, 10_000);
      await store.grantMany([lease([{ layer: BASE, share: 'east' }], later), lease([{ layer: BASE, share: 'east' }])], NOW);
      expect(await store.heldUntil(BASE, 'east', NOW)).toEqual(after(later, TTL_MS));
    });

    it('writes the same batch twice as once, and keeps what was renewed in between', async () => {
      const first = lease([{ layer: BASE, share: 'east' }, { layer: BASE, share: 'east' }]);
      await store.grantMany([first], NOW);
      const until = await renewed(first.id, after(NOW, 30_000), TTL_MS);
      await store.grantMany([first, lease([{ layer: APP, share: 'east' }])], NOW);
      expect(await store.heldUntil(BASE, 'east', NOW)).toEqual(until);
      expect(await store.leasedLayers('east', NOW)).toEqual(new Set([BASE, APP]));
    });

    it('renews a lease that holds, and never shortens it', async () => {
      const held = lease([{ layer: BASE, share: 'east' }]);
      await store.grantMany([held], NOW);
      expect(await renewed(held.id, after(NOW, 30_000), TTL_MS)).toEqual(after(NOW, 90_000));
      expect(await renewed(held.id, NOW, 1000)).toEqual(after(NOW, 90_000));
    });

    it('does not let a lease return that ran out, was released, or never was', async () => {
      const [late, released] = [lease([{ layer: BASE, share: 'east' }]), lease([{ layer: APP, share: 'east' }])];
      await store.grantMany([late, released], NOW);
      await store.release(released.id);
      await store.release(released.id);
      expect(await renewed(released.id, NOW, TTL_MS)).toBeUndefined();
      expect(await renewed(late.id, after(NOW, TTL_MS), TTL_MS)).toBeUndefined();
      expect(await renewed(randomUUID(), NOW, TTL_MS)).toBeUndefined();
      expect(await renewed("x'; --", NOW, TTL_MS)).toBeUndefined();
      await store.release('not an id');
      expect(await store.leasedLayers('east', NOW)).toEqual(new Set([BASE]));
    });

    it('renews many at once, each by itself, also when one is named twice', async () => {
      const [one, two, early] = [lease([{ layer: BASE, share: 'east' }]), lease([{ layer: APP, share: 'east' }]), lease([], after(NOW, -30_000))];
      await store.grantMany([one, two, early], NOW);
      const now = after(NOW, 30_000);
      const until = await store.renewMany([two.id, randomUUID(), one.id, early.id, two.id, 'no id'], now, TTL_MS);
      expect(until).toEqual(new Map([one.id, two.id].map((id) => [id, after(now, TTL_MS)])));
      expect(await store.renewMany([], now, TTL_MS)).toEqual(new Map());
    });

    it('leaves a shared lease to run out, whoever releases it', async () => {
      const shared = { ...lease([{ layer: BASE, share: 'east' }]), shared: true };
      await store.grantMany([shared], NOW);
      await store.release(shared.id);
      expect(await store.heldUntil(BASE, 'east', NOW)).toEqual(after(NOW, TTL_MS));
    });

    it('holds what leases hold until they run out, once they are not to be renewed any more', async () => {
      const [ending, other] = [lease([{ layer: BASE, share: 'east' }, { layer: APP, share: 'east' }]), lease([{ layer: BASE, share: 'west' }])];
      await store.grantMany([ending, other], NOW);
      expect(await store.endRenewals(BASE, 'east', NOW)).toBe(1);
      expect(await store.endRenewals(BASE, 'east', NOW)).toBe(1);
      expect(await renewed(ending.id, NOW, 2 * TTL_MS)).toBeUndefined();
      expect(await renewed(other.id, NOW, 2 * TTL_MS)).toEqual(after(NOW, 2 * TTL_MS));
      expect(await store.heldUntil(BASE, 'east', NOW)).toEqual(after(NOW, TTL_MS));
      expect(await store.endRenewals(BASE, 'east', after(NOW, TTL_MS))).toBe(0);
    });

    it('counts the leases that hold something on a share, each once', async () => {
      await store.grantMany([lease([{ layer: BASE, share: 'east' }, { layer: APP, share: 'east' }]), lease([{ layer: BASE, share: 'east' }]), lease([{ layer: BASE, share: 'west' }])], NOW);
      expect([await store.countOn('east', NOW), await store.countOn('west', NOW), await store.countOn('north', NOW)]).toEqual([2, 1, 0]);
      expect(await store.countOn('east', after(NOW, TTL_MS))).toBe(0);
    });

    it('prunes what ran out, oldest first and no more than asked', async () => {
      const leases = [3, 1, 2].map((seconds) => lease([{ layer: BASE, share: 'east' }], after(NOW, seconds * 1000)));
      await store.grantMany(leases, NOW);
      expect(await store.prune(after(NOW, 62_000), 10)).toBe(1);
      expect(await store.prune(after(NOW, 64_000), 1)).toBe(1);
      expect(await store.heldUntil(BASE, 'east', NOW)).toEqual(after(NOW, 63_000));
      expect(await store.prune(after(NOW, 64_000), 10)).toBe(1);
      expect(await store.heldUntil(BASE, 'east', NOW)).toBeUndefined();
    });

    describe('lists leases', () => {
      const ids = async (filter: LeaseFilter = {}, now = NOW): Promise<string[]> => (await store.page({ limit: 100, filter }, now)).map(({ id }) => id);
      const sorted = (...leases: readonly Lease[]): string[] => leases.map(({ id }) => id).toSorted();

      it('with what is known of each, its replicas by share and layer and each once', async () => {
        const [later, ...replicas] = [{ layer: BASE, share: 'west' }, { layer: APP, share: 'east' }, { layer: BASE, share: 'east' }].toSorted((a, b) => (a.share + a.layer < b.share + b.layer ? 1 : -1));
        const held = { ...lease([later!, ...replicas, later!]), shared: true };
        await store.grantMany([held], NOW);
        const listed = { ...held, replicas: [...replicas.toReversed(), later], replicaCount: 3, renewable: true };
        expect(await store.page({ limit: 10 }, NOW)).toEqual([listed]);
        await store.renewMany([held.id], after(NOW, 30_000), TTL_MS);
        await store.endRenewals(BASE, 'west', NOW);
        expect(await store.page({ limit: 10 }, NOW)).toEqual([{ ...listed, expiresAt: after(NOW, 90_000), renewable: false }]);
      });

      it('that hold at that instant, and no others', async () => {
        const [ends, stays, released] = [lease([{ layer: BASE, share: 'east' }]), lease([{ layer: BASE, share: 'east' }], after(NOW, 1)), lease([{ layer: BASE, share: 'east' }], after(NOW, 1))];
        await store.grantMany([ends, stays, released], NOW);
        await store.release(released.id);
        for (const filter of [{}, { region: 'eastus' }, { share: 'east' }, { layer: BASE }, { share: 'east', layer: BASE }]) {
          expect(await ids(filter)).toEqual(sorted(ends, stays));
          expect(await ids(filter, after(NOW, TTL_MS))).toEqual([stays.id]);
        }
      });

      it('that match every filter, share and layer by the same replica', async () => {
        const mixed = lease([{ layer: BASE, share: 'east' }, { layer: APP, share: 'west' }]);
        const west = { ...lease([{ layer: BASE, share: 'west' }, { layer: APP, share: 'west' }]), region: 'westus' };
        const none = { ...lease([]), region: 'westus' };
        await store.grantMany([mixed, west, none], NOW);
        expect(await ids()).toEqual(sorted(mixed, west, none));
        expect(await ids({ region: 'westus' })).toEqual(sorted(west, none));
        expect(await ids({ share: 'west' })).toEqual(sorted(mixed, west));
        expect(await ids({ layer: BASE })).toEqual(sorted(mixed, west));
        expect(await ids({ share: 'west', layer: BASE })).toEqual([west.id]);
        expect(await ids({ share: 'west', region: 'eastus' })).toEqual([mixed.id]);
        expect(await ids({ layer: APP, region: 'eastus' })).toEqual([mixed.id]);
        expect(await ids({ share: 'north' })).toEqual([]);
        expect(await ids({ region: 'mars' })).toEqual([]);
        expect(await ids({ layer: digestNamed('unknown') })).toEqual([]);
        const [shown] = await store.page({ limit: 10, filter: { share: 'west', region: 'eastus' } }, NOW);
        expect(shown).toMatchObject({ replicas: [{ layer: APP, share: 'west' }], replicaCount: 1 });
      });

      it('page after page, each once, also when one is renewed in between', async () => {
        const leases = Array.from({ length: 7 }, () => lease([{ layer: BASE, share: 'east' }, { layer: APP, share: 'east' }]));
        await store.grantMany(leases, NOW);
        for (const filter of [{}, { region: 'eastus' }, { share: 'east' }, { layer: BASE }]) {
          const seen: string[] = [];
          for (let last: string | undefined; seen.length < 7; last = seen.at(-1)) {
            const page = await store.page({ after: last, limit: 3, filter }, NOW);
            expect(page.length).toBe(Math.min(3, 7 - seen.length));
            seen.push(...page.map(({ id }) => id));
            await store.renewMany([seen[0]!], NOW, 2 * TTL_MS);
          }
          expect(seen).toEqual(sorted(...leases));
          expect(await store.page({ after: seen.at(-1), limit: 3, filter }, NOW)).toEqual([]);
        }
      });

      it('with the first of their replicas where they hold very many, and the count of all', async () => {
        const held = lease(Array.from({ length: LISTED_REPLICAS_MAX + 5 }, (_, n) => ({ layer: digestNamed(`layer ${n}`), share: 'east' })));
        await store.grantMany([held], NOW);
        const [listed] = await store.page({ limit: 1 }, NOW);
        expect(listed?.replicaCount).toBe(LISTED_REPLICAS_MAX + 5);
        expect(listed?.replicas.map(({ layer }) => layer)).toEqual(held.replicas.map(({ layer }) => layer).toSorted().slice(0, LISTED_REPLICAS_MAX));
      });
    });

    it('grants nothing when it is given nothing', async () => {
      await store.grantMany([], NOW);
      await store.grantMany([lease([])], NOW);
      expect(await store.leasedLayers('east', NOW)).toEqual(new Set());
    });
  });
}
