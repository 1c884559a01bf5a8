import { randomUUID } from 'node:crypto';

import { describe, expect, it } from 'vitest';

import { digestOf } from '#oci';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '#quantities';

import type { DemandSnapshot } from './demand-store.js';
import { type DemandModelState } from './model/demand-model.js';
import { forecastKey, type ForecastImage } from './model/demand-view.js';
import { COUNTS_AGE_MAX_MS, MODEL_AGE_MAX_MS, MODEL_KEPT_EVERY_MS, StoredForecasts, type ForecastWorld, type RegionForecasts } from './stored-forecasts.js';
import { MemoryDemandStore } from './testing/memory-demand-store.js';

const BEGAN_MS = Date.parse('2026-03-02T00:00:00.000Z');
const [newest, older]: [ForecastImage, ForecastImage] = [
  { repository: 'team/app', digest: digestOf('v2'), pushedAt: new Date(BEGAN_MS - DAY_MS), generation: 0 },
  { repository: 'team/app', digest: digestOf('v1'), pushedAt: new Date(BEGAN_MS - 9 * DAY_MS), generation: 1 },
];
const at = (ms: number): Date => new Date(BEGAN_MS + ms);
const world = (ms: number, images = [newest, older]): ForecastWorld => ({ at: at(ms), regions: ['eastus', 'westeurope'], images });

/** What every region pulls now and then. */
const agent: ForecastImage = { repository: 'ops/agent', digest: digestOf('agent'), pushedAt: new Date(BEGAN_MS - 9 * DAY_MS), generation: 0 };

/** A store that counts how often it is read whole, and what it is given to keep. */
class WatchedStore extends MemoryDemandStore {
  readCount = 0;
  readonly kept: DemandModelState[] = [];

  override snapshot(now: Date): Promise<DemandSnapshot> {
    this.readCount += 1;
    return super.snapshot(now);
  }

  override keepModel(state: DemandModelState, now: Date): Promise<boolean> {
    this.kept.push(state);
    return super.keepModel(state, now);
  }

  pull(region: string, ms: number, count = 1, image = newest): Promise<unknown> {
    const counted = { region, repository: image.repository, image: image.digest, weights: [count, count, count] as const, at: at(ms) };
    return this.merge({ batchId: randomUUID(), drainedAt: at(ms), counts: [counted] }, at(ms));
  }
}

/** The same but for rounding: counters that were read at different instants add up in another order. */
function expectSame(one: RegionForecasts, other: RegionForecasts): void {
  const rounded = (of: RegionForecasts): unknown => [...of].map(([region, images]) => [region, [...images].map(([key, { expectedPulls, probability, low, high }]) => [key, ...[expectedPulls, probability, low, high].map((each) => each.toFixed(9))])]);
  expect(rounded(one)).toEqual(rounded(other));
}

/** Lets hours pass with a pull each in eastus; every hour someone looks. */
async function pass(store: WatchedStore, hours: number, look: (ms: number) => Promise<unknown>, fromHour = 0): Promise<void> {
  for (let hour = fromHour; hour < fromHour + hours; hour += 1) {
    await store.pull('eastus', hour * HOUR_MS + 30 * MINUTE_MS);
    await look((hour + 1) * HOUR_MS);
  }
}

describe('forecasts from a store', () => {
  it('are of what was counted, by region and image', async () => {
    const store = new WatchedStore();
    const forecasts = new StoredForecasts(store);
    await store.pull('westeurope', 0, 3, agent);
    await pass(store, 72, (ms) => forecasts.ofAll(world(ms), DAY_MS));
    const foretold = await forecasts.ofAll(world(72 * HOUR_MS), DAY_MS);
    const eastus = foretold.get('eastus')!;
    expect(eastus.get(forecastKey(newest))!.expectedPulls).toBeGreaterThan(15);
    expect(eastus.get(forecastKey(newest))!.expectedPulls).toBeLessThan(30);
    expect(eastus.get(forecastKey(older))!.expectedPulls).toBeLessThan(5);
    expect(foretold.get('westeurope')!.get(forecastKey(newest))!.elsewherePulls).toBeGreaterThan(0);
  });

  it('count pulls in regions that are not asked for as pulls elsewhere', async () => {
    const store = new WatchedStore();
    await store.pull('brazilsouth', 0, 50);
    await store.pull('eastus', 0, 1, agent);
    const foretold = await new StoredForecasts(store).ofAll(world(MINUTE_MS), DAY_MS);
    expect(foretold.get('eastus')!.get(forecastKey(newest))!.elsewherePulls).toBeGreaterThan(0);
  });

  it('go on in a process that begins from what another has kept', async () => {
    const store = new WatchedStore();
    const first = new StoredForecasts(store);
    await pass(store, 48, (ms) => first.ofAll(world(ms), DAY_MS));
    const end = world(48 * HOUR_MS + MINUTE_MS);
    expectSame(await new StoredForecasts(store).ofSome(end, DAY_MS), await first.ofSome(end, DAY_MS));
  });

  it('keep what was learned no more often than every five minutes', async () => {
    const store = new WatchedStore();
    const forecasts = new StoredForecasts(store);
    for (let minute = 0; minute < 20; minute += 1) await forecasts.ofAll(world(minute * MINUTE_MS), DAY_MS);
    expect(store.kept.map(({ learnedMs }) => learnedMs - BEGAN_MS)).toEqual([0, 1, 2, 3].map((n) => n * MODEL_KEPT_EVERY_MS));
  });

  it('of a process that has not looked for long are those of what another has learned meanwhile', async () => {
    const store = new WatchedStore();
    const [idle, busy] = [new StoredForecasts(store), new StoredForecasts(store)];
    await pass(store, 2, (ms) => idle.ofAll(world(ms), DAY_MS));
    await pass(store, 30, (ms) => busy.ofAll(world(ms), DAY_MS), 2);
    const now = 32 * HOUR_MS + MINUTE_MS;
    expect(now - 2 * HOUR_MS).toBeGreaterThan(MODEL_AGE_MAX_MS);
    expectSame(await idle.ofSome(world(now), DAY_MS), await busy.ofSome(world(now), DAY_MS));
  });

  it('are held against what came, also where no process lasts a day', async () => {
    const store = new WatchedStore();
    for (let half = 0; half < 6; half += 1) {
      const restarted = new StoredForecasts(store);
      await pass(store, 12, (ms) => restarted.ofAll(world(ms), DAY_MS), 12 * half);
    }
    const calibration = new Map((await store.model(at(72 * HOUR_MS)))!.calibrations).get('eastus')!;
    expect(calibration.errors).toHaveLength(3);
    expect((await store.foretold(at(72 * HOUR_MS)))!.atMs).toBeGreaterThan(BEGAN_MS + 47 * HOUR_MS);
  });

  it('of some images know what was pulled of them a moment ago', async () => {
    const store = new WatchedStore();
    const forecasts = new StoredForecasts(store);
    await store.pull('westeurope', 0, 5, older);
    await forecasts.ofAll(world(0), DAY_MS);
    await store.pull('eastus', MINUTE_MS, 30, older);
    const [again, anew] = [await forecasts.ofSome(world(2 * MINUTE_MS), DAY_MS), await new StoredForecasts(store).ofSome(world(2 * MINUTE_MS), DAY_MS)];
    expectSame(again, anew);
    expectSame(await forecasts.ofSome(world(2 * MINUTE_MS), DAY_MS), anew);
    expect(again.get('eastus')!.get(forecastKey(older))!.expectedPulls).toBeGreaterThan(20);
  });

  it.each([
    ['taken back a moment ago', [newest, older], false],
    ['taken back and forgotten a moment ago', [newest, older], true],
    ['taken back and forgotten of an image that is gone', [newest], true],
  ] as const)('of some images know nothing of what was %s', async (_, images, isForgotten) => {
    const store = new WatchedStore();
    const forecasts = new StoredForecasts(store);
    await store.pull('eastus', 0, 2, newest);
    for (const region of ['eastus', 'westeurope']) await store.pull(region, 0, 300, older);
    await forecasts.ofAll(world(0), DAY_MS);
    await store.pull('eastus', 0, -300, older);
    await store.pull('westeurope', 0, -299, older);
    if (isForgotten) expect(await store.prune(at(MINUTE_MS), 10)).toMatchObject({ counts: 1 });
    const look = world(MINUTE_MS, [...images]);
    const again = await forecasts.ofSome(look, DAY_MS);
    expectSame(again, await new StoredForecasts(store).ofSome(look, DAY_MS));
    expectSame(await forecasts.ofSome(look, DAY_MS), again);
    expect(again.get('eastus')!.get(forecastKey(newest))!.expectedPulls).toBeLessThan(20);
    expect(store.readCount).toBe(2);
  });

  it('in passing are of all counts as they are, and leave nothing behind', async () => {
    const store = new WatchedStore();
    await store.pull('eastus', 0, 30);
    const forecasts = new StoredForecasts(store);
    expect((await forecasts.inPassing(world(MINUTE_MS), DAY_MS)).get('eastus')!.get(forecastKey(newest))!.expectedPulls).toBeGreaterThan(20);
    expect(store.kept).toEqual([]);
  });

  it('of some images read all counts anew only when those read last are old, and learn nothing', async () => {
    const store = new WatchedStore();
    const forecasts = new StoredForecasts(store);
    await forecasts.ofAll(world(0), DAY_MS);
    const kept = store.kept.length;
    await forecasts.ofSome(world(COUNTS_AGE_MAX_MS), DAY_MS);
    expect(store.readCount).toBe(1);
    await forecasts.ofSome(world(COUNTS_AGE_MAX_MS + 1), DAY_MS);
    await forecasts.ofSome(world(COUNTS_AGE_MAX_MS + MINUTE_MS), DAY_MS);
    expect(store.readCount).toBe(2);
    expect(store.kept).toHaveLength(kept);
  });

  it('begin anew where what was kept is from a clock that ran ahead', async () => {
    const store = new WatchedStore();
    await pass(store, 3, (ms) => new StoredForecasts(store).ofAll(world(ms + 500 * DAY_MS), DAY_MS));
    await store.pull('eastus', 4 * HOUR_MS, 10);
    const foretold = await new StoredForecasts(store).ofAll(world(4 * HOUR_MS), DAY_MS);
    expect(foretold.get('eastus')!.get(forecastKey(newest))!.expectedPulls).toBeGreaterThan(5);
    expect((await store.model(at(4 * HOUR_MS)))?.learnedMs).toBe(BEGAN_MS + 4 * HOUR_MS);
  });

  it('are made one after the other, whoever asks: what is asked for while a model learns of many images is of what it has learned then, and the same as if it had been waited for', async () => {
    const images = Array.from({ length: 800 }, (_, n): ForecastImage => ({ repository: `team/app-${n % 100}`, digest: digestOf(`image ${n}`), pushedAt: new Date(BEGAN_MS - n * MINUTE_MS), generation: Math.floor(n / 100) }));
    const hours = [1, 25, 26];
    const looks = (forecasts: StoredForecasts, hour: number): (() => Promise<unknown>)[] => [
      () => forecasts.ofAll(world(hour * HOUR_MS, images), DAY_MS),
      () => forecasts.ofSome(world(hour * HOUR_MS, images.slice(0, 20)), DAY_MS),
      () => forecasts.levels({ at: at(hour * HOUR_MS), regions: ['eastus'] }),
      () => forecasts.inPassing(world(hour * HOUR_MS, images), DAY_MS),
    ];
    const [waited, together]: [unknown[], unknown[]] = [[], []];
    for (const [answers, isTogether] of [[waited, false], [together, true]] as const) {
      const store = new WatchedStore();
      const forecasts = new StoredForecasts(store);
      for (const [n, image] of images.entries()) if (n % 7 === 0) await store.pull('eastus', 0, 1 + (n % 5), image);
      for (const hour of hours) {
        await store.pull('westeurope', (hour - 0.5) * HOUR_MS, 3, images[hour]);
        if (isTogether) answers.push(...(await Promise.all(looks(forecasts, hour).map((look) => look()))));
        else for (const look of looks(forecasts, hour)) answers.push(await look());
      }
    }
    expect(together).toEqual(waited);
  });

  it('go on after a look that failed', async () => {
    const store = new WatchedStore();
    const forecasts = new StoredForecasts(store);
    await store.pull('eastus', 0);
    const snapshot = store.snapshot.bind(store);
    store.snapshot = () => Promise.reject(new Error('the database is away'));
    const failing = forecasts.ofAll(world(HOUR_MS), DAY_MS);
    const next = failing.catch(() => (store.snapshot = snapshot)).then(() => forecasts.ofAll(world(HOUR_MS), DAY_MS));
    await expect(failing).rejects.toThrow('the database is away');
    expect((await next).get('eastus')!.size).toBe(2);
  });
});
