import { randomUUID } from 'node:crypto';

import { beforeEach, describe, expect, it } from 'vitest';

import { digestOf } from '#oci';
import { DAY_MS, HOUR_MS } from '#quantities';

import { type CountedDemand, type DemandBatch, type DemandStore, type DemandStoreOptions, MODEL_AHEAD_MAX_MS } from '../demand-store.js';
import type { DayAheadState } from '../model/day-ahead.js';
import { DemandModel, type DemandModelState } from '../model/demand-model.js';
import { HALF_LIVES, HALF_LIVES_MS } from '../model/half-lives.js';
import type { DemandKey } from '../observation.js';

/** What batches are worth is mostly looked at by the middle half-life. */
const MIDDLE = 1;
const MIDDLE_MS = HALF_LIVES_MS[MIDDLE];
const LONG_MS = HALF_LIVES_MS[2];

const noon = new Date('2026-05-01T12:00:00.000Z');
const later = (ms: number): Date => new Date(noon.getTime() + ms);
const key = (image: string, region = 'eastus', repository = 'team/app'): DemandKey => ({ region, repository, image: digestOf(image) });
const counted = (of: DemandKey, weight: number, at = noon): CountedDemand => ({ ...of, weights: [weight, weight, weight], at });
const state = (learnedMs: number, startedMs = 0): DemandModelState => ({ ...new DemandModel().state, startedMs, learnedMs });
const batch = (counts: readonly CountedDemand[], drainedAt = noon): DemandBatch => ({ batchId: randomUUID(), drainedAt, counts });

/** Checks that an implementation keeps the contract of {@link DemandStore}; `open` gives an empty store for every test. */
export function demandStoreConformance(name: string, open: (options: DemandStoreOptions) => DemandStore): void {
  describe(`${name} keeps the contract of a demand store`, () => {
    let store: DemandStore;
    beforeEach(() => {
      store = open({ regionCountsMax: 20_000 });
    });

    describe('merging', () => mergingConforms(() => store));
    describe('reading', () => readingConforms(() => store));
    describe('pruning', () => pruningConforms(() => store));
    describe('keeping what was learned', () => learningConforms(() => store));

    it('keeps the most demanded of a region with too many counts, and lets other regions be', async () => {
      store = open({ regionCountsMax: 2 });
      const crowd = ['a', 'b', 'c', 'd'].map((image, n) => counted(key(image), n + 1));
      await store.merge(batch([...crowd, counted(key('a', 'westeurope'), 0.5)]), noon);
      expect((await store.prune(noon, 1)).counts).toBe(1);
      expect((await store.prune(noon, 10)).counts).toBe(1);
      expect((await store.prune(noon, 10)).counts).toBe(0);
      expect((await store.snapshot(noon)).counts.map(({ image, region }) => [region, image])).toEqual([['eastus', key('d').image], ['eastus', key('c').image], ['westeurope', key('a').image]]);
    });
  });
}

function mergingConforms(store: () => DemandStore): void {
  it('takes batches of many keys whole, also when several come at the same time with their keys in other orders', async () => {
    const counts = Array.from({ length: 1203 }, (_, n) => counted(key(`image ${n}`, n % 2 === 0 ? 'eastus' : 'westus'), 1 + (n % 3)));
    const outcomes = await Promise.all([counts, counts.toReversed(), counts.toSorted((a, b) => (a.image < b.image ? -1 : 1))].map((each) => store().merge(batch(each), noon)));
    expect(outcomes).toEqual(['merged', 'merged', 'merged']);
    const snapshot = await store().snapshot(noon);
    expect(snapshot.counts).toHaveLength(1203);
    const byKey = new Map(snapshot.counts.map((each) => [`${each.region} ${each.image}`, each.weights[MIDDLE]]));
    for (const each of counts) expect(byKey.get(`${each.region} ${each.image}`)).toBeCloseTo(3 * each.weights[MIDDLE], 9);
  });

  it('halves each weight with every half-life of its own', async () => {
    await store().merge(batch([{ ...key('a'), weights: [8, 16, 32], at: noon }]), noon);
    for (const halfLife of HALF_LIVES) {
      const weight = 2 ** (3 + halfLife);
      expect((await store().weightsOfImage(key('a'), noon))[halfLife]).toBeCloseTo(weight, 9);
      expect((await store().weightsOfImage(key('a'), later(HALF_LIVES_MS[halfLife])))[halfLife]).toBeCloseTo(weight / 2, 9);
      expect((await store().weightsOfImage(key('a'), later(3 * HALF_LIVES_MS[halfLife])))[halfLife]).toBeCloseTo(weight / 8, 9);
    }
    expect(await store().weightsOfImage(key('unknown'), noon)).toEqual([0, 0, 0]);
  });

  it('merges a batch once, however often it comes', async () => {
    const once = batch([counted(key('a'), 2)]);
    expect(await store().merge(once, noon)).toBe('merged');
    expect(await store().merge(once, later(HOUR_MS))).toBe('repeated');
    expect((await store().weightsOfImage(key('a'), noon))[MIDDLE]).toBeCloseTo(2, 9);
  });

  it('merges a batch once when it comes several times at the same instant', async () => {
    const once = batch([counted(key('a'), 2)]);
    const outcomes = await Promise.all(Array.from({ length: 4 }, () => store().merge(once, noon)));
    expect(outcomes.toSorted()).toEqual(['merged', 'repeated', 'repeated', 'repeated']);
    expect((await store().weightsOfImage(key('a'), noon))[MIDDLE]).toBeCloseTo(2, 9);
  });

  it('comes to the same counts in whatever order batches arrive', async () => {
    const counts = [counted(key('a'), 3, later(-20 * HOUR_MS)), counted(key('a'), 5, later(-1 * HOUR_MS)), counted(key('a'), 7, later(-9 * HOUR_MS))];
    for (const count of counts) await store().merge(batch([{ ...count, region: 'forward' }]), noon);
    for (const count of counts.toReversed()) await store().merge(batch([{ ...count, region: 'backward' }]), noon);
    const forward = (await store().weightsOfImage(key('a', 'forward'), noon))[MIDDLE];
    expect((await store().weightsOfImage(key('a', 'backward'), noon))[MIDDLE]).toBeCloseTo(forward, 9);
    expect(forward).toBeCloseTo(3 * 2 ** -(20 / 72) + 5 * 2 ** -(1 / 72) + 7 * 2 ** -(9 / 72), 9);
  });

  it('takes back what was counted: nothing is left of it, and nobody is told of it', async () => {
    const at = later(-HOUR_MS);
    await store().merge(batch([counted(key('a'), 3, at), counted(key('b'), 1, at)]), noon);
    await store().merge(batch([counted(key('a'), -1, at), counted(key('b'), -1, at)]), noon);
    expect((await store().snapshot(noon)).counts.map(({ image }) => image)).toEqual([key('a').image]);
    expect((await store().weightsOfImage(key('a'), at))[MIDDLE]).toBeCloseTo(2, 9);
    expect((await store().prune(noon, 10)).counts).toBe(1);
  });

  it('adds batches that touch the same keys from several nodes at the same time', async () => {
    const keys = Array.from({ length: 40 }, (_, n) => key(`image ${n}`));
    const batches = Array.from({ length: 6 }, (_, n) => batch((n % 2 === 0 ? keys : keys.toReversed()).map((of) => counted(of, 1))));
    await Promise.all(batches.map((each) => store().merge(each, noon)));
    expect((await store().weightsOfRepository('eastus', 'team/app', noon))[MIDDLE]).toBeCloseTo(240, 6);
  });

  it('takes counts from the future as of now', async () => {
    await store().merge(batch([counted(key('a'), 4, later(30 * DAY_MS))]), noon);
    expect((await store().weightsOfImage(key('a'), noon))[MIDDLE]).toBeCloseTo(4, 9);
    expect((await store().weightsOfImage(key('a'), later(MIDDLE_MS)))[MIDDLE]).toBeCloseTo(2, 9);
  });

  it('takes counts that are older than any number can tell', async () => {
    await store().merge(batch([counted(key('a'), 1, new Date(0))]), noon);
    await store().merge(batch([counted(key('a'), 1)]), noon);
    expect((await store().weightsOfImage(key('a'), noon))[MIDDLE]).toBeCloseTo(1, 9);
    expect((await store().weightsOfImage(key('a'), new Date('2300-01-01T00:00:00.000Z')))[MIDDLE]).toBeLessThan(1e-100);
  });

  it('leaves out a batch so old that its id may be forgotten', async () => {
    const old = batch([counted(key('a'), 1, later(-DAY_MS))], later(-DAY_MS - 1));
    expect(await store().merge(old, noon)).toBe('expired');
    expect((await store().weightsOfImage(key('a'), noon))[MIDDLE]).toBe(0);
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
    expect((await store().weightsOfRepository('eastus', 'team/app', noon))[MIDDLE]).toBeCloseTo(5, 9);
    expect((await store().weightsOfRepository('eastus', 'team/none', noon))[MIDDLE]).toBe(0);
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
    const filtered = await store().list({ limit: 10, region: 'eastus2', repository: 'team-a' }, later(MIDDLE_MS));
    expect(filtered.counts.map((count) => count.repository)).toEqual(['team-a', 'team-a']);
    expect(filtered.counts.map((count) => count.at)).toEqual([later(MIDDLE_MS), later(MIDDLE_MS)]);
    expect(filtered.counts.reduce((sum, count) => sum + count.weights[MIDDLE], 0)).toBeCloseTo((7 + 8) / 2, 9);
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
    const tenHalfLives = later(10 * LONG_MS);
    expect((await store().prune(later(9 * LONG_MS), 10)).counts).toBe(0);
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

function learningConforms(store: () => DemandStore): void {
  it('knows nothing before anything was learned, and then what was learned last', async () => {
    expect(await store().model(noon)).toBeUndefined();
    expect(await store().keepModel(state(noon.getTime() - HOUR_MS), noon)).toBe(true);
    expect(await store().keepModel(state(noon.getTime(), 7), noon)).toBe(true);
    expect(await store().model(noon)).toEqual(state(noon.getTime(), 7));
    expect(new DemandModel(await store().model(noon)).state).toEqual(state(noon.getTime(), 7));
  });

  it('lets no model undo what one has learned that is ahead of it', async () => {
    await store().keepModel(state(noon.getTime()), noon);
    expect(await store().keepModel(state(noon.getTime() - 1, 7), noon)).toBe(false);
    expect(await store().model(noon)).toEqual(state(noon.getTime()));
    expect(await store().keepModel(state(noon.getTime(), 7), noon)).toBe(true);
  });

  it('passes over what was learned by a clock that ran ahead, and takes the next in its place', async () => {
    await store().keepModel(state(noon.getTime() + 400 * DAY_MS), later(400 * DAY_MS));
    expect(await store().model(noon)).toBeUndefined();
    expect(await store().keepModel(state(noon.getTime()), noon)).toBe(true);
    expect(await store().model(noon)).toEqual(state(noon.getTime()));
    const ahead = state(noon.getTime() + MODEL_AHEAD_MAX_MS);
    expect(await store().keepModel(ahead, noon)).toBe(true);
    expect(await store().model(noon)).toEqual(ahead);
  });

  it('passes over what another version of the model has learned', async () => {
    await store().keepModel({ ...state(noon.getTime()), version: 0 as 1 }, noon);
    expect(await store().model(noon)).toBeUndefined();
    expect(await store().keepModel(state(noon.getTime() + 1), noon)).toBe(true);
  });

  it('keeps what was foretold last, under the same terms', async () => {
    const foretold = (atMs: number, expected = 1): DayAheadState => ({ version: 1, atMs, keys: ['team/app sha256:a'], regions: [['eastus', [[0, 1, 2, 3, expected, 0.5, 7.25]]]] });
    expect(await store().foretold(noon)).toBeUndefined();
    expect(await store().keepForetold(foretold(noon.getTime()), noon)).toBe(true);
    expect(await store().keepForetold(foretold(noon.getTime() - 1, 9), noon)).toBe(false);
    expect(await store().foretold(noon)).toEqual(foretold(noon.getTime()));
    await store().keepForetold(foretold(noon.getTime() + 400 * DAY_MS), later(400 * DAY_MS));
    expect(await store().foretold(noon)).toBeUndefined();
    expect(await store().keepForetold(foretold(noon.getTime(), 3), noon)).toBe(true);
    await store().keepForetold({ ...foretold(noon.getTime()), version: 0 as 1 }, noon);
    expect(await store().foretold(noon)).toBeUndefined();
  });
}
