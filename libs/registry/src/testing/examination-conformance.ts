import { beforeEach, describe, expect, it } from 'vitest';

import type { Claimed } from '#claims';
import { claimSourceConforms, workListConforms } from '#claims/testing';
import { after } from '#clock';
import { digestOf, OCI_MANIFEST } from '#oci';
import { MINUTE_MS } from '#quantities';

import { type Examination, PUSH_PRIORITY } from '../examination-store.js';
import type { RegistryEvent } from '../registry-event.js';
import { type RegistryStores, sampleRecord, SUITE_NOW as NOW } from './catalogue-conformance.js';

const REPOSITORY = 'team/app';
let eventCount = 0;

/** A push of a tag, with a new id, unless `extra` says otherwise. */
export function sampleEvent(extra: Partial<RegistryEvent> = {}): RegistryEvent {
  eventCount += 1;
  return { id: `event-${eventCount}`, action: 'push', repository: REPOSITORY, at: NOW, digest: digestOf('one'), tag: 'v1', mediaType: OCI_MANIFEST, ...extra };
}

/** Checks that an implementation keeps the contracts of `ExaminationStore` and `BackfillStore`. */
export function examinationConformance(name: string, stores: () => RegistryStores): void {
  describe(`${name} keeps the contract of examinations`, () => {
    let at: RegistryStores;
    beforeEach(() => {
      at = stores();
    });
    describe('events', () => eventsConform(() => at));
    describe('claims', () => claimsConform(() => at));
    describe('examinations', () => {
      claimSourceConforms(() => ({ source: at.examinations, add: (count) => wantExaminations(at, count), nameOf: (item) => item.reference }));
      workListConforms(() => ({ source: at.examinations, work: at.examinations.work, add: (count) => wantExaminations(at, count), nameOf: (item) => item.reference, subject: { repository: REPOSITORY } }));

      it('are looked through a part at a time for what is rare among them', async () => {
        for (let part = 0; part < 3; part += 1) {
          await at.examinations.intake(Array.from({ length: 1000 }, (_none, n) => sampleEvent({ tag: `v${part}-${n}` })), after(NOW, part));
        }
        await at.examinations.intake([sampleEvent({ repository: 'team/rare', tag: 'v1' })], after(NOW, 3));
        const filter = { repository: 'team/rare' };
        const first = await at.examinations.work.list({ limit: 10, filter }, NOW);
        expect(first.entries).toEqual([]);
        const second = await at.examinations.work.list({ after: first.next, limit: 10, filter }, NOW);
        expect(second).toMatchObject({ entries: [{ key: ['team/rare', 'v1'] }] });
        expect(second.next).toBeUndefined();
      });
    });
    describe('backfills', () => {
      backfillsConform(() => at);
      claimSourceConforms(() => ({ source: at.backfills, add: (count) => wantBackfills(at, count), nameOf: (item) => item.repository }));
      workListConforms(() => ({ source: at.backfills, work: at.backfills.work, add: (count) => wantBackfills(at, count), nameOf: (item) => item.repository, subject: {} }));
    });
  });
}

async function wantExaminations(at: RegistryStores, count: number): Promise<string[]> {
  const tags = Array.from({ length: count }, (_none, place) => `v${String(place).padStart(3, '0')}`);
  for (const [place, tag] of tags.entries()) await at.examinations.intake([sampleEvent({ tag })], after(NOW, place - count));
  return tags;
}

async function wantBackfills(at: RegistryStores, count: number): Promise<string[]> {
  const names = Array.from({ length: count }, (_none, place) => `team/app${place}`);
  for (const [place, name] of names.entries()) await at.repositories.enable(name, after(NOW, place - count));
  return names;
}

async function claimAll(at: RegistryStores, now = NOW, limit = 100): Promise<Claimed<Examination>[]> {
  const claimed = await at.examinations.claim({ owner: 'worker', limit, now, leaseMs: MINUTE_MS });
  return claimed.toSorted((a, b) => b.item.priority - a.item.priority);
}

function eventsConform(at: () => RegistryStores): void {
  it('that come twice, in one notification or two, count once', async () => {
    const event = sampleEvent();
    const other = sampleEvent({ tag: 'v2' });
    expect(await at().examinations.intake([event, event], NOW)).toEqual({ fresh: [event], duplicateCount: 1, wantedCount: 1 });
    expect(await at().examinations.intake([event, other], NOW)).toEqual({ fresh: [other], duplicateCount: 1, wantedCount: 1 });
    expect(await at().examinations.openCount()).toBe(2);
    expect(await at().examinations.openCount('team/none')).toBe(0);
  });

  it('about the same reference become one examination, with the latest push whatever their order', async () => {
    await at().examinations.intake([sampleEvent({ at: after(NOW, -1000) }), sampleEvent({ at: after(NOW, -5000) })], NOW);
    await at().examinations.intake([sampleEvent({ at: after(NOW, -9000) }), sampleEvent({ action: 'delete' })], NOW);
    const [claimed, ...others] = await claimAll(at());
    expect(others).toEqual([]);
    expect(claimed?.item).toEqual({ repository: REPOSITORY, reference: 'v1', generation: 2, priority: PUSH_PRIORITY, pushedAt: after(NOW, -1000) });
    expect(claimed?.claim.attempt).toBe(1);
  });

  it('of pulls and blobs are returned and want nothing', async () => {
    const pull = sampleEvent({ action: 'pull' });
    const blob = sampleEvent({ mediaType: 'application/octet-stream', tag: undefined as never });
    expect(await at().examinations.intake([pull, blob], NOW)).toEqual({ fresh: [pull, blob], duplicateCount: 0, wantedCount: 0 });
    expect(await at().examinations.intake([], NOW)).toEqual({ fresh: [], duplicateCount: 0, wantedCount: 0 });
  });

  it('are forgotten when they are old, the oldest first', async () => {
    const old = sampleEvent();
    await at().examinations.intake([old], after(NOW, -2000));
    await at().examinations.intake([sampleEvent(), sampleEvent()], after(NOW, -1000));
    await at().examinations.intake([sampleEvent()], NOW);
    expect(await at().examinations.pruneEvents(NOW, 1)).toBe(1);
    expect((await at().examinations.intake([old], NOW)).fresh).toEqual([old]);
    expect(await at().examinations.pruneEvents(NOW, 10)).toBe(2);
    expect(await at().examinations.pruneEvents(NOW, 10)).toBe(0);
  });
}

function claimsConform(at: () => RegistryStores): void {
  it('of an examination that was wanted again meanwhile make it run once more', async () => {
    await at().examinations.intake([sampleEvent()], NOW);
    const [first] = await claimAll(at());
    await at().examinations.intake([sampleEvent(), sampleEvent()], NOW);
    expect(await claimAll(at())).toEqual([]);
    expect(await at().examinations.settle(first?.claim.id ?? '', 1, NOW)).toBe(true);
    const [second] = await claimAll(at());
    expect(second?.item.generation).toBe(2);
    expect(second?.claim.attempt).toBe(1);
    expect(await at().examinations.settle(second?.claim.id ?? '', 2, NOW)).toBe(true);
    expect(await at().examinations.openCount()).toBe(0);
  });

  it('that ran out are taken over, and the slow worker changes nothing any more', async () => {
    await at().examinations.intake([sampleEvent()], NOW);
    const [slow] = await claimAll(at());
    const [quick] = await claimAll(at(), after(NOW, MINUTE_MS));
    expect(quick?.claim.attempt).toBe(2);
    const slowId = slow?.claim.id ?? '';
    const image = sampleRecord('one', []);
    expect(await at().images.record({ repository: REPOSITORY, image, children: [], tag: 'v1' }, { now: NOW, claimId: slowId })).toBe(false);
    expect(await at().examinations.settle(slowId, 1, NOW)).toBe(false);
    expect(await at().examinations.release(slowId)).toBe(false);
    expect(await at().examinations.postpone(slowId, { now: NOW, waitMs: 0, reason: 'late' })).toBe(false);
    expect(await at().examinations.renew([slowId, quick?.claim.id ?? ''], NOW, 5 * MINUTE_MS)).toEqual(new Set([quick?.claim.id]));
    expect(await claimAll(at(), after(NOW, 4 * MINUTE_MS))).toEqual([]);
    expect(await at().images.record({ repository: REPOSITORY, image, children: [], tag: 'v1' }, { now: NOW, claimId: quick?.claim.id })).toBe(true);
    expect(await at().examinations.settle(quick?.claim.id ?? '', 1, NOW)).toBe(true);
  });

  it('that failed wait for their time, unless something new happens', async () => {
    await at().examinations.intake([sampleEvent()], NOW);
    const [failed] = await claimAll(at());
    expect(await at().examinations.postpone(failed?.claim.id ?? '', { now: NOW, waitMs: MINUTE_MS, reason: 'REGISTRY_UNAVAILABLE' })).toBe(true);
    expect(await claimAll(at())).toEqual([]);
    await at().examinations.intake([sampleEvent()], NOW);
    const [again] = await claimAll(at());
    expect(again?.claim.attempt).toBe(2);
    expect(await at().examinations.release(again?.claim.id ?? '')).toBe(true);
    expect((await claimAll(at()))[0]?.claim.attempt).toBe(2);
  });
}

function backfillsConform(at: () => RegistryStores): void {
  const claimBackfill = async (now = NOW): Promise<string> => {
    const [claimed] = await at().backfills.claim({ owner: 'worker', limit: 1, now, leaseMs: MINUTE_MS });
    return claimed?.claim.id ?? '';
  };
  const progress = async (): Promise<unknown> => (await at().repositories.get(REPOSITORY))?.backfill;

  it('are claimed in the order in which repositories were enabled', async () => {
    await at().repositories.enable('later', after(NOW, 1));
    await at().repositories.enable(REPOSITORY, NOW);
    const claimed = await at().backfills.claim({ owner: 'worker', limit: 1, now: after(NOW, 2), leaseMs: MINUTE_MS });
    expect(claimed.map(({ item }) => item)).toEqual([{ repository: REPOSITORY }]);
    expect(await progress()).toEqual({ state: 'listing', totalCount: 0, doneCount: 0, startedAt: after(NOW, 2) });
  });

  it('show how far they are, from listing to done', async () => {
    await at().repositories.enable(REPOSITORY, NOW);
    const claimId = await claimBackfill();
    expect(await at().backfills.progress(claimId, { totalCount: 2, doneCount: 1 })).toBe(true);
    expect(await progress()).toMatchObject({ state: 'listing', totalCount: 2, doneCount: 1 });
    expect(await at().backfills.wantExaminations(claimId, ['v2', 'v1'], NOW)).toBe(true);
    expect(await progress()).toMatchObject({ state: 'examining', totalCount: 2, doneCount: 0 });
    expect(await claimBackfill()).toBe('');
    const claimed = await claimAll(at());
    expect(claimed.map(({ item }) => item.reference)).toEqual(['v2', 'v1']);
    for (const { claim, item } of claimed) expect(await at().examinations.settle(claim.id, item.generation, after(NOW, 7))).toBe(true);
    expect(await progress()).toEqual({ state: 'done', totalCount: 2, doneCount: 2, startedAt: NOW, finishedAt: after(NOW, 7) });
  });

  it('of repositories without tags are done at once', async () => {
    await at().repositories.enable(REPOSITORY, NOW);
    expect(await at().backfills.wantExaminations(await claimBackfill(), [], NOW)).toBe(true);
    expect(await progress()).toMatchObject({ state: 'done', finishedAt: NOW });
  });

  it('come after every push, and count a reference that a push asks for as well once', async () => {
    await at().repositories.enable(REPOSITORY, NOW);
    await at().examinations.intake([sampleEvent({ tag: 'v1' })], NOW);
    await at().backfills.wantExaminations(await claimBackfill(), ['v3', 'v2', 'v1'], NOW);
    await at().examinations.intake([sampleEvent({ tag: 'v2' }), sampleEvent({ tag: 'v9' })], after(NOW, 1));
    const order: string[] = [];
    for (let [next] = await claimAll(at(), after(NOW, 2), 1); next !== undefined; [next] = await claimAll(at(), after(NOW, 2), 1)) {
      order.push(next.item.reference);
      await at().examinations.settle(next.claim.id, next.item.generation, NOW);
    }
    expect(order).toEqual(['v1', 'v2', 'v9', 'v3']);
    expect(await progress()).toMatchObject({ state: 'done', totalCount: 3, doneCount: 3 });
  });

  it('that a worker lost are begun anew by another, and lose nothing', async () => {
    await at().repositories.enable(REPOSITORY, NOW);
    const lost = await claimBackfill();
    const mine = await claimBackfill(after(NOW, MINUTE_MS));
    expect(mine).not.toBe('');
    expect(await at().backfills.wantExaminations(lost, ['v1'], NOW)).toBe(false);
    expect(await at().backfills.progress(lost, { totalCount: 9, doneCount: 9 })).toBe(false);
    expect(await at().backfills.renew([lost, mine], NOW, 9 * MINUTE_MS)).toEqual(new Set([mine]));
    expect(await at().examinations.openCount()).toBe(0);
    expect(await at().backfills.postpone(mine, { now: NOW, waitMs: 2 * MINUTE_MS, reason: 'REGISTRY_UNAVAILABLE: no' })).toBe(true);
    expect(await progress()).toMatchObject({ state: 'waiting', lastError: 'REGISTRY_UNAVAILABLE: no' });
    const again = await claimBackfill(after(NOW, 2 * MINUTE_MS));
    expect(await at().backfills.release(again)).toBe(true);
    expect(await progress()).toMatchObject({ state: 'waiting' });
  });

  it('are wanted anew of enabled repositories whose last one is old', async () => {
    await at().repositories.enable(REPOSITORY, NOW);
    expect(await at().backfills.wantAgain(after(NOW, MINUTE_MS), 10)).toBe(0);
    await at().backfills.wantExaminations(await claimBackfill(), [], NOW);
    expect(await at().backfills.wantAgain(NOW, 10)).toBe(0);
    expect(await at().backfills.wantAgain(after(NOW, 1), 0)).toBe(0);
    expect(await at().backfills.wantAgain(after(NOW, 1), 10)).toBe(1);
    expect(await progress()).toEqual({ state: 'waiting', totalCount: 0, doneCount: 0 });
    await at().backfills.wantExaminations(await claimBackfill(), [], NOW);
    await at().repositories.disable(REPOSITORY, NOW);
    expect(await at().backfills.wantAgain(after(NOW, 1), 10)).toBe(0);
  });

  it('of a repository that is disabled meanwhile are over', async () => {
    await at().repositories.enable(REPOSITORY, NOW);
    const claimId = await claimBackfill();
    await at().repositories.disable(REPOSITORY, NOW);
    expect(await at().backfills.wantExaminations(claimId, ['v1'], NOW)).toBe(false);
    expect(await progress()).toEqual({ state: 'none', totalCount: 0, doneCount: 0 });
  });
}
