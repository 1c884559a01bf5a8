import { expect, it } from 'vitest';

import { ManualClock } from '#clock/testing';
import { StoredForecasts } from '#demand';
import { MemoryDemandStore } from '#demand/testing';
import { MemoryPinStore } from '#pins/testing';
import { MiB } from '#quantities';

import { type RehearsedChanges, type RehearsedPlan, rehearsePlans } from './rehearse-plans.js';
import { MemoryPlacementWorld } from './testing/memory-placement-world.js';
import { aLayer, anImage, PLAIN_PARAMETERS, replicasOf, SCENE_NOW } from './testing/region-scene.js';

const [much, little] = [anImage('team/much:v1', [aLayer('much', 100)]), anImage('team/little:v1', [aLayer('little', 100)], 48)];

async function rehearse(changes: RehearsedChanges, prepare: (world: MemoryPlacementWorld) => void = () => undefined): Promise<{ readonly plans: readonly RehearsedPlan[]; readonly world: MemoryPlacementWorld }> {
  const world = new MemoryPlacementWorld();
  for (const region of ['eastus', 'westeurope']) world.setRegion({ region, home: region === 'westeurope', capacityBytes: 250 * MiB });
  world.push(much, little);
  world.hold('westeurope', replicasOf([...much.layers, ...little.layers]));
  world.hold('eastus', replicasOf(much.layers));
  prepare(world);
  const demand = new MemoryDemandStore();
  const counts = [[much, 20], [little, 2]] as const;
  await demand.merge({ batchId: 'b', drainedAt: SCENE_NOW, counts: counts.map(([image, weight]) => ({ region: 'eastus', repository: image.repository, image: image.digest, weights: [weight, weight, weight] as const, at: SCENE_NOW })) }, SCENE_NOW);
  const plans = await rehearsePlans({ facts: world, pins: new MemoryPinStore(), forecasts: new StoredForecasts(demand), clock: new ManualClock(SCENE_NOW) }, PLAIN_PARAMETERS, changes);
  expect(await demand.model(SCENE_NOW)).toBeUndefined();
  return { plans, world };
}

it('a rehearsal tells what half the room would take away, and does nothing', async () => {
  const { plans, world } = await rehearse({ capacityBytes: new Map([['eastus', 125 * MiB], ['mars', 1]]) });
  expect(plans.map(({ region, comparison }) => [region, comparison.counts])).toEqual([['eastus', { comes: 0, goes: 1, otherwise: 0, same: 1 }], ['westeurope', { comes: 0, goes: 0, otherwise: 0, same: 2 }]]);
  expect(plans[0]?.comparison.goes).toMatchObject([{ repository: 'team/little', before: { verdict: 'placed' }, after: { reason: 'OVER_CAPACITY', displacedBy: [{ repository: 'team/much' }] } }]);
  expect(plans[0]?.asIs.wants).toHaveLength(1);
  expect(world.held('eastus')).toEqual(replicasOf(much.layers));
});

it('a rehearsal of other parameters tells what they would bring and what they would not', async () => {
  const { plans } = await rehearse({ parameters: { minimumExpectedPulls: 100 } });
  expect(plans[0]?.comparison.goes).toMatchObject([{ repository: 'team/little', after: { reason: 'DEMAND_TOO_SMALL' } }]);
  expect(plans.map(({ comparison }) => comparison.parameters)).toEqual([1, 2].map(() => [{ name: 'minimumExpectedPulls', before: PLAIN_PARAMETERS.minimumExpectedPulls, after: 100 }]));
  expect((await rehearse({})).plans[0]?.comparison).toMatchObject({ counts: { same: 2 }, parameters: [] });
});

it('a rehearsal of other budgets tells what would wait for another day, and what would not', async () => {
  const bounded = (world: MemoryPlacementWorld): void => world.setBudget({ bytesPerDay: 50 * MiB, usdPerGb: 0.05, spentUsd: 0, pushReserveRatio: 0 });
  const east = async (budgets: RehearsedChanges['budgets']): Promise<RehearsedPlan> => (await rehearse(budgets === undefined ? {} : { budgets }, bounded)).plans[0]!;
  const waitsFor = ({ decisions }: RehearsedPlan['asIs']): unknown[] => decisions.filter(({ repository }) => repository === 'team/little').map((decision) => decision.waitsFor);
  // One layer of 100 MiB on a link that carries 50 a day travels alone; with more to spare it just travels.
  const half = await east({ bytesPerLinkDay: 200 * MiB, usdPerDay: 0.001 });
  expect([waitsFor(half.asIs), half.asIs.wants.length]).toEqual([[undefined], 1]);
  expect([waitsFor(half.changed), half.changed.wants.length]).toEqual([['BUDGET_MONEY_DAY'], 0]);
  const reserving = async (pushReserveRatio: number): Promise<number> => (await east({ bytesPerLinkDay: 1000 * MiB, usdPerDay: 0.008, pushReserveRatio })).changed.wants.length;
  expect([await reserving(0.6), await reserving(0.2)]).toEqual([0, 1]);
  expect((await east(undefined)).changed).toEqual(half.asIs);
});
