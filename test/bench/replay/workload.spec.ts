import { describe, expect, it } from 'vitest';

import { digestOf } from '#oci';
import { openCatalogue, type ReplayEvent } from '#placement';

import { Chance, cumulated } from './chance.js';
import { estimate } from './confidence.js';
import { playWorkload } from './play-workload.js';
import { shapeOf, type Workload } from './workload.js';

const image = (repository: string, ...layers: readonly [string, number][]) => ({ repository, digest: digestOf(`image ${repository}`), layers: layers.map(([name, sizeBytes]) => ({ digest: digestOf(name), sizeBytes })) });
const [app, tool] = [image('team/app', ['base', 60], ['app', 40]), image('team/tool', ['base', 60], ['tool', 10])];
const at = (minute: number): Date => new Date(Date.UTC(2026, 5, 1, 0, minute));
const pull = (minute: number, region: string, of: typeof app, client: string): ReplayEvent => ({ kind: 'pull', at: at(minute), region, repository: of.repository, image: of.digest, client });
const events: ReplayEvent[] = [
  { kind: 'push', at: at(0), region: 'home', repository: app.repository, image: app.digest },
  pull(1, 'east', app, 'a'), pull(2, 'east', app, 'b'), pull(2, 'east', tool, 'b'), pull(3, 'west', app, 'c'), pull(4, 'home', tool, 'd'),
];
const workload: Workload = { catalogue: openCatalogue([app, tool]), events, places: { home: 'home', regions: ['east', 'west'].map((region) => ({ region, usdPerGb: 0.05 })) } };

describe('shapeOf', () => {
  it('counts first pulls away from home, and how differently regions pull', () => {
    expect(shapeOf(workload)).toMatchObject({ images: 2, layers: 3, catalogueBytes: 110, pushes: 0, pulls: 5, firstPullRatio: 3 / 4, topLayersRatio: 5 / 10 });
    // Shares of app and tool: east 2/3 and 1/3, west 1 and 0, home 0 and 1.
    expect(shapeOf(workload).totalVariation).toBeCloseTo((1 / 3 + 2 / 3 + 1) / 3, 10);
  });
});

describe('playWorkload', () => {
  it('counts a client as served where all that it pulled was there', () => {
    const played = playWorkload(workload, { policy: 'lru', capacityRatio: 1, warmUpMs: 0 });
    // Client b finds the application, and not the tool.
    expect([played.clientHitRatio, played.score.total.all]).toEqual([0, { pulls: 4, hits: 1 }]);
    expect(playWorkload(workload, { policy: 'replicate-all', capacityRatio: 0, warmUpMs: 0 }).clientHitRatio).toBeCloseTo(2 / 3, 10);
  });
});

describe('Chance', () => {
  it('draws the same from the same seed', () => {
    const draw = (seed: number): number[] => {
      const chance = new Chance(seed);
      return [chance.uniform(), chance.normal(), chance.gamma(0.4), chance.poisson(3), chance.geometric(0.4), chance.weighted(cumulated([1, 2, 3]))];
    };
    expect(draw(7)).toEqual(draw(7));
    expect(draw(7)).not.toEqual(draw(8));
  });

  it.each([
    ['exponential', 1, 1, (chance: Chance) => chance.exponential()],
    ['gamma of 0.4', 0.4, 0.4, (chance: Chance) => chance.gamma(0.4)],
    ['gamma of 3', 3, 3, (chance: Chance) => chance.gamma(3)],
    ['poisson of 4', 4, 4, (chance: Chance) => chance.poisson(4)],
    ['poisson of 900', 900, 900, (chance: Chance) => chance.poisson(900)],
    ['geometric of 0.4', 0.4, 0.56, (chance: Chance) => chance.geometric(0.4)],
  ])('has the mean and the variance of its distribution: %s', (_, mean, variance, draw) => {
    const chance = new Chance(1);
    const values = Array.from({ length: 40_000 }, () => draw(chance));
    const of = values.reduce((sum, each) => sum + each, 0) / values.length;
    expect(of / mean).toBeCloseTo(1, 1);
    expect(values.reduce((sum, each) => sum + (each - of) ** 2, 0) / values.length / variance).toBeCloseTo(1, 0);
  });
});

describe('estimate', () => {
  it('gives the mean, and half of the interval that holds it in 95 of 100 cases', () => {
    expect(estimate([1, 2, 3, 4, 5])).toEqual({ mean: 3, within: expect.closeTo(2.776 * Math.sqrt(2.5 / 5), 6) });
    expect(estimate([2])).toEqual({ mean: 2, within: 0 });
  });
});
