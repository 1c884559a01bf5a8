import { randomUUID } from 'node:crypto';

import { expect, it } from 'vitest';

import { ManualClock } from '#clock/testing';
import { StoredForecasts } from '#demand';
import { MemoryDemandStore } from '#demand/testing';
import { aPin, MemoryPinStore } from '#pins/testing';
import { type PlacementDecision, PLACEMENT_PARAMETERS_DEFAULT, type PlacementImage, Planner, type PlanTriggerKind, TURN_LEASE_DEFAULT_MS, TURN_WAIT_DEFAULT_MS } from '#placement';
import { aLayer, anImage, MemoryPlacementWorld, MemoryPlannerTurn, MemoryPlanStore, replicasOf, SCENE_NOW } from '#placement/testing';
import { DAY_MS, formatBytes, HOUR_MS, MiB } from '#quantities';

/** One deployment with its clock and no gateway, told as a story: what happened on the left margin, what plans decided below it. */
class Story {
  readonly clock = new ManualClock(SCENE_NOW);
  readonly world = new MemoryPlacementWorld();
  readonly pins = new MemoryPinStore();
  readonly demand = new MemoryDemandStore();
  readonly plans = new MemoryPlanStore();
  readonly #names = new Map<string, string>();
  readonly #lines: string[] = [''];
  readonly #planner = new Planner({
    facts: this.world, orders: this.world.orders, pins: this.pins, forecasts: new StoredForecasts(this.demand), plans: this.plans, turn: new MemoryPlannerTurn(), clock: this.clock,
    owner: 'story', parameters: { ...PLACEMENT_PARAMETERS_DEFAULT, reactiveRatio: 0 }, turnLeaseMs: TURN_LEASE_DEFAULT_MS, turnWaitMs: TURN_WAIT_DEFAULT_MS,
  });

  get text(): string {
    return `${this.#lines.join('\n')}\n`;
  }

  tell(line: string): void {
    this.#lines.push(line);
  }

  push(image: PlacementImage): PlacementImage {
    const pushed = { ...image, pushedAt: this.clock.now() };
    this.#names.set(image.digest, `${image.repository}:${image.tags[0] ?? ''}`);
    this.world.push(pushed);
    this.world.hold('westeurope', replicasOf(image.layers));
    return pushed;
  }

  async pulls(image: PlacementImage, region: string, count: number): Promise<void> {
    const counts = [{ region, repository: image.repository, image: image.digest, weights: [count, count, count] as const, at: this.clock.now() }];
    await this.demand.merge({ batchId: randomUUID(), drainedAt: this.clock.now(), counts }, this.clock.now());
  }

  /** Plans everywhere, tells what each region but home decided, and lets copies and removals end. */
  async plan(trigger: PlanTriggerKind): Promise<void> {
    const report = await this.#planner.planAll(trigger);
    for (const { id, region, usedBytes, capacityBytes, counts } of report.regions) {
      if (region === 'westeurope') continue;
      const orders = `copy ${counts.wants}, drain ${counts.drains}`;
      this.tell(`  ${region}: ${formatBytes(usedBytes)} of ${formatBytes(capacityBytes)}; ${orders}`);
      for (const decision of (await this.plans.get(id))?.decisions ?? []) this.tell(`    ${this.#describe(decision)}`);
    }
    this.world.settle();
  }

  #describe(decision: PlacementDecision): string {
    const { verdict, reason, expectedPulls, marginalBytes, missingBytes, missingPulls } = decision;
    const missing = [
      ...(missingBytes === undefined ? [] : [`${formatBytes(missingBytes)} too many`]),
      ...(missingPulls === undefined ? [] : [`${missingPulls.toFixed(2)} pulls too few`]),
    ];
    const numbers = [`${expectedPulls.toFixed(1)} pulls expected`, `adds ${formatBytes(marginalBytes)}`, ...missing].join(', ');
    return `${this.#names.get(decision.digest)} ${verdict} (${reason}): ${numbers}`;
  }
}

it('brings images to regions ahead of their pulls, keeps what is pinned or mounted, and gives room back', async () => {
  const story = new Story();
  for (const region of ['westeurope', 'eastus', 'southeastasia']) story.world.setRegion({ region, home: region === 'westeurope', capacityBytes: 250 * MiB });
  const base = aLayer('node runtime', 100);

  story.tell('Two images are pushed; nobody pulls them.');
  const v1 = story.push(anImage('team/app:v1', [base, aLayer('app v1', 20)]));
  const batch = story.push(anImage('team/batch:v1', [aLayer('model', 180)]));
  await story.plan('push');

  story.tell('Nodes in eastus pull app:v1 eight times and batch:v1 twice.');
  await story.pulls(v1, 'eastus', 8);
  await story.pulls(batch, 'eastus', 2);
  await story.plan('schedule');

  story.tell('An hour later app:v2 is pushed; nobody has pulled it yet.');
  await story.clock.advance(HOUR_MS);
  story.push(anImage('team/app:v2', [base, aLayer('app v2', 25)]));
  await story.plan('push');

  story.tell('An operator pins batch:v1 to eastus and southeastasia; eastus has no room for it and app together.');
  const pin = aPin({ repository: 'team/batch', reference: { kind: 'tag', tag: 'v1' }, regions: ['eastus', 'southeastasia'], createdAt: story.clock.now() });
  await story.pins.create(pin);
  await story.plan('pin');

  story.tell('A second pin asks southeastasia for more than is left there.');
  await story.pins.create(aPin({ repository: 'team/app', reference: { kind: 'tag', tag: 'v2' }, regions: ['southeastasia'], priority: -5, createdAt: story.clock.now() }));
  await story.plan('pin');

  story.tell('The first pin is removed while a node in southeastasia has batch:v1 mounted.');
  await story.pins.delete(pin.id);
  story.world.hold('southeastasia', replicasOf(batch.layers, 'ready', true));
  await story.plan('pin');

  story.tell('The node unmounts it.');
  story.world.hold('southeastasia', replicasOf(batch.layers));
  await story.plan('schedule');

  story.tell('Five weeks pass without a pull, and nobody needs the room.');
  await story.clock.advance(35 * DAY_MS);
  await story.plan('schedule');

  story.tell('team/report:v1 is pushed, and pulled twice in eastus.');
  const report = story.push(anImage('team/report:v1', [aLayer('report', 200)]));
  await story.pulls(report, 'eastus', 2);
  await story.plan('schedule');

  expect(story.text).toMatchInlineSnapshot(`
    "
    Two images are pushed; nobody pulls them.
      eastus: 0 B of 250 MiB; copy 0, drain 0
        team/app:v1 refused (NO_DEMAND): 0.0 pulls expected, adds 120 MiB, 0.09 pulls too few
        team/batch:v1 refused (NO_DEMAND): 0.0 pulls expected, adds 180 MiB, 0.13 pulls too few
      southeastasia: 0 B of 250 MiB; copy 0, drain 0
        team/app:v1 refused (NO_DEMAND): 0.0 pulls expected, adds 120 MiB, 0.09 pulls too few
        team/batch:v1 refused (NO_DEMAND): 0.0 pulls expected, adds 180 MiB, 0.13 pulls too few
    Nodes in eastus pull app:v1 eight times and batch:v1 twice.
      eastus: 120 MiB of 250 MiB; copy 2, drain 0
        team/app:v1 placed (DEMAND): 287.9 pulls expected, adds 120 MiB
        team/batch:v1 refused (OVER_CAPACITY): 27.8 pulls expected, adds 180 MiB, 50 MiB too many
      southeastasia: 0 B of 250 MiB; copy 0, drain 0
        team/app:v1 refused (NO_DEMAND): 0.0 pulls expected, adds 120 MiB, 0.09 pulls too few
        team/batch:v1 refused (NO_DEMAND): 0.0 pulls expected, adds 180 MiB, 0.13 pulls too few
    An hour later app:v2 is pushed; nobody has pulled it yet.
      eastus: 145 MiB of 250 MiB; copy 1, drain 0
        team/app:v1 kept (DEMAND): 184.7 pulls expected, adds 20 MiB
        team/app:v2 placed (REPOSITORY_DEMAND): 45.9 pulls expected, adds 25 MiB
        team/batch:v1 refused (OVER_CAPACITY): 24.9 pulls expected, adds 180 MiB, 75 MiB too many
      southeastasia: 0 B of 250 MiB; copy 0, drain 0
        team/app:v1 refused (NO_DEMAND): 0.0 pulls expected, adds 120 MiB, 0.10 pulls too few
        team/app:v2 refused (NO_DEMAND): 0.0 pulls expected, adds 125 MiB, 0.10 pulls too few
        team/batch:v1 refused (NO_DEMAND): 0.0 pulls expected, adds 180 MiB, 0.14 pulls too few
    An operator pins batch:v1 to eastus and southeastasia; eastus has no room for it and app together.
      eastus: 180 MiB of 250 MiB; copy 1, drain 3
        team/batch:v1 pinned (PIN): 24.9 pulls expected, adds 180 MiB
        team/app:v1 refused (OVER_CAPACITY): 184.7 pulls expected, adds 120 MiB, 50 MiB too many
        team/app:v2 refused (OVER_CAPACITY): 45.9 pulls expected, adds 125 MiB, 55 MiB too many
      southeastasia: 180 MiB of 250 MiB; copy 1, drain 0
        team/batch:v1 pinned (PIN): 0.0 pulls expected, adds 180 MiB
        team/app:v1 refused (NO_DEMAND): 0.0 pulls expected, adds 120 MiB, 0.10 pulls too few
        team/app:v2 refused (NO_DEMAND): 0.0 pulls expected, adds 125 MiB, 0.10 pulls too few
    A second pin asks southeastasia for more than is left there.
      eastus: 180 MiB of 250 MiB; copy 0, drain 0
        team/batch:v1 pinned (PIN): 24.9 pulls expected, adds 180 MiB
        team/app:v1 refused (OVER_CAPACITY): 184.7 pulls expected, adds 120 MiB, 50 MiB too many
        team/app:v2 refused (OVER_CAPACITY): 45.9 pulls expected, adds 125 MiB, 55 MiB too many
      southeastasia: 180 MiB of 250 MiB; copy 0, drain 0
        team/batch:v1 pinned (PIN): 0.0 pulls expected, adds 180 MiB
        team/app:v2 unmet (PIN_OVER_CAPACITY): 0.0 pulls expected, adds 125 MiB, 55 MiB too many
        team/app:v1 refused (NO_DEMAND): 0.0 pulls expected, adds 120 MiB, 0.10 pulls too few
    The first pin is removed while a node in southeastasia has batch:v1 mounted.
      eastus: 145 MiB of 250 MiB; copy 3, drain 1
        team/app:v1 placed (DEMAND): 184.7 pulls expected, adds 20 MiB
        team/app:v2 placed (REPOSITORY_DEMAND): 45.9 pulls expected, adds 25 MiB
        team/batch:v1 refused (OVER_CAPACITY): 24.9 pulls expected, adds 180 MiB, 75 MiB too many
      southeastasia: 180 MiB of 250 MiB; copy 0, drain 0
        team/batch:v1 kept (LAYERS_HELD): 0.0 pulls expected, adds 0 B
        team/app:v2 unmet (PIN_OVER_CAPACITY): 0.0 pulls expected, adds 125 MiB, 55 MiB too many
        team/app:v1 refused (NO_DEMAND): 0.0 pulls expected, adds 120 MiB, 0.10 pulls too few
    The node unmounts it.
      eastus: 145 MiB of 250 MiB; copy 0, drain 0
        team/app:v1 kept (DEMAND): 184.7 pulls expected, adds 20 MiB
        team/app:v2 kept (REPOSITORY_DEMAND): 45.9 pulls expected, adds 25 MiB
        team/batch:v1 refused (OVER_CAPACITY): 24.9 pulls expected, adds 180 MiB, 75 MiB too many
      southeastasia: 125 MiB of 250 MiB; copy 2, drain 1
        team/app:v2 pinned (PIN): 0.0 pulls expected, adds 125 MiB
        team/app:v1 refused (NO_DEMAND): 0.0 pulls expected, adds 20 MiB, 0.02 pulls too few
        team/batch:v1 refused (NO_DEMAND): 0.0 pulls expected, adds 180 MiB, 0.14 pulls too few
    Five weeks pass without a pull, and nobody needs the room.
      eastus: 145 MiB of 250 MiB; copy 0, drain 0
        team/app:v2 kept (REPOSITORY_DEMAND): 0.3 pulls expected, adds 25 MiB
        team/app:v1 kept (REPOSITORY_DEMAND): 0.2 pulls expected, adds 20 MiB
        team/batch:v1 refused (OVER_CAPACITY): 0.1 pulls expected, adds 180 MiB, 75 MiB too many
      southeastasia: 125 MiB of 250 MiB; copy 0, drain 0
        team/app:v2 pinned (PIN): 0.0 pulls expected, adds 125 MiB
        team/app:v1 refused (NO_DEMAND): 0.0 pulls expected, adds 20 MiB, 0.02 pulls too few
        team/batch:v1 refused (NO_DEMAND): 0.0 pulls expected, adds 180 MiB, 0.14 pulls too few
    team/report:v1 is pushed, and pulled twice in eastus.
      eastus: 200 MiB of 250 MiB; copy 1, drain 3
        team/report:v1 placed (DEMAND): 2.1 pulls expected, adds 200 MiB
        team/app:v2 refused (OVER_CAPACITY): 0.3 pulls expected, adds 125 MiB, 75 MiB too many
        team/app:v1 refused (OVER_CAPACITY): 0.2 pulls expected, adds 120 MiB, 70 MiB too many
        team/batch:v1 refused (OVER_CAPACITY): 0.1 pulls expected, adds 180 MiB, 130 MiB too many
      southeastasia: 125 MiB of 250 MiB; copy 0, drain 0
        team/app:v2 pinned (PIN): 0.0 pulls expected, adds 125 MiB
        team/app:v1 refused (NO_DEMAND): 0.0 pulls expected, adds 20 MiB, 0.02 pulls too few
        team/batch:v1 refused (NO_DEMAND): 0.0 pulls expected, adds 180 MiB, 0.13 pulls too few
        team/report:v1 refused (NO_DEMAND): 0.0 pulls expected, adds 200 MiB, 0.14 pulls too few
    "
  `);
});
