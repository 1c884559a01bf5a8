import { beforeEach, describe, expect, it } from 'vitest';

import type { Claimed } from '../claim.js';
import type { WorkEntry, WorkFilter, WorkList, WorkMark, WorkSubject } from '../work-list.js';
import type { ClaimSourceUnderTest } from './claim-source-conformance.js';

/** One list of work, the source that workers have it from, and the means to give it work. */
export interface WorkListUnderTest<Item> extends ClaimSourceUnderTest<Item> {
  readonly work: WorkList;
  /** What all work is about that `add` adds. */
  readonly subject: WorkSubject;
}

const NOW = new Date('2026-03-01T12:00:00.000Z');
const LEASE_MS = 60_000;
const later = (ms: number): Date => new Date(NOW.getTime() + ms);

/** What every list of work promises. `make` gives one without any. */
export function workListConforms<Item>(make: () => WorkListUnderTest<Item> | Promise<WorkListUnderTest<Item>>): void {
  describe('as a list of work', () => {
    let tested: WorkListUnderTest<Item>;
    beforeEach(async () => {
      tested = await make();
    });
    const claim = (limit: number, now = NOW): Promise<Claimed<Item>[]> => tested.source.claim({ owner: 'worker-1', limit, now, leaseMs: LEASE_MS });
    const list = async (now = NOW, filter: WorkFilter = {}): Promise<readonly WorkEntry[]> => (await tested.work.list({ limit: 100, filter }, now)).entries;
    const named = (entries: readonly WorkEntry[], names: readonly string[]): (string | undefined)[] => entries.map(({ key }) => names.find((name) => key.includes(name)));

    it('shows it in the order in which it is given to workers, page by page', async () => {
      const names = await tested.add(5);
      const seen: WorkEntry[] = [];
      let after: WorkMark | undefined;
      for (let pages = 0; pages < 3; pages += 1) {
        const { entries, next } = await tested.work.list({ after, limit: 2 }, NOW);
        seen.push(...entries);
        after = next;
      }
      expect(named(seen, names)).toEqual(names);
      expect(after).toBeUndefined();
      expect(seen[0]).toMatchObject({ standing: 'due', attempts: 0, subject: tested.subject });
      expect(seen[0]).not.toHaveProperty('nextTryAt');
      expect(new Set(seen.map(({ key }) => key.join(' '))).size).toBe(5);
    });

    it('tells who has claimed it, that it waits and why, and that it is due', async () => {
      await tested.add(1);
      const [held] = await claim(1);
      expect(await list()).toMatchObject([{ standing: 'claimed', attempts: 1, claim: { owner: 'worker-1', expiresAt: later(LEASE_MS) } }]);
      const [ranOut] = await list(later(LEASE_MS));
      expect(ranOut).toMatchObject({ standing: 'due', attempts: 1 });
      expect(ranOut).not.toHaveProperty('claim');
      await tested.source.postpone(held!.claim.id, { now: NOW, waitMs: 5000, reason: 'the share is busy' });
      expect(await list()).toMatchObject([{ standing: 'waiting', attempts: 1, nextTryAt: later(5000), lastError: 'the share is busy' }]);
      expect(await list(later(5000))).toMatchObject([{ standing: 'due', lastError: 'the share is busy' }]);
    });

    it('shows what matches every filter', async () => {
      const names = await tested.add(4);
      const [failing] = await claim(1);
      await tested.source.postpone(failing!.claim.id, { now: NOW, waitMs: 5000, reason: 'the share is busy' });
      const [held] = await claim(1);
      const [failed, other] = [tested.nameOf(failing!.item), tested.nameOf(held!.item)];
      const ofStanding = async (filter: WorkFilter): Promise<unknown> => named(await list(NOW, filter), names);
      expect(await ofStanding({ standing: 'waiting' })).toEqual([failed]);
      expect(await ofStanding({ hasFailed: true })).toEqual([failed]);
      expect(await ofStanding({ standing: 'claimed' })).toEqual([other]);
      expect(await ofStanding({ standing: 'claimed', hasFailed: true })).toEqual([]);
      expect(await ofStanding({ standing: 'due', ...tested.subject })).toEqual(names.filter((name) => name !== failed && name !== other));
      const [{ subject } = { subject: {} }] = await list();
      for (const field of ['layer', 'share', 'repository', 'reference'] as const) expect(await list(NOW, { [field]: 'another' })).toEqual([]);
      const { isView: _everywhere, ...about } = subject as WorkSubject;
      expect(await list(NOW, about)).toContainEqual(expect.objectContaining({ subject }));
    });

    it('pages through what matches, too', async () => {
      const names = await tested.add(6);
      await claim(2);
      const first = await tested.work.list({ limit: 3, filter: { standing: 'due' } }, NOW);
      const second = await tested.work.list({ after: first.next, limit: 3, filter: { standing: 'due' } }, NOW);
      expect(named([...first.entries, ...second.entries], names).length).toBe(4);
      expect(new Set(named([...first.entries, ...second.entries], names)).size).toBe(4);
    });

    it('finds what has failed among much that has not, and pages through it', async () => {
      await tested.add(6);
      const failing = await claim(6);
      for (const { claim: { id } } of failing.slice(3)) await tested.source.postpone(id, { now: NOW, waitMs: 5000, reason: 'the share is busy' });
      for (const { claim: { id } } of failing.slice(0, 3)) await tested.source.release(id);
      const first = await tested.work.list({ limit: 2, filter: { hasFailed: true } }, NOW);
      const second = await tested.work.list({ after: first.next, limit: 2, filter: { hasFailed: true } }, NOW);
      expect([first.entries.length, second.entries.length, second.next]).toEqual([2, 1, undefined]);
      const failed = failing.slice(3).map(({ item }) => tested.nameOf(item));
      expect(new Set(named([...first.entries, ...second.entries], failed))).toEqual(new Set(failed));
    });

    it('ends the wait of what has failed, and of nothing else', async () => {
      await tested.add(2);
      const [failing, held] = await claim(2);
      await tested.source.postpone(failing!.claim.id, { now: NOW, waitMs: 5000, reason: 'the share is busy' });
      const entries = await list();
      const keyOf = (item: Item): readonly string[] => entries.find(({ key }) => key.includes(tested.nameOf(item)))!.key;
      expect(await tested.work.retry(keyOf(held!.item), NOW)).toBe('NOT_FAILED');
      expect(await tested.work.retry(keyOf(failing!.item), NOW)).toBe('due');
      expect(await tested.work.retry(keyOf(failing!.item), NOW)).toBe('due');
      expect((await claim(2)).map(({ item, claim: { attempt } }) => [tested.nameOf(item), attempt])).toEqual([[tested.nameOf(failing!.item), 2]]);
      expect(await tested.work.retry(keyOf(failing!.item), NOW)).toBe('NOT_FAILED');
      for (const unknown of [entries[0]!.key.map(() => 'unknown'), [], [...entries[0]!.key, 'more']]) expect(await tested.work.retry(unknown, NOW)).toBe('NOT_OPEN');
    });
  });
}
