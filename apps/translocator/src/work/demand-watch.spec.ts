import { randomUUID } from 'node:crypto';

import { beforeEach, describe, expect, it } from 'vitest';

import { ManualClock } from '#clock/testing';
import { configSchema } from '#config';
import { StoredForecasts } from '#demand';
import { MemoryDemandStore, MemoryPullHistory } from '#demand/testing';
import { MemoryPinStore } from '#pins/testing';
import {
  type DemandSurprise, FollowedSurprises, ForecastOutcomes, type PlacementImage, Planner, type PlanTriggerKind, SurprisingDemand, TURN_LEASE_DEFAULT_MS, TURN_WAIT_DEFAULT_MS,
} from '#placement';
import { aLayer, anImage, MemoryForecastLedger, MemoryPlacementWorld, MemoryPlannerTurn, MemoryPlanStore, PLAIN_PARAMETERS, replicasOf } from '#placement/testing';
import { MiB, MINUTE_MS } from '#quantities';
import { createLogger, Metrics } from '#telemetry';

import { DemandWatch, SURPRISE_PLANS_APART_MS } from './demand-watch.js';
import { WorkSignals } from './work-signals.js';
import { WorkSurroundings } from './work-surroundings.js';

/** Demand that is as far off as a test says. */
class TestedDemand extends SurprisingDemand {
  deviations: Record<string, number> = {};
  planId = 'today';

  surprises(regions: readonly string[]): Promise<readonly DemandSurprise[]> {
    return Promise.resolve(regions.map((region) => ({ region, planId: this.planId, deviations: this.deviations[region] ?? 0 })));
  }
}

const surroundingsOf = (clock: ManualClock) => new WorkSurroundings({ owner: 'me', config: configSchema.parse({}), clock, logger: createLogger('fatal'), metrics: new Metrics(), signals: new WorkSignals() });

describe('watching demand', () => {
  let clock: ManualClock;
  let demand: TestedDemand;
  let watch: DemandWatch;
  const asked: PlanTriggerKind[] = [];
  beforeEach(() => {
    clock = new ManualClock();
    demand = new TestedDemand();
    asked.length = 0;
    watch = new DemandWatch(surroundingsOf(clock), { demand, planning: { planSoon: (kind) => asked.push(kind) }, regions: ['eastus', 'westus'] });
  });
  const look = async (deviations: Record<string, number>): Promise<number> => {
    demand.deviations = deviations;
    await clock.advance(SURPRISE_PLANS_APART_MS);
    await watch.look();
    return asked.length;
  };

  it('asks for a plan at three deviations, more or fewer, and not below', async () => {
    expect([await look({ eastus: 2.9, westus: -2.9 }), await look({ westus: -3 })]).toEqual([0, 1]);
    expect(asked).toEqual(['demand']);
  });

  it('asks again only when demand is three more deviations off, or of another forecast', async () => {
    expect([await look({ eastus: 4 }), await look({ eastus: 6 }), await look({ eastus: 7 }), await look({ eastus: 7 })]).toEqual([1, 1, 2, 2]);
    demand.planId = 'tomorrow';
    expect(await look({ eastus: 7 })).toBe(3);
  });

  it('asks for no two plans within five minutes, whatever comes', async () => {
    await look({ eastus: 4 });
    demand.deviations = { eastus: 40 };
    await watch.look();
    await clock.advance(SURPRISE_PLANS_APART_MS - 1);
    await watch.look();
    expect(asked).toHaveLength(1);
    await clock.advance(1);
    await watch.look();
    expect(asked).toHaveLength(2);
  });
});

/** The product's own demand room, planner and ledger in memory, on one clock, with a plan every quarter of an hour and a look every minute. */
class Deployment {
  readonly clock = new ManualClock('2026-03-02T00:00:00.000Z');
  readonly #demand = new MemoryDemandStore();
  readonly #history = new MemoryPullHistory();
  readonly #ledger = new MemoryForecastLedger();
  readonly #forecasts = new StoredForecasts(this.#demand);
  readonly #outcomes = new ForecastOutcomes(this.#ledger, this.#history, this.#forecasts);
  readonly #world = new MemoryPlacementWorld();
  readonly images = Array.from({ length: 12 }, (_, n): PlacementImage => ({ ...anImage(`team/app${n}:v1`, [aLayer(`app${n}`, 10)]), pushedAt: this.clock.now() }));
  readonly #planner: Planner;
  readonly #watches: DemandWatch[];
  /** When plans were asked for. */
  readonly early: Date[] = [];
  #asked = false;

  constructor(regions: readonly string[], watchCount = 1) {
    for (const region of ['westeurope', ...regions]) this.#world.setRegion({ region, home: region === 'westeurope', capacityBytes: 500 * MiB });
    this.#world.push(...this.images);
    for (const { layers } of this.images) this.#world.hold('westeurope', replicasOf(layers));
    this.#planner = new Planner({
      facts: this.#world, orders: this.#world.orders, pins: new MemoryPinStore(), forecasts: this.#forecasts, plans: new MemoryPlanStore(), turn: new MemoryPlannerTurn(), clock: this.clock,
      outcomes: this.#outcomes, owner: 'me', parameters: PLAIN_PARAMETERS, turnLeaseMs: TURN_LEASE_DEFAULT_MS, turnWaitMs: TURN_WAIT_DEFAULT_MS,
    });
    const planSoon = (): void => {
      this.early.push(this.clock.now());
      this.#asked = true;
    };
    this.#watches = Array.from({ length: watchCount }, () => new DemandWatch(surroundingsOf(this.clock), { demand: new FollowedSurprises(this.#ledger, this.#outcomes), planning: { planSoon }, regions }));
  }

  async pull(region: string, image: PlacementImage, pulls: number): Promise<void> {
    const now = this.clock.now();
    const key = { region, repository: image.repository, image: image.digest };
    await this.#demand.merge({ batchId: randomUUID(), drainedAt: now, counts: [{ ...key, weights: [pulls, pulls, pulls], at: now }] }, now);
    await this.#history.keep({ batchId: randomUUID(), closedAt: now, totals: [{ ...key, pulls }], lines: [] }, now);
  }

  /** Lets minutes pass; `each` brings the pulls of one. */
  async pass(minutes: number, each?: (minute: number) => Promise<void>): Promise<void> {
    for (let minute = 0; minute < minutes; minute += 1) {
      if (this.clock.now().getTime() % (15 * MINUTE_MS) === 0) await this.#planner.planAll('schedule');
      await each?.(minute);
      await this.clock.advance(MINUTE_MS);
      for (const watch of this.#watches) {
        await watch.look();
        if (this.#asked) await this.#planner.planAll('demand');
        this.#asked = false;
      }
    }
  }
}

describe('what the planner and its model foretold', () => {
  let state = 1;
  const random = (): number => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
  /** Pulls at random: some image every two minutes. */
  const noise = (deployment: Deployment) => async (): Promise<void> => {
    if (random() < 0.5) await deployment.pull('eastus', deployment.images[Math.floor(random() * 4)]!, 1);
  };

  it('is no surprise while chance is all there is, and one, once, for every process that watches, when an image that nobody pulled is', async () => {
    const deployment = new Deployment(['eastus'], 2);
    await deployment.pass(2 * 24 * 60, noise(deployment));
    deployment.early.length = 0;
    await deployment.pass(24 * 60 - 120, noise(deployment));
    expect(deployment.early).toEqual([]);
    const at = deployment.clock.now();
    await deployment.pull('eastus', deployment.images[9]!, 40);
    await deployment.pass(90, noise(deployment));
    expect(deployment.early).toEqual([new Date(at.getTime() + MINUTE_MS)]);
  });

  it('is no surprise of a region without any history but that of others, for days', async () => {
    const deployment = new Deployment(['eastus', 'brazilsouth']);
    await deployment.pass(24 * 60, noise(deployment));
    deployment.early.length = 0;
    await deployment.pass(2 * 24 * 60, noise(deployment));
    expect(deployment.early).toEqual([]);
  });
});

it('plans for surprises become rarer through a day, whatever comes', async () => {
  const deployment = new Deployment(['eastus']);
  for (let minute = 0; minute < 24 * 60; minute += 30) await deployment.pass(30, () => deployment.pull('eastus', deployment.images[0]!, 10 + minute ** 2));
  expect(deployment.early.length).toBeGreaterThan(1);
  expect(deployment.early.length).toBeLessThanOrEqual(9);
});
