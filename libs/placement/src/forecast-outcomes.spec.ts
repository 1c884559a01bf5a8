import { beforeEach, describe, expect, it } from 'vitest';

import { WriteFence } from '#claims';
import { StoredForecasts } from '#demand';
import { MemoryDemandStore, MemoryPullHistory } from '#demand/testing';
import { DAY_MS, HOUR_MS } from '#quantities';

import { ForecastOutcomes } from './forecast-outcomes.js';
import { planRegion } from './plan-region.js';
import { type StoredPlan, storedPlan } from './plan-store.js';
import { MemoryForecastLedger } from './testing/memory-forecast-ledger.js';
import { aLayer, anImage, aRegion, expecting, SCENE_NOW } from './testing/region-scene.js';

const images = ['app', 'web', 'idle'].map((name) => anImage(`team/${name}:v1`, [aLayer(name, 10)]));
const later = (ms: number): Date => new Date(SCENE_NOW.getTime() + ms);
const held = new (class extends WriteFence {
  hold(): Promise<void> {
    return Promise.resolve();
  }
})();

describe('forecasts', () => {
  let ledger: MemoryForecastLedger;
  let history: MemoryPullHistory;
  let outcomes: ForecastOutcomes;
  const regionPlan = planRegion(aRegion({ images, forecasts: expecting({ 'team/app:v1': 20, 'team/web:v1': 5 }) }));
  const plan = (id: string, at: Date, changes: Partial<StoredPlan> = {}): StoredPlan => ({
    ...storedPlan(regionPlan, { id, madeAt: at, trigger: 'schedule', unresolvedPins: [], terms: { horizonMs: 2 * DAY_MS, breakEvenPulls: 1, keepPulls: 0.5 } }), ...changes,
  });
  const follow = (of: StoredPlan): Promise<void> => outcomes.follow(of, regionPlan.decisions, held);
  const pulled = (batchId: string, pulls: Readonly<Record<string, number>>): Promise<unknown> =>
    history.keep({ batchId, closedAt: SCENE_NOW, lines: [], totals: Object.entries(pulls).map(([name, count]) => ({ region: 'eastus', repository: `team/${name}`, image: images.find(({ repository }) => repository === `team/${name}`)!.digest, pulls: count })) }, SCENE_NOW);
  beforeEach(() => {
    ledger = new MemoryForecastLedger();
    history = new MemoryPullHistory();
    outcomes = new ForecastOutcomes(ledger, history, new StoredForecasts(new MemoryDemandStore()));
  });

  it('are held against what came since the plan, as far as their time has passed', async () => {
    await pulled('before', { app: 100 });
    await follow(plan('p', SCENE_NOW));
    await pulled('after', { app: 7, idle: 3 });
    const outcome = (await outcomes.of('p', later(DAY_MS)))!;
    expect(outcome).toMatchObject({ region: 'eastus', passedRatio: 0.5, pulls: 10 });
    expect(outcome.images.map(({ repository, pulls }) => [repository, pulls])).toEqual([['team/app', 7], ['team/web', 0], ['team/idle', 3]]);
    expect(outcome.expectedSoFar).toBeCloseTo(regionPlan.decisions.reduce((sum, { expectedPulls }) => sum + expectedPulls, 0) / 2);
    const [app, web] = outcome.images;
    expect(outcome.weightedError).toBeCloseTo((Math.abs(7 - app!.expectedSoFar) + web!.expectedSoFar + 3) / 10);
  });

  it('are kept of one plan a day and region, and of none after a push', async () => {
    await follow(plan('push', SCENE_NOW, { trigger: 'push' }));
    await follow(plan('first', SCENE_NOW));
    await follow(plan('second', later(HOUR_MS)));
    await follow(plan('next day', later(DAY_MS)));
    await follow(plan('elsewhere', later(DAY_MS), { region: 'westus' }));
    expect(await ledger.list('eastus', 10)).toEqual(['next day', 'first']);
    expect(await ledger.list('westus', 10)).toEqual(['elsewhere']);
    expect(await outcomes.of('push', later(DAY_MS))).toBeUndefined();
  });

  it('are those of a plan that was made because demand was off, from then on', async () => {
    await follow(plan('first', SCENE_NOW));
    await follow(plan('off', later(HOUR_MS), { trigger: 'demand' }));
    expect(await ledger.list('eastus', 10)).toEqual(['off', 'first']);
  });

  it('end with their time: what comes after does not count', async () => {
    await follow(plan('p', SCENE_NOW));
    await pulled('within', { app: 4, web: 2 });
    expect(await outcomes.close(later(2 * DAY_MS - 1))).toBe(0);
    expect(await outcomes.close(later(2 * DAY_MS))).toBe(1);
    expect(await outcomes.close(later(3 * DAY_MS))).toBe(0);
    await pulled('after', { app: 50 });
    expect(await outcomes.of('p', later(3 * DAY_MS))).toMatchObject({ passedRatio: 1, pulls: 6, images: [{ pulls: 4 }, { pulls: 2 }, { pulls: 0 }] });
  });
});
