import { beforeEach, describe, expect, it } from 'vitest';

import { ManualClock } from '#clock/testing';
import { configSchema } from '#config';
import { deviationsOf, type DemandSurprise, type PlanTriggerKind, SurprisingDemand } from '#placement';
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

describe('watching demand', () => {
  let clock: ManualClock;
  let demand: TestedDemand;
  let watch: DemandWatch;
  const asked: PlanTriggerKind[] = [];
  beforeEach(() => {
    clock = new ManualClock();
    demand = new TestedDemand();
    asked.length = 0;
    const surroundings = new WorkSurroundings({ owner: 'me', config: configSchema.parse({}), clock, logger: createLogger('fatal'), metrics: new Metrics(), signals: new WorkSignals() });
    watch = new DemandWatch(surroundings, { demand, planning: { planSoon: (kind) => asked.push(kind) }, regions: ['eastus', 'westus'] });
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

it('deviations are those of chance for few pulls, and of a day\'s swing for many', () => {
  expect(deviationsOf({ expectedSoFar: 0, pulls: 3 })).toBe(3);
  expect(deviationsOf({ expectedSoFar: 8, pulls: 8 })).toBe(0);
  expect(deviationsOf({ expectedSoFar: 9000, pulls: 18_000 })).toBeCloseTo(3, 1);
  expect(deviationsOf({ expectedSoFar: 100, pulls: 0 })).toBeLessThan(-2);
});
