import { randomUUID } from 'node:crypto';

import { beforeEach, describe, expect, it } from 'vitest';

import { digestOf } from '#oci';
import { DAY_MS, HOUR_MS } from '#quantities';

import { type CountedDemand, type DemandBatch, type DemandStore, type DemandStoreOptions } from '../demand-store.js';
import type { DemandKey } from '../observation.js';

/** The half-life that the suite opens stores with. */
export const SUITE_HALF_LIFE_MS = 3 * DAY_MS;

const noon = new Date('2026-05-01T12:00:00.000Z');
const later = (ms: number): Date => new Date(noon.getTime() + ms);
const key = (image: string, region = 'eastus', repository = 'team/app'): DemandKey => ({ region, repository, image: digestOf(image) });
const counted = (of: DemandKey, weight: number, at = noon): CountedDemand => ({ ...of, count: { weight, at } });
const batch = (counts: readonly CountedDemand[], drainedAt = noon): DemandBatch => ({ batchId: randomUUID(), drainedAt, counts });

/** Checks that an implementation keeps the contract of {@link DemandStore}; `open` gives an empty store for every test. */
export function demandStoreConformance(name: string, open: (options: DemandStoreOptions) => DemandStore): void {
  describe(`${name} keeps the contract of a demand store`, () => {
    let store: DemandStore;
    beforeEach(() => {
      store = open({ halfLifeMs: SUITE_HALF_LIFE_MS });
    });

    describe('merging', () => mergingConforms(() => store));
    describe('reading', () => readingConforms(() => store));
    describe('pruning', () => pruningConforms(() => store));
  });
}

function mergingConforms(store: () => DemandStore): void {
  it('halves a count with every half-life', async () => {
    await store().merge(batch([counted(key('a'), 8)]), noon);
    expect(await store().weightOfImage(key('a'), noon)).toBeCloseTo(8, 9);
    expect(await store().weightOfImage(key('a'), later(SUITE_HALF_LIFE_MS))).toBeCloseTo(4, 9);
    expect(await store().weightOfImage(key('a'), later(3 * SUITE_HALF_LIFE_MS))).toBeCloseTo(1, 9);
    expect(await store().weightOfImage(key('unknown'), noon)).toBe(0);
  });

  it('merges a batch once, however often it comes', async () => {
    const once = batch([counted(key('a'), 2)]);
    expect(await store().merge(once, noon)).toBe('merged');
    expect(await store().merge(once, later(HOUR_MS))).toBe('repeated');
    expect(await store().weightOfImage(key('a'), noon)).toBeCloseTo(2, 9);
  });

  it('merges a batch once when it comes several times at the same instant', async () => {
    const once = batch([counted(key('a'), 2)]);
    const outcomes = await Promise.all(Array.from({ length: 4 }, () => store().merge(once, noon)));
    expect(outcomes.toSorted()).toEqual(['merged', 'repeated', 'repeated', 'repeated']);
    expect(await store().weightOfImage(key('a'), noon)).toBeCloseTo(2, 9);
  });

  it('comes to the same counts in whatever order batches arrive', async () => {
    const counts = [counted(key('a'), 3, later(-20 * HOUR_MS)), counted(key('a'), 5, later(-1 * HOUR_MS)), counted(key('a'), 7, later(-9 * HOUR_MS))];
    for (const count of counts) await store().merge(batch([{ ...count, region: 'forward' }]), noon);
    for (const count of counts.toReversed()) await store().merge(batch([{ ...count, region: 'backward' }]), noon);
    const forward = await store().weightOfImage(key('a', 'forward'), noon);
    expect(await store().weightOfImage(key('a', 'backward'), noon)).toBeCloseTo(forward, 9);
    expect(forward).toBeCloseTo(3 * 2 ** -(20 / 72) + 5 * 2 ** -(1 / 72) + 7 * 2 ** -(9 / 72), 9);
  });

  it('adds batches that touch the same keys from several nodes at the same time', async () => {
    const keys = Array.from({ length: 40 }, (_, n) => key(`image ${n}`));
    const batches = Array.from({ length: 6 }, (_, n) => batch((n % 2 === 0 ? keys : keys.toReversed()).map((of) => counted(of, 1))));
    await Promise.all(batches.map((each) => store().merge(each, noon)));
    expect(await store().weightOfRepository('eastus', 'team/app', noon)).toBeCloseTo(240, 6);
  });

  it('takes counts from the future as of now', async () => {
    await store().merge(batch([counted(key('a'), 4, later(30 * DAY_MS))]), noon);
    expect(await store().weightOfImage(key('a'), noon)).toBeCloseTo(4, 9);
    expect(await store().weightOfImage(key('a'), later(SUITE_HALF_LIFE_MS))).toBeCloseTo(2, 9);
  });

  it('takes counts that are older than any number can tell', async () => {
    await store().merge(batch([counted(key('a'), 1, new Date(0))]), noon);
    await store().merge(batch([counted(key('a'), 1)]), noon);
    expect(await store().weightOfImage(key('a'), noon)).toBeCloseTo(1, 9);
    expect(await store().weightOfImage(key('a'), new Date('2300-01-01T00:00:00.000Z'))).toBeLessThan(1e-100);
  });

  it('leaves out a batch so old that its id may be forgotten', async () => {
    const old = batch([counted(key('a'), 1, later(-DAY_MS))], later(-DAY_MS - 1));
    expect(await store().merge(old, noon)).toBe('expired');
    expect(await store().weightOfImage(key('a'), noon)).toBe(0);
  });

  it('takes a batch of ten thousand counts in one go', async () => {
    const many = Array.from({ length: 10_000 }, (_, n) => counted(key('a', 'eastus', `team/app-${n}`), 1));
    expect(await store().merge(batch(many), noon)).toBe('merged');
    expect((await store().snapshot(noon)).counts).toHaveLength(10_000);
  });
}

function readingConforms(store: () => DemandStore): void {
  it('sums a repository over its images, in one region', async () => {
    const counts = [counted(key('a'), 2), counted(key('b'), 3), counted(key('a', 'westeurope'), 50), counted(key('a', 'eastus', 'team/app2'), 70)];
    await store().merge(batch(counts), noon);
    expect(await store().weightOfRepository('eastus', 'team/app', noon)).toBeCloseTo(5, 9);
    expect(await store().weightOfRepository('eastus', 'team/none', noon)).toBe(0);
  });

  it('lists each count once over pages, by region, repository and image', async () => {
    const repositories = ['team/b', 'team-a', 'team/a', 'team_a/x'];
    const keys = repositories.flatMap((repository) => ['eastus', 'eastus2'].flatMap((region) => [key('x', region, repository), key('y', region, repository)]));
    await store().merge(batch(keys.map((of, n) => counted(of, n + 1))), noon);
    const seen: CountedDemand[] = [];
    let after: DemandKey | undefined;
    do {
      const page = await store().list({ limit: 3, ...(after === undefined ? {} : { after }) }, noon);
      seen.push(...page.counts);
      after = page.next;
    } while (after !== undefined);
    const text = (of: DemandKey): string => `${of.region} ${of.repository} ${of.image}`;
    expect(seen.map(text)).toEqual(keys.map(text).toSorted());
    const filtered = await store().list({ limit: 10, region: 'eastus2', repository: 'team-a' }, later(SUITE_HALF_LIFE_MS));
    expect(filtered.counts.map((count) => count.repository)).toEqual(['team-a', 'team-a']);
    expect(filtered.counts.map((count) => count.count.at)).toEqual([later(SUITE_HALF_LIFE_MS), later(SUITE_HALF_LIFE_MS)]);
    expect(filtered.counts.reduce((sum, count) => sum + count.count.weight, 0)).toBeCloseTo((7 + 8) / 2, 9);
  });

  it('gives a snapshot of all that is worth knowing, the most demanded first', async () => {
    await store().merge(batch([counted(key('a'), 2), counted(key('b'), 9), counted(key('c'), 0.0009), counted(key('d'), 2)]), noon);
    const snapshot = await store().snapshot(noon);
    const twos = [key('a').image, key('d').image].toSorted();
    expect(snapshot).toMatchObject({ at: noon, truncated: false });
    expect(snapshot.counts.map((count) => count.image)).toEqual([key('b').image, ...twos]);
  });
}

function pruningConforms(store: () => DemandStore): void {
  it('forgets counts that are worth less than a thousandth of a pull, and no others', async () => {
    await store().merge(batch([counted(key('hot'), 100), counted(key('cold'), 1)]), noon);
    const tenHalfLives = later(10 * SUITE_HALF_LIFE_MS);
    expect((await store().prune(later(9 * SUITE_HALF_LIFE_MS), 10)).counts).toBe(0);
    expect((await store().prune(tenHalfLives, 10)).counts).toBe(1);
    expect((await store().list({ limit: 10 }, tenHalfLives)).counts.map((count) => count.image)).toEqual([key('hot').image]);
  });

  it('forgets batch ids only when a clock a day behind would not take the batch any more', async () => {
    const once = batch([counted(key('a'), 1)]);
    await store().merge(once, noon);
    expect((await store().prune(later(2 * DAY_MS), 10)).batches).toBe(0);
    expect(await store().merge(once, later(DAY_MS))).toBe('repeated');
    expect((await store().prune(later(2 * DAY_MS + 1), 10)).batches).toBe(1);
    expect(await store().merge(once, later(DAY_MS + 1))).toBe('expired');
  });

  it('prunes no more than it is asked to', async () => {
    await store().merge(batch(['a', 'b', 'c'].map((image) => counted(key(image), 0.0001))), noon);
    expect((await store().prune(noon, 2)).counts).toBe(2);
    expect((await store().prune(noon, 2)).counts).toBe(1);
  });
}
