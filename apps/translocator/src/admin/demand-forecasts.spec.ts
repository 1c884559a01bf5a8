import { randomUUID } from 'node:crypto';

import { expect, it } from 'vitest';

import { type CountedDemand, StoredForecasts } from '#demand';
import { MemoryDemandStore } from '#demand/testing';
import { aLayer, anImage, MemoryPlacementWorld, SCENE_NOW } from '#placement/testing';
import { DAY_MS } from '#quantities';

import { DemandForecasts } from './demand-forecasts.js';

it('foretells what is in a region and in an enabled repository, with the level of the region, one request at a time', async () => {
  const [demand, world] = [new MemoryDemandStore(), new MemoryPlacementWorld()];
  const image = anImage('team/app:v1', [aLayer('app', 10)], 48);
  world.setRegion({ region: 'eastus', home: false, capacityBytes: 1e9 });
  world.push(image);
  const counted = (region: string, repository: string): CountedDemand => ({ region, repository, image: image.digest, weights: [24, 24, 24], at: SCENE_NOW });
  const counts = [counted('eastus', 'team/app'), counted('mars', 'team/app'), counted('eastus', 'team/disabled')];
  await demand.merge({ batchId: randomUUID(), drainedAt: SCENE_NOW, counts }, SCENE_NOW);
  const forecasts = new DemandForecasts({ forecasts: new StoredForecasts(demand), facts: world, horizonMs: 7 * DAY_MS });
  const asked = forecasts.of(counts, SCENE_NOW);
  await expect(forecasts.of(counts, SCENE_NOW)).rejects.toMatchObject({ status: 503 });
  const [app, elsewhere, disabled] = await asked;
  expect([elsewhere, disabled]).toEqual([undefined, undefined]);
  expect(app!.regionPullsPerHour).toBeGreaterThan(1);
  expect(app!.expectedPulls).toBeGreaterThan(app!.regionPullsPerHour * 60);
  expect((await forecasts.of(counts, SCENE_NOW))[0]).toEqual(app);
});
