import { randomUUID } from 'node:crypto';

import { describe, expect, it } from 'vitest';

import { ManualClock } from '#clock/testing';
import { StoredForecasts } from '#demand';
import { MemoryDemandStore } from '#demand/testing';
import { MemoryPinStore } from '#pins/testing';
import { MiB } from '#quantities';

import { Planner, TURN_LEASE_DEFAULT_MS, TURN_WAIT_DEFAULT_MS } from './planner.js';
import { type PlacementImage } from './region-facts.js';
import { MemoryPlacementWorld } from './testing/memory-placement-world.js';
import { MemoryPlanStore } from './testing/memory-plan-store.js';
import { MemoryPlannerTurn } from './testing/memory-planner-turn.js';
import { aLayer, anImage, PLAIN_PARAMETERS, replicasOf, SCENE_NOW } from './testing/region-scene.js';

const [small, large] = [anImage('team/small:v1', [aLayer('small', 40)], 48), anImage('team/large:v1', [aLayer('large', 80)], 48)];

/** Home, and eastus with room for 130 MiB, to which 100 MiB may travel in a day. */
function open(): { readonly world: MemoryPlacementWorld; readonly plans: MemoryPlanStore; readonly planner: Planner; pull(image: PlacementImage, weight: number): Promise<void> } {
  const world = new MemoryPlacementWorld();
  world.setRegion({ region: 'westeurope', home: true, capacityBytes: 1000 * MiB });
  world.setRegion({ region: 'eastus', home: false, capacityBytes: 130 * MiB });
  world.setBudget({ bytesPerDay: 100 * MiB, usdPerGb: 0.05, spentUsd: 0, pushReserveRatio: 0 });
  world.push(small, large);
  world.hold('westeurope', replicasOf([...small.layers, ...large.layers]));
  const [clock, plans, demand] = [new ManualClock(SCENE_NOW), new MemoryPlanStore(), new MemoryDemandStore()];
  const planner = new Planner({
    facts: world, orders: world.orders, pins: new MemoryPinStore(), forecasts: new StoredForecasts(demand), plans, turn: new MemoryPlannerTurn(), clock, owner: 'one',
    parameters: PLAIN_PARAMETERS, turnLeaseMs: TURN_LEASE_DEFAULT_MS, turnWaitMs: TURN_WAIT_DEFAULT_MS,
  });
  const pull = async (image: PlacementImage, weight: number): Promise<void> => {
    const at = clock.now();
    await demand.merge({ batchId: randomUUID(), drainedAt: at, counts: [{ region: 'eastus', repository: image.repository, image: image.digest, weights: [weight, weight, weight], at }] }, at);
  };
  return { world, plans, planner, pull };
}

const held = (world: MemoryPlacementWorld): string[] => world.held('eastus').map(({ layer, state }) => `${layer === small.layers[0]!.digest ? 'small' : 'large'} ${state}`).toSorted();

describe('plans within the budgets of a day', () => {
  it('order what the day carries, say what waits and for how much, and order the rest when it may travel', async () => {
    const { world, plans, planner, pull } = open();
    await pull(small, 9);
    await pull(large, 9);
    const report = await planner.planAll('schedule');
    expect([held(world), report.regions[0]?.counts.wants]).toEqual([['small wanted'], 1]);
    const decisions = (await plans.latest('eastus'))?.decisions.map(({ repository, verdict, waitsFor, waitsForBytes }) => [repository, verdict, waitsFor, waitsForBytes]);
    expect(decisions).toEqual([['team/small', 'placed', undefined, undefined], ['team/large', 'placed', 'BUDGET_LINK_DAY', 20 * MiB]]);
    expect((await planner.planAll('schedule')).regions[0]?.counts).toMatchObject({ wants: 0, drains: 0, withdrawals: 0 });
    world.settle();
    await planner.planAll('schedule');
    expect(held(world)).toEqual(['large wanted', 'small ready']);
  });

  it('take away what is there only when what comes for it may travel', async () => {
    const { world, planner, pull } = open();
    world.setRegion({ region: 'eastus', home: false, capacityBytes: 100 * MiB });
    world.hold('eastus', replicasOf(small.layers));
    await pull(small, 1);
    await pull(large, 90);
    world.setBudget({ bytesPerDay: 200 * MiB, usdPerDay: 0.001, usdPerGb: 0.05, spentUsd: 0, pushReserveRatio: 0 });
    await planner.planAll('schedule');
    expect(held(world)).toEqual(['small ready']);
    world.setBudget({ bytesPerDay: 200 * MiB, usdPerDay: 1, usdPerGb: 0.05, spentUsd: 0, pushReserveRatio: 0 });
    await planner.planAll('schedule');
    expect(held(world)).toEqual(['large wanted', 'small draining']);
  });

  it('let a push have what was kept for pushes', async () => {
    const { world, planner, pull } = open();
    world.setBudget({ bytesPerDay: 100 * MiB, usdPerGb: 0.05, spentUsd: 0, pushReserveRatio: 0.3 });
    await pull(large, 9);
    await planner.planAll('schedule');
    expect(held(world)).toEqual([]);
    await planner.planRepositories(['team/large']);
    expect(held(world)).toEqual(['large wanted']);
  });
});
