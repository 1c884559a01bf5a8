import { beforeEach, describe, expect, it } from 'vitest';

import type { ClaimRequest, ClaimSource } from '../claim.js';

/** One implementation of a claim source, with the means to give it work. */
export interface ClaimSourceUnderTest<Item> {
  readonly source: ClaimSource<Item>;
  /** Adds rows of work that are due at any time, the most urgent first. @returns their names, as `nameOf` tells them. */
  add(count: number): Promise<string[]>;
  nameOf(item: Item): string;
}

const NOW = new Date('2026-03-01T12:00:00.000Z');
const LEASE_MS = 60_000;
const later = (ms: number): Date => new Date(NOW.getTime() + ms);
const request = (change: Partial<ClaimRequest> = {}): ClaimRequest => ({ owner: 'worker-1', limit: 10, now: NOW, leaseMs: LEASE_MS, ...change });

/** What every claim source promises. `make` gives a source without any work. */
export function claimSourceConforms<Item>(make: () => ClaimSourceUnderTest<Item> | Promise<ClaimSourceUnderTest<Item>>): void {
  describe('as a source of claims', () => {
    let tested: ClaimSourceUnderTest<Item>;
    beforeEach(async () => {
      tested = await make();
    });
    const claim = async (change: Partial<ClaimRequest> = {}): Promise<{ name: string; id: string; attempt: number; owner: string; expiresAt: Date }[]> =>
      (await tested.source.claim(request(change))).map(({ item, claim: held }) => ({ name: tested.nameOf(item), ...held }));

    it('gives the most urgent work first and each row once', async () => {
      const names = await tested.add(3);
      expect((await claim({ limit: 2 })).map((held) => held.name).toSorted()).toEqual(names.slice(0, 2).toSorted());
      expect((await claim({ limit: 2 })).map((held) => held.name)).toEqual(names.slice(2));
      expect(await claim()).toEqual([]);
    });

    it('never gives the same row to two claimers at once', async () => {
      const names = await tested.add(12);
      const all = await Promise.all(Array.from({ length: 6 }, (_, n) => claim({ owner: `worker-${n}`, limit: 3 })));
      const given = all.flat().map((held) => held.name);
      expect(new Set(given).size).toBe(given.length);
      given.push(...(await claim({ limit: 12 })).map((held) => held.name));
      expect(given.toSorted()).toEqual(names.toSorted());
    });

    it('says who holds the work, until when, and at which attempt', async () => {
      await tested.add(1);
      expect(await claim()).toMatchObject([{ owner: 'worker-1', attempt: 1, expiresAt: later(LEASE_MS) }]);
    });

    it('gives work to another claimer when its claim ran out, and the old claim changes nothing any more', async () => {
      await tested.add(1);
      const [first] = await claim();
      expect(await claim({ now: later(LEASE_MS - 1) })).toEqual([]);
      const [second] = await claim({ owner: 'worker-2', now: later(LEASE_MS) });
      expect(second).toMatchObject({ owner: 'worker-2', attempt: 2 });
      expect(await tested.source.renew([first!.id, second!.id], later(LEASE_MS), 4 * LEASE_MS)).toEqual(new Set([second!.id]));
      expect(await tested.source.release(first!.id)).toBe(false);
      expect(await tested.source.postpone(first!.id, { now: NOW, waitMs: 0, reason: 'late' })).toBe(false);
      expect(await claim({ now: later(4 * LEASE_MS) })).toEqual([]);
    });

    it('gives released work again at once, as if it had not been tried', async () => {
      await tested.add(1);
      const [first] = await claim();
      expect(await tested.source.release(first!.id)).toBe(true);
      expect(await tested.source.release(first!.id)).toBe(false);
      expect(await claim()).toMatchObject([{ attempt: 1 }]);
    });

    it('gives postponed work again when its time has come, with the count of its attempts', async () => {
      await tested.add(1);
      const [first] = await claim();
      expect(await tested.source.postpone(first!.id, { now: NOW, waitMs: 1000, reason: 'the share is busy' })).toBe(true);
      expect(await claim({ now: later(999) })).toEqual([]);
      expect(await claim({ now: later(1000) })).toMatchObject([{ attempt: 2 }]);
    });
  });
}
