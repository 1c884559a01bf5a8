import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { type RegionLink, RegionMap } from '#regions';

import { type FanOutPlan, type FanOutProblem, type FanOutTarget, planFanOut } from './plan-fan-out.js';

const NAMES = ['r0', 'r1', 'r2', 'r3', 'r4', 'r5', 'r6', 'r7', 'r8'];
const EQUAL = { roundTripMs: 20, throughputBytesPerSecond: 1e8, pricePerGb: 0.02 };

function mapOf(links: readonly RegionLink[] = []): RegionMap {
  return new RegionMap(NAMES.map((name) => ({ name, displayName: name })), 'r0', links, EQUAL);
}

const origin = (region: string): { readonly name: string; readonly region: string } => ({ name: `share-${region}`, region });
const target = (region: string, heldPieces = 0, barred: readonly string[] = []): FanOutTarget => ({ ...origin(region), heldPieces, turn: NAMES.indexOf(region), barred: new Set(barred) });
const price = (from: string, to: string, pricePerGb: number): RegionLink => ({ from, to, ...EQUAL, pricePerGb });
const plan = (problem: Partial<FanOutProblem>): FanOutPlan => planFanOut({ origins: [origin('r0')], targets: [], regions: mapOf(), relaysAtEqualPrice: true, ...problem });

describe('a fan-out', () => {
  it('has the origin give the bytes out once when all links are equal', () => {
    const sources = plan({ targets: NAMES.slice(1).map((name) => target(name)) });
    expect([...sources.values()].filter((name) => name === 'share-r0')).toHaveLength(1);
    expect(new Set(sources.values()).size).toBe(8);
  });

  it('takes the way over a relay where that is cheaper, for short files too', () => {
    const links = [price('r0', 'r2', 0.08), price('r1', 'r2', 0.01)];
    for (const relaysAtEqualPrice of [true, false]) {
      expect(plan({ targets: [target('r1'), target('r2')], regions: mapOf(links), relaysAtEqualPrice }).get('share-r2')).toBe('share-r1');
    }
  });

  it('makes no detour for short files where it saves nothing', () => {
    expect([...plan({ targets: [target('r1'), target('r2')], relaysAtEqualPrice: false }).values()]).toEqual(['share-r0', 'share-r0']);
  });

  it('has nobody wait for one that has less', () => {
    const sources = plan({ targets: [target('r1', 0), target('r2', 50), target('r3', 49)], regions: mapOf([price('r1', 'r2', 0)]) });
    expect(Object.fromEntries(sources)).toEqual({ 'share-r2': 'share-r0', 'share-r3': 'share-r2', 'share-r1': 'share-r3' });
  });

  it('takes from the home region last of those that are as good, from one that has become whole, and from the next in the chain', () => {
    for (const [whole, others] of [['r1', ['r2', 'r3']], ['r8', ['r2', 'r3', 'r4']]] as const) {
      const sources = plan({ origins: [origin('r0'), origin(whole)], targets: others.map((name) => target(name)) });
      expect([...sources.values()]).not.toContain('share-r0');
      expect(new Set(sources.values()).size).toBe(others.length);
    }
  });

  it('has those give to others who began first', () => {
    const [early, late] = [{ ...target('r2'), turn: 1 }, { ...target('r1'), turn: 2 }];
    expect(Object.fromEntries(plan({ targets: [early, late] }))).toEqual({ 'share-r2': 'share-r0', 'share-r1': 'share-r2' });
  });

  it('has nobody take from one that failed it', () => {
    const sources = plan({ targets: [target('r1', 9), target('r2', 5, ['share-r1']), target('r3', 1)] });
    expect(sources.get('share-r2')).toBe('share-r0');
    expect(sources.get('share-r3')).not.toBe('share-r0');
  });

  it('gives a link of half the throughput no target that another one serves faster', () => {
    const links = NAMES.slice(2).map((to) => ({ from: 'r1', to, ...EQUAL, throughputBytesPerSecond: 1e7 }));
    const sources = plan({ targets: [target('r1', 9), target('r2')], regions: mapOf(links) });
    expect(sources.get('share-r2')).toBe('share-r0');
  });
});

const link = fc.record({
  from: fc.constantFrom(...NAMES), to: fc.constantFrom(...NAMES), roundTripMs: fc.integer({ min: 1, max: 300 }),
  throughputBytesPerSecond: fc.constantFrom(1e6, 5e7, 1e8, 1e9), pricePerGb: fc.constantFrom(0, 0.01, 0.02, 0.05, 0.08),
});
const problem = fc
  .record({
    links: fc.array(link, { maxLength: 60 }),
    places: fc.shuffledSubarray(NAMES, { minLength: 1 }),
    originCount: fc.integer({ min: 1, max: 3 }),
    held: fc.array(fc.integer({ min: 0, max: 4 }), { minLength: NAMES.length, maxLength: NAMES.length }),
    barred: fc.array(fc.tuple(fc.constantFrom(...NAMES), fc.constantFrom(...NAMES)), { maxLength: 12 }),
    relaysAtEqualPrice: fc.boolean(),
  })
  .map(({ links, places, originCount, held, barred, relaysAtEqualPrice }): FanOutProblem => {
    const origins = places.slice(0, originCount);
    // The first origin is barred to nobody.
    const barredTo = (region: string): string[] => barred.flatMap(([to, from]) => (to === region && from !== origins[0] ? [`share-${from}`] : []));
    const targets = places.slice(originCount).map((region, n) => target(region, held[n], barredTo(region)));
    return { origins: origins.map(origin), targets, regions: mapOf(links), relaysAtEqualPrice };
  });

describe('every fan-out', () => {
  it('gives each target one source, from which an origin is reached without a circle', () => {
    fc.assert(fc.property(problem, (given) => {
      const sources = planFanOut(given);
      expect([...sources.keys()].toSorted()).toEqual(given.targets.map(({ name }) => name).toSorted());
      const origins = new Set(given.origins.map(({ name }) => name));
      for (const { name } of given.targets) {
        let at = name;
        for (let steps = 0; !origins.has(at); steps += 1) {
          expect(steps).toBeLessThan(given.targets.length);
          at = sources.get(at)!;
        }
      }
    }));
  });

  it('has each target take only from whom it may, and who has at least as much', () => {
    fc.assert(fc.property(problem, (given) => {
      const targets = new Map(given.targets.map((one) => [one.name, one]));
      for (const [name, source] of planFanOut(given)) {
        expect(targets.get(name)!.barred!.has(source)).toBe(false);
        expect(targets.get(source)?.heldPieces ?? Number.POSITIVE_INFINITY).toBeGreaterThanOrEqual(targets.get(name)!.heldPieces);
      }
    }));
  });

  it('costs no target more than the cheapest origin that it may take from', () => {
    fc.assert(fc.property(problem, (given) => {
      const places = new Map([...given.origins, ...given.targets].map((one) => [one.name, one.region]));
      for (const [name, source] of planFanOut(given)) {
        const { region, barred } = given.targets.find((one) => one.name === name)!;
        const direct = Math.min(...given.origins.filter((one) => !barred!.has(one.name)).map((one) => given.regions.link(one.region, region).pricePerGb));
        expect(given.regions.link(places.get(source)!, region).pricePerGb).toBeLessThanOrEqual(direct);
      }
    }));
  });

  it('does not depend on the order in which it is asked', () => {
    fc.assert(fc.property(problem, (given) => {
      const turned = { ...given, origins: given.origins.toReversed(), targets: given.targets.toReversed() };
      expect(Object.fromEntries(planFanOut(turned))).toEqual(Object.fromEntries(planFanOut(given)));
    }));
  });
});
