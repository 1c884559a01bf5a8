import { randomUUID } from 'node:crypto';

import { beforeEach, describe, expect, it } from 'vitest';

import type { TrailEntry } from '../trail.js';
import type { TrailStore } from '../trail-store.js';

const at = (minute: number): Date => new Date(Date.UTC(2026, 0, 1, 0, minute));

function anEntry(changes: Partial<Omit<TrailEntry, 'status'>> = {}): Omit<TrailEntry, 'status'> {
  return { id: randomUUID(), at: at(0), actor: 'admin', actorName: 'admin', address: '10.0.0.1', method: 'POST', path: '/api/v1/pins', ...changes };
}

/** Checks that an implementation keeps the contract of {@link TrailStore}; `open` gives an empty store for every test. */
export function trailStoreConformance(name: string, open: () => TrailStore): void {
  describe(`${name} keeps the contract of a trail store`, () => {
    let store: TrailStore;
    beforeEach(() => {
      store = open();
    });

    it('gives back what was begun, without a status until it ended, and the first one then', async () => {
      const [withBody, without] = [anEntry({ at: at(1), body: '{"a":1}' }), anEntry()];
      await store.begin(withBody);
      await store.begin(without);
      expect(await store.list({ limit: 10 })).toEqual([withBody, without]);
      await store.end(withBody.id, 201);
      await store.end(withBody.id, 500);
      await store.end(randomUUID(), 200);
      await store.end('no id at all', 200);
      expect(await store.list({ limit: 10 })).toEqual([{ ...withBody, status: 201 }, without]);
    });

    it('lists the newest first, by actor and time, each once over pages', async () => {
      const entries = [3, 1, 1, 2, 1].map((minute, place) => anEntry({ at: at(minute), actor: place === 0 ? 'token:x' : 'admin' }));
      for (const entry of entries) await store.begin(entry);
      const newestFirst = entries.toSorted((a, b) => b.at.getTime() - a.at.getTime() || (a.id < b.id ? 1 : -1));
      const seen: TrailEntry[] = [];
      for (;;) {
        const page = await store.list({ after: seen.at(-1), limit: 2 });
        seen.push(...page);
        if (page.length < 2) break;
      }
      expect(seen).toEqual(newestFirst);
      expect(await store.list({ actor: 'token:x', limit: 10 })).toEqual([entries[0]]);
      expect(await store.list({ from: at(2), until: at(3), limit: 10 })).toEqual([entries[3]]);
    });

    it('removes what is old, and what is beyond the newest, the oldest first', async () => {
      const entries = [0, 1, 2, 3, 4].map((minute) => anEntry({ at: at(minute) }));
      for (const entry of entries) await store.begin(entry);
      const minutes = async (): Promise<number[]> => (await store.list({ limit: 10 })).map((entry) => entry.at.getUTCMinutes());
      expect(await store.prune({ before: at(2), keepMax: 10, limit: 1 })).toBe(1);
      expect(await minutes()).toEqual([4, 3, 2, 1]);
      expect(await store.prune({ before: at(2), keepMax: 2, limit: 10 })).toBe(2);
      expect(await minutes()).toEqual([4, 3]);
      expect(await store.prune({ before: at(2), keepMax: 2, limit: 10 })).toBe(0);
    });
  });
}
