import { randomUUID } from 'node:crypto';

import { beforeEach, describe, expect, it } from 'vitest';

import { after } from '#clock';

import type { HeldReplica, Lease } from '../lease.js';
import type { LeaseStore } from '../lease-store.js';
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

    it('grants nothing when it is given nothing', async () => {
      await store.grantMany([], NOW);
      await store.grantMany([lease([])], NOW);
      expect(await store.leasedLayers('east', NOW)).toEqual(new Set());
    });
  });
}
