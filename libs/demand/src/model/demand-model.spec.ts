import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { digestOf } from '#oci';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '#quantities';

import { DemandCounters } from './demand-counters.js';
import { DemandModel } from './demand-model.js';
import { FORETOLD_KEPT_MAX } from './day-ahead.js';
import { type DemandView, type ForecastImage, forecastKey, type ImageForecast } from './demand-view.js';
import { STEPS_AT_ONCE } from './forecast.js';

/** A Monday. */
const BEGAN_MS = Date.parse('2026-03-02T00:00:00.000Z');
/** @param generation null for an image that no tag names. */
const image = (tag: string, pushedMs = BEGAN_MS, generation: number | null = 0, repository = 'team/app'): ForecastImage => ({ repository, digest: digestOf(tag), pushedAt: new Date(pushedMs), generation: generation ?? undefined });

/** Counts pulls, hour by hour, and has a model learn every quarter of a day. */
class World {
  readonly counters = new DemandCounters();
  model = new DemandModel();
  images: ForecastImage[] = [];
  regions = ['east', 'west'];
  atMs = BEGAN_MS;

  view(atMs = this.atMs): DemandView {
    return { at: new Date(atMs), regions: this.regions, counters: this.counters, images: this.images };
  }

  /** @param pulls of an image in a region in the hour that begins at an instant. */
  pass(hours: number, pulls: (region: string, of: ForecastImage, atMs: number) => number): void {
    for (let hour = 0; hour < hours; hour += 1) {
      for (const region of this.regions) {
        for (const of of this.images) {
          const count = pulls(region, of, this.atMs);
          for (let part = 0; part < 4; part += 1) if (count > 0) this.counters.add({ region, repository: of.repository, image: of.digest }, this.atMs + (part + 0.5) * 15 * MINUTE_MS, count / 4);
        }
      }
      this.atMs += HOUR_MS;
      if (this.atMs % (6 * HOUR_MS) === 0) this.model.learn(this.view());
    }
  }

  forecast(region: string, horizonMs = DAY_MS): ImageForecast[] {
    return this.model.forecast(this.view(), horizonMs).get(region)!;
  }
}

describe('a demand model', () => {
  it('foretells what goes on as it was, at any hour of a week that has its nights and its weekend', () => {
    const world = new World();
    world.images = [image('v1')];
    const rhythm = (atMs: number): number => (new Date(atMs).getUTCHours() < 12 ? 1 : 9) * (((Math.floor((atMs - BEGAN_MS) / DAY_MS) % 7) < 5 ? 1 : 0.4));
    world.pass(28 * 24, (region, _, atMs) => (region === 'east' ? rhythm(atMs) : 0));
    for (const hours of [0, 7, 13, 30, 5 * 24]) {
      world.pass(hours, (region, _, atMs) => (region === 'east' ? rhythm(atMs) : 0));
      let comes = 0;
      for (let hour = 0; hour < 24; hour += 1) comes += rhythm(world.atMs + hour * HOUR_MS);
      expect(world.forecast('east')[0]!.expectedPulls / comes).toBeGreaterThan(0.9);
      expect(world.forecast('east')[0]!.expectedPulls / comes).toBeLessThan(1.1);
    }
  });

  it('has a new tag inherit what its repository gets, and the one before lose it', () => {
    const world = new World();
    world.images = [image('v1')];
    world.pass(14 * 24, () => 4);
    const before = world.forecast('east')[0]!.expectedPulls;
    world.images = [image('v2', world.atMs, 0), image('v1', BEGAN_MS, 1)];
    const [newest, older] = world.forecast('east');
    expect(newest).toMatchObject({ ownPulls: 0, probability: expect.closeTo(1, 1) });
    expect(newest!.expectedPulls).toBeGreaterThan(before * 0.4);
    // The old one has its history still; all of it was made as the newest.
    expect(older!.expectedPulls).toBeLessThan(before * 0.6);
    expect(older!.ownPulls).toBeGreaterThan(older!.inheritedPulls);
  });

  it('learns from pushes what the newest image gets of a repository, against all others', () => {
    const world = new World();
    const tags: ForecastImage[] = [];
    // Nodes of this repository stay with the version before the newest.
    for (let day = 0; day < 20; day += 1) {
      tags.unshift(image(`v${day}`, world.atMs));
      world.images = tags.map((each, generation) => ({ ...each, generation }));
      world.pass(24, (_, of) => (of.generation === 1 ? 10 : 0));
    }
    const [newest, second] = world.forecast('east');
    expect(second!.expectedPulls).toBeGreaterThan(5 * newest!.expectedPulls);
  });

  it('knows of a tag nobody has pulled yet whether pushes of its repository are pulled here, and how soon', () => {
    const world = new World();
    const tags: ForecastImage[] = [];
    for (let day = 0; day < 20; day += 1) {
      tags.unshift(image(`v${day}`, world.atMs));
      world.images = tags.map((each, generation) => ({ ...each, generation }));
      // In the west every new tag is pulled, once; in the east the first one only, now and then.
      world.pass(24, (region, of, atMs) => (region === 'west' ? Number(of.generation === 0 && atMs === of.pushedAt.getTime() + HOUR_MS) : Number(of === world.images.at(-1) && day % 3 === 0) / 24));
    }
    world.images = [image('next', world.atMs), ...tags.map((each, generation) => ({ ...each, generation: generation + 1 }))];
    const [west, east] = ['west', 'east'].map((region) => world.forecast(region)[0]!.probability);
    expect(west).toBeGreaterThan(0.85);
    expect(east).toBeLessThan(0.4);
    expect(world.model.pushes.delayMs('west', 0.1)).toBeLessThan(9 * HOUR_MS);
  });

  it('takes pulls elsewhere for a hint, and learns how much of one', () => {
    const follows = new World();
    const ignores = new World();
    for (const [world, west] of [[follows, 1], [ignores, 0]] as const) {
      const tags: ForecastImage[] = [image('steady', BEGAN_MS, 0, 'team/steady')];
      for (let day = 0; day < 15; day += 1) {
        tags.push(image(`new${day}`, world.atMs, 0, `team/new${day}`));
        world.images = [...tags];
        // New repositories are pulled in the east at once; in the west a day later, or never.
        world.pass(24, (region, of, atMs) => {
          if (of.repository === 'team/steady') return 5;
          const ageMs = atMs - of.pushedAt.getTime();
          return region === 'east' ? 2 : ageMs >= DAY_MS ? 2 * west : 0;
        });
      }
      world.images = [...tags];
    }
    const newest = (world: World): ImageForecast => world.forecast('west').at(-1)!;
    expect(newest(follows).elsewherePulls).toBeGreaterThan(0);
    expect(newest(follows).ownPulls).toBe(0);
    expect(newest(follows).expectedPulls).toBeGreaterThan(3 * newest(ignores).expectedPulls);
  });

  it('expects nothing where nobody pulls, or nobody pulls any more', () => {
    const world = new World();
    world.images = [image('v1'), image('agent', BEGAN_MS, 0, 'ops/agent')];
    const pulls = (region: string, of: ForecastImage): number => (region === 'east' && of.repository === 'team/app' ? 3000 : 0);
    world.pass(2 * 24, pulls);
    expect(world.forecast('west').map(({ expectedPulls }) => expectedPulls)).toEqual([0, 0]);
    world.pass(3, (region, of) => (region === 'west' && of.repository === 'ops/agent' ? 1 : pulls(region, of)));
    const began = world.forecast('west')[0]!;
    expect(began.elsewherePulls).toBe(began.expectedPulls);
    expect(began.expectedPulls).toBeGreaterThan(0.1);
    world.pass(60 * 24, pulls);
    expect(world.forecast('west', 7 * DAY_MS)[0]!.expectedPulls).toBeLessThan(0.001);
  });

  it('has a prior for a region that joins, and in which nobody has pulled', () => {
    const world = new World();
    world.images = [image('v1'), image('w1', BEGAN_MS, 0, 'team/idle')];
    world.pass(5 * 24, (region, of) => (region === 'east' && of.repository === 'team/app' ? 30 : 0));
    world.regions = ['east', 'west', 'north'];
    const [app, idle] = world.forecast('north');
    expect(app!.elsewherePulls).toBe(app!.expectedPulls);
    expect(app!.expectedPulls).toBeGreaterThan(0);
    expect(idle!.expectedPulls).toBe(0);
  });

  it('takes what is pulled right after a push for an echo of it, once it has seen a few, and not for the habit of weeks', () => {
    const world = new World();
    const pushes: ForecastImage[] = [];
    // Whoever deploys it does so at once; after that it gets what an image of its age gets.
    const pulls = (region: string, of: ForecastImage, atMs: number): number => (region === 'east' ? (atMs - of.pushedAt.getTime() < 2 * HOUR_MS ? 40 : 0) + (of.generation === 0 ? 2 : 0) : 0);
    for (let push = 0; push < 8; push += 1) {
      pushes.unshift(image(`v${push}`, world.atMs));
      world.images = pushes.map((of, generation) => ({ ...of, generation }));
      world.pass(2 * 24, pulls);
    }
    pushes.unshift(image('v8', world.atMs));
    world.images = pushes.map((of, generation) => ({ ...of, generation }));
    // The 40 an hour are to come, and then no more: what comes in the rest of its first day are 2 an hour.
    expect(world.forecast('east')[0]!.expectedPulls).toBeGreaterThan(60);
    world.pass(6, pulls);
    const [newest, older] = world.forecast('east');
    expect(newest!.expectedPulls).toBeGreaterThan(12);
    expect(newest!.expectedPulls).toBeLessThan(120);
    expect(older!.expectedPulls).toBeLessThan(10);
    const again = new DemandModel(JSON.parse(JSON.stringify(world.model.state)));
    expect(again.forecast(world.view(), DAY_MS)).toEqual(world.model.forecast(world.view(), DAY_MS));
  });

  it('shares what the oldest images get among all of them', () => {
    const world = new World();
    world.images = Array.from({ length: 60 }, (_, generation) => image(`v${generation}`, BEGAN_MS - generation * HOUR_MS, generation));
    world.images.push(image('agent', BEGAN_MS, 0, 'ops/agent'));
    world.pass(10 * 24, (region, of) => (of.repository === 'ops/agent' ? Number(region === 'west') : region === 'east' && of.generation! >= 20 ? 0.1 : 0));
    const oldest = world.forecast('west').slice(11, 60).reduce((sum, { expectedPulls }) => sum + expectedPulls, 0);
    const east = world.forecast('east').slice(0, 60).reduce((sum, { expectedPulls }) => sum + expectedPulls, 0);
    expect(east).toBeLessThan(1.3 * 96);
    // Elsewhere they are worth a part of it together, and not each of them.
    expect(oldest).toBeLessThan(east);
  });

  it('takes a region that joins for a part of the usual one, for less the longer nobody pulls there, and for what it is once somebody does', () => {
    const world = new World();
    world.images = [image('v1'), image('w1', BEGAN_MS, 0, 'team/rare')];
    const pulls = (active: readonly string[]) => (region: string, of: ForecastImage): number => (active.includes(region) ? (of.repository === 'team/app' ? 40 : 0.1) : 0);
    world.pass(10 * 24, pulls(['east', 'west']));
    world.regions = ['east', 'west', 'north'];
    const north = (): ImageForecast => world.forecast('north', 7 * DAY_MS)[0]!;
    world.model.learn(world.view(world.atMs + MINUTE_MS));
    const [joined, east] = [north(), world.forecast('east', 7 * DAY_MS)[0]!];
    expect(joined.expectedPulls).toBeGreaterThan(3);
    expect(joined.expectedPulls / east.expectedPulls).toBeLessThan(0.01);
    world.pass(2 * 24, pulls(['east', 'west']));
    const later = north();
    expect(later.expectedPulls / joined.expectedPulls).toBeLessThan(0.6);
    world.pass(26 * 24, pulls(['east', 'west']));
    const silent = north();
    expect(silent.expectedPulls).toBeLessThan(0.1);
    // However long it was silent, what others pull is as good a hint as ever once nodes come.
    world.counters.add({ region: 'north', repository: 'team/rare', image: world.images[1]!.digest }, world.atMs, 40);
    expect(north().expectedPulls / silent.expectedPulls).toBeGreaterThan(50);
    const again = new DemandModel(JSON.parse(JSON.stringify(world.model.state)));
    expect(again.forecast(world.view(), DAY_MS)).toEqual(world.model.forecast(world.view(), DAY_MS));
  });

  it('takes all regions of a state of before for as old as counting', () => {
    const world = new World();
    world.images = [image('v1')];
    world.pass(20 * 24, (region) => (region === 'east' ? 40 : 0));
    const { joined: _joined, ...before } = world.model.state;
    expect(new DemandModel(before).forecast(world.view(), DAY_MS).get('west')).toEqual(world.forecast('west'));
    expect(world.forecast('west')[0]!.expectedPulls).toBeLessThan(0.1);
  });

  it('has an image that no tag names keep what it is pulled, and inherit next to nothing', () => {
    const world = new World();
    world.images = [image('v1'), image('old', BEGAN_MS, null)];
    world.pass(7 * 24, (_, of) => (of.generation === 0 ? 10 : 1));
    const [tagged, untagged] = world.forecast('east');
    expect(untagged!.expectedPulls / tagged!.expectedPulls).toBeGreaterThan(0.05);
    world.images = [...world.images, image('older', BEGAN_MS, null)];
    expect(world.forecast('east')[2]!.expectedPulls).toBe(0);
  });

  it('gives intervals in which nine of ten days come to lie', () => {
    const world = new World();
    world.images = Array.from({ length: 60 }, (_, n) => image(`v${n}`, BEGAN_MS, 0, `team/app${n}`));
    // Days are scored as they are looked at here.
    world.model.learn(world.view());
    // A sine nobody told it of, and a jitter of each image's own.
    let state = 1;
    const chance = (): number => ((state = (state * 48_271) % 2_147_483_647) / 2_147_483_647);
    const factors = new Map<string, number>();
    let [within, all] = [0, 0];
    for (let day = 0; day < 40; day += 1) {
      const foretold = world.forecast('east');
      for (const { repository } of world.images) factors.set(repository, Math.max(0, 1 + 0.3 * (chance() + chance() + chance() - 1.5) + 0.2 * Math.sin(day)));
      const came = world.images.map((of, n) => 24 * (1 + n / 4) * factors.get(of.repository)!);
      if (day >= 15) {
        came.forEach((pulls, n) => {
          all += 1;
          if (pulls >= foretold[n]!.low && pulls <= foretold[n]!.high) within += 1;
        });
      }
      world.pass(24, (_, of) => (1 + world.images.indexOf(of) / 4) * factors.get(of.repository)!);
    }
    expect(within / all).toBeGreaterThan(0.85);
    expect(within / all).toBeLessThan(0.95);
  });

  it('is surprised by a flood, by a drought, and not by what it expected, at whatever hour', () => {
    const world = new World();
    world.images = [image('v1'), image('w1', BEGAN_MS, 0, 'team/calm'), image('d1', BEGAN_MS, 0, 'team/dry')];
    const usual = (atMs: number): number => (new Date(atMs).getUTCHours() < 12 ? 1 : 9);
    world.pass(14 * 24, (_, __, atMs) => usual(atMs));
    const foretold = world.forecast('east', 7 * DAY_MS);
    const from = new Date(world.atMs);
    let quiet = 0;
    // The quiet half of the day: a forecast that were spread evenly would be off by four fifths of it.
    for (let hour = 0; hour < 12; hour += 1) quiet += usual(world.atMs + hour * HOUR_MS);
    const came = [quiet + 300, quiet, 0];
    const time = { from, until: new Date(world.atMs + 7 * DAY_MS), at: new Date(world.atMs + 12 * HOUR_MS) };
    const { passedRatio, images: [flood, calm, dry] } = world.model.surprises('east', time, foretold.map(({ expectedPulls, elsewherePulls }, n) => ({ expectedPulls, elsewherePulls, pulls: came[n]! })));
    expect(passedRatio).toBeCloseTo(quiet / (7 * 120), 1);
    expect(flood).toBeGreaterThan(3);
    expect(Math.abs(calm!)).toBeLessThan(1);
    expect(dry).toBeLessThan(-1);
  });

  it('goes on as if nothing had been when it is made again from its state', () => {
    const world = new World();
    world.images = [image('v1'), image('v0', BEGAN_MS, 1)];
    world.pass(9 * 24, (region, of) => (region === 'east' ? 2 : 1) + of.generation!);
    const again = new DemandModel(JSON.parse(JSON.stringify(world.model.state)));
    expect(again.forecast(world.view(), DAY_MS)).toEqual(world.model.forecast(world.view(), DAY_MS));
    expect(again.state).toEqual(world.model.state);
  });

  it('follows pushes and holds its day ahead against what comes, however often it is made again', () => {
    const [steady, restarted] = [new World(), new World()];
    for (const world of [steady, restarted]) {
      const tags: ForecastImage[] = Array.from({ length: 30 }, (_, n) => image(`steady ${n}`, BEGAN_MS, 0, `team/steady${n}`));
      for (let quarter = 0; quarter < 8 * 4; quarter += 1) {
        if (quarter % 4 === 1) tags.push(image(`v${quarter}`, world.atMs + MINUTE_MS, 0, `team/pushed${quarter % 3}`));
        world.images = [...tags];
        world.pass(6, (region, of, atMs) => (region === 'east' || of.repository.startsWith('team/steady') ? 1 + (new Date(atMs).getUTCDate() % 3) * Number(of.repository.endsWith('3')) : 0));
        if (world === restarted && quarter % 2 === 1) world.model = new DemandModel(JSON.parse(JSON.stringify(world.model.state)), JSON.parse(JSON.stringify(world.model.foretold?.state)));
      }
    }
    expect(restarted.model.state.pushes).toEqual(steady.model.state.pushes);
    expect(restarted.model.state.followed).toEqual(steady.model.state.followed);
    const [errors, again] = [steady, restarted].map(({ model }) => model.calibrationOf('east').state.errors);
    expect(errors).toHaveLength(3);
    for (const [n, error] of errors!.entries()) expect(again![n]).toBeCloseTo(error, 1);
    expect(restarted.model.calibrationOf('east').state.perPull / steady.model.calibrationOf('east').state.perPull).toBeCloseTo(1, 1);
  });

  it('keeps of its day ahead no more than the most expected images', () => {
    const world = new World();
    world.images = Array.from({ length: FORETOLD_KEPT_MAX + 5 }, (_, n) => image(`v${n}`, BEGAN_MS, 0, `team/app${n}`));
    for (const [n, of] of world.images.entries()) world.counters.add({ region: 'east', repository: of.repository, image: of.digest }, world.atMs + 1, n < 5 ? 1 : 3);
    world.model.learn(world.view(world.atMs + MINUTE_MS));
    const { keys, regions } = world.model.foretold!.state;
    expect([keys.length, regions.length, regions[0]![1].length]).toEqual([FORETOLD_KEPT_MAX, 2, FORETOLD_KEPT_MAX]);
    expect(new Set(keys)).not.toContain(forecastKey(world.images[0]!));
  });

  it('learns nothing of a time at whose beginning it did not look, when it is made again from its state', () => {
    const world = new World();
    world.images = [image('v1'), image('v0', BEGAN_MS, 1)];
    world.pass(9 * 24, () => 2);
    const again = new DemandModel(world.model.state);
    world.pass(6, () => 2);
    again.learn(world.view());
    expect(again.state.profiles).toEqual(new DemandModel(again.state).state.profiles);
    const [before, after] = [world.model, again].map((model) => model.forecast(world.view(), DAY_MS).get('east')!);
    for (const [n, { expectedPulls }] of after!.entries()) expect(expectedPulls / before![n]!.expectedPulls).toBeCloseTo(1, 1);
    world.pass(6, () => 2);
    again.learn(world.view());
    expect(again.state.learnedMs).toBe(world.model.state.learnedMs);
  });

  it('takes the first pulls ever for what a day brings', () => {
    const world = new World();
    world.images = [image('v1', BEGAN_MS - 9 * DAY_MS)];
    world.model.learn(world.view());
    world.counters.add({ region: 'east', repository: 'team/app', image: digestOf('v1') }, BEGAN_MS + MINUTE_MS, 8);
    const ofView = world.model.forecast(world.view(BEGAN_MS + 2 * MINUTE_MS), 7 * DAY_MS).get('east')![0]!;
    expect(ofView.expectedPulls).toBeGreaterThan(8);
    expect(ofView.expectedPulls).toBeLessThan(8 * 7 * 1.5);
  });

  it('waits for a clock that was set back', () => {
    const world = new World();
    world.images = [image('v1')];
    world.pass(3 * 24, () => 2);
    const { state } = world.model;
    world.model.learn(world.view(world.atMs - DAY_MS));
    expect(world.model.state).toEqual(state);
  });

  it('foretells the same in whatever order pulls were counted, and never what cannot be', () => {
    const pulls = fc.array(fc.record({ ms: fc.integer({ min: 0, max: 10 * DAY_MS }), n: fc.integer({ min: 0, max: 3 }), region: fc.constantFrom('east', 'west') }), { maxLength: 60 });
    const images = [0, 1, 2, 3].map((n) => image(`v${n}`, BEGAN_MS + n * DAY_MS, n === 3 ? null : 2 - n, n === 0 ? 'team/other' : 'team/app'));
    fc.assert(fc.property(pulls, fc.constantFrom(HOUR_MS, DAY_MS, 30 * DAY_MS), (all, horizonMs) => {
      const [there, back] = [all, all.toReversed()].map((ordered) => {
        const world = new World();
        world.images = images;
        for (const { ms, n, region } of ordered) world.counters.add({ region, repository: images[n]!.repository, image: images[n]!.digest }, BEGAN_MS + ms);
        world.atMs = BEGAN_MS + 10 * DAY_MS;
        world.model.learn(world.view(BEGAN_MS + 5 * DAY_MS));
        world.model.learn(world.view());
        return ['east', 'west'].flatMap((region) => world.forecast(region, horizonMs));
      });
      for (const [n, { expectedPulls, ownPulls, inheritedPulls, elsewherePulls, probability, low, high }] of there!.entries()) {
        for (const part of [ownPulls, inheritedPulls, elsewherePulls, low]) expect(part).toBeGreaterThanOrEqual(0);
        expect(ownPulls + inheritedPulls + elsewherePulls).toBeCloseTo(expectedPulls, 6);
        expect([probability >= 0, probability <= 1, low <= expectedPulls, high >= expectedPulls]).toEqual([true, true, true, true]);
        expect(back![n]!.expectedPulls).toBeCloseTo(expectedPulls, 6);
      }
    }), { numRuns: 50 });
  });

  it('learns and foretells in steps of a few hundred images, which come to the same', () => {
    const [steps, atOnce] = [new World(), new World()];
    const images = Array.from({ length: 1000 }, (_, n) => image(`v${n}`, BEGAN_MS - n * MINUTE_MS, Math.floor(n / 50), `team/app-${n % 50}`));
    for (const world of [steps, atOnce]) {
      world.images = images;
      for (const [n, { repository, digest }] of images.entries()) world.counters.add({ region: world.regions[n % 2]!, repository, image: digest }, BEGAN_MS, n % 9);
    }
    for (const atMs of [BEGAN_MS, BEGAN_MS + HOUR_MS, BEGAN_MS + 25 * HOUR_MS]) {
      atOnce.model.learn(atOnce.view(atMs));
      let haltCount = 0;
      for (const _halt of steps.model.learning(steps.view(atMs))) haltCount += 1;
      // What every image is worth in a region is looked at once at least.
      expect(haltCount).toBeGreaterThanOrEqual(Math.floor(images.length / STEPS_AT_ONCE));
      const foretelling = steps.model.forecasting(steps.view(atMs), DAY_MS);
      let [foretold, halts] = [foretelling.next(), 0];
      for (; foretold.done !== true; halts += 1) foretold = foretelling.next();
      expect(halts).toBeGreaterThanOrEqual(steps.regions.length * Math.floor(images.length / STEPS_AT_ONCE));
      expect(foretold.value).toEqual(atOnce.model.forecast(atOnce.view(atMs), DAY_MS));
    }
    expect(steps.model.state).toEqual(atOnce.model.state);
  });
});
