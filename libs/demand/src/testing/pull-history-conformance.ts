import { randomUUID } from 'node:crypto';

import { beforeEach, describe, expect, it } from 'vitest';

import { digestOf } from '#oci';

import { HISTORY_BATCH_AGE_MAX_MS, type HistoryBatch, type HistoryEvent, type HistoryMark, type PullHistory, type ToldPull } from '../history/pull-history.js';

const NOW = new Date('2026-06-01T12:00:00.000Z');
const later = (ms: number): Date => new Date(NOW.getTime() + ms);
const [IMAGE, OTHER] = [digestOf('image'), digestOf('other')];

function aBatch(changes: Partial<HistoryBatch> = {}): HistoryBatch {
  return { batchId: randomUUID(), closedAt: NOW, totals: [{ region: 'eastus', repository: 'team/app', image: IMAGE, pulls: 3 }], lines: [], ...changes };
}

function aPull(second: number, client = 'a'): ToldPull {
  return { region: 'eastus', repository: 'team/app', image: IMAGE, at: later(second * 1000), client };
}

/** An empty history, and how its pins are noted, in the order of their coming. */
export interface OpenedHistory {
  readonly history: PullHistory;
  readonly notePin: (pin: HistoryEvent & { readonly kind: 'pin'; readonly region: string }) => Promise<void>;
}

/** Checks that an implementation keeps the contract of {@link PullHistory} as far as pulls and pins go; `open` gives an empty one for every test. */
export function pullHistoryConformance(name: string, open: () => OpenedHistory): void {
  describe(`${name} keeps the contract of the history`, () => {
    let history: PullHistory;
    let notePin: OpenedHistory['notePin'];
    beforeEach(() => {
      ({ history, notePin } = open());
    });
    const totals = (): Promise<number[]> => history.totals('eastus', [{ repository: 'team/app', digest: OTHER }, { repository: 'team/app', digest: IMAGE }]);
    const all = { since: new Date(0), until: later(1e9) };

    it('adds batches up, each once, and none that is too old', async () => {
      const batch = aBatch({ lines: [aPull(1)] });
      expect([await history.keep(batch, NOW), await history.keep(batch, NOW), await history.keep(aBatch(), NOW)]).toEqual(['kept', 'repeated', 'kept']);
      expect(await history.keep(aBatch(), later(HISTORY_BATCH_AGE_MAX_MS + 1))).toBe('expired');
      expect(await totals()).toEqual([0, 6]);
      expect(await history.totals('westus', [{ repository: 'team/app', digest: IMAGE }])).toEqual([0]);
      expect((await history.events({ ...all, limit: 10 })).events).toHaveLength(1);
    });

    it('keeps a batch of very many images and pulls whole', async () => {
      const images = Array.from({ length: 1203 }, (_, n) => digestOf(`image ${n}`));
      await history.keep(aBatch({ totals: images.map((image, n) => ({ region: 'eastus', repository: 'team/app', image, pulls: n })), lines: images.map((image, n) => ({ ...aPull(n), image })) }), NOW);
      expect(await history.totals('eastus', images.map((digest) => ({ repository: 'team/app', digest })))).toEqual(images.map((_, n) => n));
      expect((await history.events({ ...all, limit: 2000 })).events.map(({ image }) => image)).toEqual(images);
    });

    it('tells events in the order of their instants, page by page, between two instants', async () => {
      await history.keep(aBatch({ lines: [aPull(5), aPull(1), aPull(3, 'b')] }), NOW);
      await history.keep(aBatch({ lines: [aPull(3, 'c'), aPull(2), aPull(9)] }), NOW);
      const seen: string[] = [];
      let after: HistoryMark | undefined;
      do {
        const page = await history.events({ since: later(1000), until: later(9000), limit: 2, ...(after === undefined ? {} : { after }) });
        seen.push(...page.events.map(({ at, client }) => `${(at.getTime() - NOW.getTime()) / 1000} ${client}`));
        after = page.next;
      } while (after !== undefined);
      expect(seen).toEqual(['1 a', '2 a', '3 b', '3 c', '5 a']);
    });

    it('forgets what is too old, and the oldest of too many', async () => {
      const bounds = { before: later(2000), eventsMax: 100, totalsBefore: new Date(0), now: NOW };
      await history.keep(aBatch({ lines: [1, 2, 3, 4, 5].map((second) => aPull(second)) }), NOW);
      expect(await history.prune(bounds, 10)).toBe(1);
      const seconds = async (): Promise<number[]> => (await history.events({ ...all, limit: 10 })).events.map(({ at }) => (at.getTime() - NOW.getTime()) / 1000);
      expect(await seconds()).toEqual([2, 3, 4, 5]);
      await history.prune({ ...bounds, eventsMax: 2 }, 10);
      expect(await seconds()).toEqual([4, 5]);
      expect(await totals()).toEqual([0, 3]);
      await history.prune({ ...bounds, totalsBefore: later(1) }, 10);
      expect(await totals()).toEqual([0, 0]);
    });

    /** Pins by the seconds at which they begin and end. */
    const pinned = async (...spans: readonly (readonly [second: number, until?: number])[]): Promise<void> => {
      for (const [second, until] of spans) await notePin({ kind: 'pin', at: later(second * 1000), region: 'eastus', repository: 'team/app', image: IMAGE, ...(until === undefined ? {} : { until: later(until * 1000) }) });
    };
    const secondsOf = (events: readonly HistoryEvent[]): unknown[] =>
      events.map(({ kind, at, until }) => [kind, (at.getTime() - NOW.getTime()) / 1000, ...(until === undefined ? [] : [(until.getTime() - NOW.getTime()) / 1000])]);

    it('begins with the pins that hold when it begins, as made then, page by page', async () => {
      await pinned([1, 3], [1, 30], [2], [5, 6], [30]);
      await history.keep(aBatch({ lines: [aPull(2), aPull(5), aPull(7)] }), NOW);
      const seen: HistoryEvent[] = [];
      let after: HistoryMark | undefined;
      do {
        const page = await history.events({ since: later(5000), until: later(8000), limit: 1, ...(after === undefined ? {} : { after }) });
        seen.push(...page.events);
        after = page.next;
      } while (after !== undefined);
      expect(secondsOf(seen)).toEqual([['pin', 5, 30], ['pin', 5], ['pin', 5, 6], ['pull', 5], ['pull', 7]]);
      expect((await history.events({ since: later(8000), until: later(8000), limit: 10 })).events).toEqual([]);
    });

    it('forgets a pin only when it has ended for so long, and with the oldest of too many when it has ended', async () => {
      const bounds = { before: later(10_000), eventsMax: 100, totalsBefore: new Date(0), now: later(20_000) };
      await pinned([1, 5], [2, 15], [3, 30], [4], [12, 13]);
      const left = async (): Promise<unknown[]> => secondsOf((await history.events({ ...all, limit: 10 })).events);
      await history.prune(bounds, 10);
      expect(await left()).toEqual([['pin', 2, 15], ['pin', 3, 30], ['pin', 4], ['pin', 12, 13]]);
      await history.prune({ ...bounds, eventsMax: 0 }, 10);
      expect(await left()).toEqual([['pin', 3, 30], ['pin', 4]]);
      await history.prune({ ...bounds, before: later(40_000), now: later(40_000) }, 10);
      expect(await left()).toEqual([['pin', 4]]);
    });
  });
}
