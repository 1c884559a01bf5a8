import { describe, expect, it } from 'vitest';

import { digestOf } from '#oci';
import { imageKey } from '#placement';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '#quantities';

import { AGE_SHARES, type ArrivalRate, expectedOf, HourlyProfile } from './arrival-rate.js';
import type { CrawledRepository } from './catalogue-repositories.js';
import { ARRIVAL_MODEL_DEFAULT, MODELLED_DAYS, modelledArrivals } from './modelled-arrivals.js';

const image = (repository: string, tag: number) => ({ repository, digest: digestOf(`${repository} ${tag}`), layers: [{ digest: digestOf(`layer ${repository} ${tag}`), sizeBytes: 1e6 }] });

describe('expectedOf', () => {
  const rate: ArrivalRate = {
    profile: new HourlyProfile(0, [1, 3]),
    visits: 100,
    images: [
      { image: image('team/app', 0), pushedAtMs: -1, takenUpAtMs: -1 },
      { image: image('team/app', 1), pushedAtMs: 0, takenUpAtMs: HOUR_MS, burst: { fromMs: HOUR_MS, untilMs: 3 * HOUR_MS, pulls: 8 } },
    ],
  };

  it('gives an only image all of a repository’s pulls, by the hours of the profile, and none after its end', () => {
    expect(expectedOf(rate, 0, -1, HOUR_MS / 2).expectedPulls).toBeCloseTo(1.4 * 12.5, 10);
    expect(expectedOf(rate, 0, -1, 3 * HOUR_MS).expectedPulls).toBeCloseTo(1.4 * 100, 10);
    expect(expectedOf(rate, 0, 2 * HOUR_MS, 3 * HOUR_MS)).toEqual({ expectedPulls: 0, probability: 0 });
  });

  it('knows of a push from when it was made on, and what it will bring', () => {
    expect(expectedOf(rate, 1, -1, 3 * HOUR_MS)).toEqual({ expectedPulls: 0, probability: 0 });
    expect(expectedOf(rate, 0, 0, 3 * HOUR_MS).expectedPulls).toBeCloseTo(1.4 * (25 + (1 - AGE_SHARES[0]!) * 75), 10);
    const { expectedPulls, probability } = expectedOf(rate, 1, 0, HOUR_MS + MINUTE_MS);
    expect(expectedPulls).toBeCloseTo((1.4 * AGE_SHARES[0]! * 75 + 4) / 60, 10);
    expect(probability).toBeCloseTo(1 - Math.exp(-(AGE_SHARES[0]! * 75 + 4) / 60), 10);
  });

  it('has what a burst would bring after the end come at the end', () => {
    expect(expectedOf({ ...rate, visits: 0 }, 1, 0, 2 * HOUR_MS).expectedPulls).toBe(8);
    expect(expectedOf({ ...rate, visits: 0 }, 1, 0, 1.5 * HOUR_MS).expectedPulls).toBe(2);
  });
});

describe('modelledArrivals', () => {
  const beginMs = ARRIVAL_MODEL_DEFAULT.from.getTime();
  const endMs = beginMs + MODELLED_DAYS * DAY_MS;
  // Of 60 repositories every third is pushed to every few days, besides up to fourteen images from before.
  const crawled = Array.from({ length: 60 }, (_, n): CrawledRepository => {
    const name = `team/app-${n}`;
    const older = Array.from({ length: 1 + (n % 14) }, (__, tag) => ({ image: image(name, tag), pushedAtMs: beginMs - (20 - tag) * DAY_MS }));
    const newer = n % 3 === 0 ? Array.from({ length: 1 + (n % 7) }, (__, tag) => ({ image: image(name, 100 + tag), pushedAtMs: beginMs + (tag + 0.4) * 4 * DAY_MS + n * HOUR_MS })) : [];
    return { name, images: [...older, ...newer], usedCount: 1000 / (n + 1) };
  });
  const pushes = new Map(crawled.map(({ name, images }) => [name, images.map(({ pushedAtMs }) => pushedAtMs)]));
  const pushedAt = new Map(crawled.flatMap(({ images }) => images.map((each) => [imageKey(each.image), each.pushedAtMs] as const)));

  /** How many pulls of some images are to be expected, until they are of an age, and by how many standard deviations more came. Pushes are known when they happen: so it is summed from one to the next. */
  const compare = (seed: number, { shares, of = () => true, ageMsMax = Number.POSITIVE_INFINITY }: { readonly shares: readonly number[]; readonly of?: (repository: string) => boolean; readonly ageMsMax?: number }) => {
    const { catalogue, events, places, rates } = modelledArrivals({ ...ARRIVAL_MODEL_DEFAULT, pullCount: 40_000, seed }, crawled);
    const isOf = (repository: string, pushedAtMs: number): boolean => of(repository) && (ageMsMax === Number.POSITIVE_INFINITY || pushedAtMs >= beginMs);
    let expected = 0;
    for (const [n, { repository, digest }] of catalogue.images.entries()) {
      const pushedAtMs = pushedAt.get(imageKey({ repository, digest }))!;
      if (!isOf(repository, pushedAtMs)) continue;
      const untilMs = Math.min(endMs, pushedAtMs + ageMsMax);
      const times = [beginMs, ...pushes.get(repository)!.filter((atMs) => atMs > beginMs && atMs < untilMs), untilMs];
      for (const share of shares) for (const [at, fromMs] of times.slice(0, -1).entries()) expected += rates(share, n, fromMs, times[at + 1]!).expectedPulls;
    }
    const regions = new Set(shares.map((share) => (share < 0 ? places.home : places.regions[share]!.region)));
    const came = events.filter((event) => {
      const pushedAtMs = pushedAt.get(imageKey({ repository: event.repository, digest: event.image }))!;
      return event.kind === 'pull' && regions.has(event.region) && isOf(event.repository, pushedAtMs) && event.at.getTime() < pushedAtMs + ageMsMax;
    }).length;
    // A visit brings 1 + G pulls, G geometric of mean 0.4: of a mean of 1.4 pulls the variance is 1.96 + 0.56.
    return { expected, deviations: (came - expected) / Math.sqrt(1.8 * expected) };
  };

  it.each([
    ['in all', 1, [-1, 0, 1, 2, 3], {}],
    ['in all, by another seed', 2, [-1, 0, 1, 2, 3], {}],
    ['at home', 1, [-1], {}],
    ['in the first region', 1, [0], {}],
    ['in the second region', 1, [1], {}],
    ['in the third region', 1, [2], {}],
    ['in the last region', 1, [3], {}],
    ['in the two hours after a push', 1, [-1, 0, 1, 2, 3], { ageMsMax: 2 * HOUR_MS }],
    ['in the first day after a push', 1, [-1, 0, 1, 2, 3], { ageMsMax: DAY_MS }],
    ['in the first three days after a push', 2, [0, 1, 2, 3], { ageMsMax: 3 * DAY_MS }],
    ['of one popular repository', 1, [-1, 0, 1, 2, 3], { of: (repository: string) => repository === 'team/app-0' }],
    ['of one that is pushed to', 2, [-1, 0, 1, 2, 3], { of: (repository: string) => repository === 'team/app-6' }],
  ])('draws as many pulls as the rates tell, within chance: %s', (_, seed, shares, some) => {
    const { expected, deviations } = compare(seed, { shares, ...some });
    expect(expected).toBeGreaterThan(100);
    expect(Math.abs(deviations)).toBeLessThan(3);
  });

  it('finds as many images pulled within a week as the probabilities tell', () => {
    const { catalogue, events, places, rates } = modelledArrivals({ ...ARRIVAL_MODEL_DEFAULT, pullCount: 20_000, seed: 3 }, crawled);
    const [fromMs, toMs] = [beginMs, beginMs + 7 * DAY_MS];
    const isPushed = new Set(crawled.filter(({ images }) => images.some(({ pushedAtMs }) => pushedAtMs >= fromMs && pushedAtMs < toMs)).map(({ name }) => name));
    const pulled = new Set(events.flatMap((event) => (event.kind === 'pull' && event.at.getTime() < toMs ? [`${event.region} ${imageKey({ repository: event.repository, digest: event.image })}`] : [])));
    let [expected, variance, came] = [0, 0, 0];
    for (const [n, { repository, digest }] of catalogue.images.entries()) {
      if (isPushed.has(repository)) continue;
      for (const [share, { region }] of places.regions.entries()) {
        const { probability } = rates(share, n, fromMs, toMs);
        expected += probability;
        variance += probability * (1 - probability);
        came += Number(pulled.has(`${region} ${imageKey({ repository, digest })}`));
      }
    }
    expect(expected).toBeGreaterThan(100);
    expect(Math.abs(came - expected)).toBeLessThan(3 * Math.sqrt(variance));
  });
});
