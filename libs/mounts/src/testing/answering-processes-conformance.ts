import { randomUUID } from 'node:crypto';

import { beforeEach, describe, expect, it } from 'vitest';

import { after } from '#clock';

import { type AnsweringBeat, type AnsweringProcesses, SILENCE_MAX_MS } from '../answering-processes.js';

const BEGAN = new Date('2026-03-01T12:00:00.000Z');
/** As long as these processes count. */
const COUNTS_MS = 60_000;
const BEAT_MS = SILENCE_MAX_MS / 3;

function process(name: string, change: Partial<AnsweringBeat> = {}): AnsweringBeat {
  return { id: randomUUID(), name, countsForMs: COUNTS_MS, knownTo: 10n, isUnleased: false, isEnded: false, ...change };
}

/** Checks that an implementation keeps the contract of {@link AnsweringProcesses}; `open` gives an empty one before each test, and `restore` has it be a database that was restored. */
export function answeringProcessesConform(open: () => { readonly store: AnsweringProcesses; readonly restore: () => Promise<void> }): void {
  describe('as the processes that answer', () => {
    let store: AnsweringProcesses;
    let restore: () => Promise<void>;
    /** By the store's clock. */
    let now: Date;
    beforeEach(() => {
      ({ store, restore } = open());
      now = BEGAN;
    });
    const hear = async (...beats: readonly AnsweringBeat[]): Promise<void> => {
      for (const beat of beats) await store.heard(beat, now);
    };
    /** Hears them at an even pace, and nobody else. */
    const goOn = async (ms: number, ...beats: readonly AnsweringBeat[]): Promise<void> => {
      for (const until = after(now, ms); now < until;) {
        now = after(now, BEAT_MS);
        await hear(...beats);
      }
    };
    const standings = async (): Promise<string[]> => (await store.list(now)).map(({ name, standing }) => `${name} ${standing}`);

    it('know nothing when there are none', async () => {
      expect(await store.knownToAll(now)).toBeUndefined();
      expect(await store.list(now)).toEqual([]);
    });

    it('know together what the one knows that lags', async () => {
      const [quick, slow] = [process('quick', { knownTo: 25n }), process('slow', { knownTo: 9n })];
      await goOn(COUNTS_MS + BEAT_MS, quick, slow);
      expect(await store.knownToAll(now)).toBe(9n);
      await goOn(BEAT_MS, quick, { ...slow, knownTo: 24n });
      expect(await store.knownToAll(now)).toBe(24n);
      expect(await standings()).toEqual(expect.arrayContaining(['quick follows', 'slow follows']));
    });

    it('know nothing while one of them does not', async () => {
      const [one, fresh] = [process('one'), process('fresh', { knownTo: undefined })];
      await goOn(COUNTS_MS + BEAT_MS, one, fresh);
      expect(await store.knownToAll(now)).toBeUndefined();
      expect(await standings()).toEqual(expect.arrayContaining(['one follows', 'fresh nothing']));
      await goOn(BEAT_MS, one, { ...fresh, knownTo: 11n });
      expect(await store.knownToAll(now)).toBe(10n);
    });

    it('count a silent one for its whole time and not a moment longer, whatever the others know', async () => {
      const [well, lost] = [process('well', { knownTo: 99n }), process('lost', { knownTo: 7n })];
      await goOn(COUNTS_MS + BEAT_MS, well, lost);
      const heardAt = now;
      await goOn(COUNTS_MS - BEAT_MS, well);
      now = after(heardAt, COUNTS_MS - 1);
      expect([await store.knownToAll(now), await standings()]).toEqual([7n, ['lost silent', 'well follows']]);
      now = after(heardAt, COUNTS_MS);
      expect([await store.knownToAll(now), await standings()]).toEqual([99n, ['well follows']]);
    });

    it('know nothing for as long as they count after one of them gave mounts without a lease', async () => {
      const [one, two] = [process('one'), process('two')];
      await goOn(COUNTS_MS + BEAT_MS, one, two);
      await goOn(BEAT_MS, one, { ...two, isUnleased: true });
      const gaveAt = now;
      await goOn(COUNTS_MS - BEAT_MS, one, two);
      now = after(gaveAt, COUNTS_MS - 1);
      expect([await store.knownToAll(now), await standings()]).toEqual([undefined, expect.arrayContaining(['two unleased'])]);
      now = after(gaveAt, COUNTS_MS);
      expect(await store.knownToAll(now)).toBe(10n);
    });

    it('count one that ended for what it left on disk, until a successor speaks for it', async () => {
      const [other, first] = [process('other', { knownTo: 50n }), process('first', { knownTo: 40n })];
      await goOn(COUNTS_MS + BEAT_MS, other, first);
      await goOn(BEAT_MS, other, { ...first, isEnded: true });
      expect([await store.knownToAll(now), await standings()]).toEqual([40n, expect.arrayContaining(['first ended'])]);
      const second = process('second', { knownTo: undefined, predecessor: first.id });
      await goOn(BEAT_MS, other, second);
      expect(await store.knownToAll(now)).toBeUndefined();
      await goOn(BEAT_MS, other, { ...second, knownTo: 45n });
      expect([await store.knownToAll(now), (await standings()).toSorted()]).toEqual([45n, ['other follows', 'second follows']]);
    });

    it('count a crashed one beside its successor, which cannot know what the other gave last', async () => {
      const [other, crashed] = [process('other', { knownTo: 50n }), process('crashed', { knownTo: 40n })];
      await goOn(COUNTS_MS + BEAT_MS, other, crashed);
      await goOn(BEAT_MS, other, process('second', { knownTo: 50n, predecessor: crashed.id }));
      expect(await store.knownToAll(now)).toBe(40n);
    });

    it('count one that left nothing no more, unless nodes may hold what nobody knows of', async () => {
      const [other, tidy, unleased] = [process('other', { knownTo: 50n }), process('tidy', { knownTo: 30n }), process('unleased', { knownTo: 20n })];
      await goOn(COUNTS_MS + BEAT_MS, other, tidy, unleased);
      await store.forget(tidy.id, now);
      await store.forget(tidy.id, now);
      expect(await store.knownToAll(now)).toBe(20n);
      await hear({ ...unleased, isUnleased: true, isEnded: true });
      await store.forget(unleased.id, now);
      await goOn(BEAT_MS, other, process('successor', { predecessor: unleased.id, knownTo: 50n }));
      expect([await store.knownToAll(now), await standings()]).toEqual([undefined, expect.arrayContaining(['unleased ended'])]);
    });

    it('know nothing right after silence, when the database may be another one than it was', async () => {
      const one = process('one');
      await goOn(COUNTS_MS + BEAT_MS, one);
      now = after(now, SILENCE_MAX_MS + 1);
      expect(await store.knownToAll(now)).toBeUndefined();
      await hear(one);
      await goOn(COUNTS_MS - BEAT_MS, one);
      expect(await store.knownToAll(now)).toBeUndefined();
      await goOn(BEAT_MS, one);
      expect(await store.knownToAll(now)).toBe(10n);
    });

    it('know nothing of a restored database, before and after they are heard, until its history is as long as they count', async () => {
      const one = process('one', { knownTo: 900_000_000_000n });
      await goOn(COUNTS_MS + BEAT_MS, one);
      expect(await store.knownToAll(now)).toBe(900_000_000_000n);
      await restore();
      expect(await store.knownToAll(now)).toBeUndefined();
      await hear(one);
      await goOn(COUNTS_MS - BEAT_MS, { ...one, knownTo: 3n });
      expect(await store.knownToAll(now)).toBeUndefined();
      await goOn(BEAT_MS, { ...one, knownTo: 4n });
      expect(await store.knownToAll(now)).toBe(4n);
    });

    it('are forgotten when they count no more, a few at a time, and the last of all never', async () => {
      const gone = ['a', 'b', 'c'].map((name) => process(name));
      for (const each of gone) {
        now = after(now, 1);
        await hear(each);
      }
      expect(await store.prune(after(now, COUNTS_MS - 3), 9)).toBe(0);
      now = after(now, COUNTS_MS);
      expect([await store.prune(now, 1), await store.prune(now, 9), await store.prune(now, 9)]).toEqual([1, 1, 0]);
      await hear(process('late'));
      expect([await store.prune(now, 9), await standings()]).toEqual([1, ['late follows']]);
    });
  });
}
