import { imageKey, openCatalogue, type ReplayEvent, type ReplayImage } from '#placement';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '#quantities';

import { AGE_SHARES, type ArrivalRate, type ExpectedPulls, expectedOf, HourlyProfile, type RatedImage, TOGETHER } from './arrival-rate.js';
import { type CrawledRepository, readRepositories } from './catalogue-repositories.js';
import { Chance, cumulated } from './chance.js';
import type { Workload } from './workload.js';

/** What the arrivals of a modelled history follow. */
export interface ArrivalModel {
  readonly seed: number;
  /** The exponent of the popularity of repositories. */
  readonly alpha: number;
  /** How alike the regions' shares of a repository are: the concentration of a Dirichlet distribution around the regions' volumes, in regions. */
  readonly concentration: number;
  /** Pulls in all, about. */
  readonly pullCount: number;
  /** First day of the 28. */
  readonly from: Date;
}

/** The model of the published figures. */
export const ARRIVAL_MODEL_DEFAULT: Omit<ArrivalModel, 'seed'> = { alpha: 1.2, concentration: 2, pullCount: 194_000, from: new Date('2024-05-01T00:00:00Z') };

/** How long a modelled history is. */
export const MODELLED_DAYS = 28;
const REPOSITORY_COUNT = 400;
const OLDER_COUNT = 9;
/**
 * Pulled images of the regions of a public registry (FAST '18, table 1): volumes of dal, lon, fra, syd and prs; the greatest is home. Prices from home, of 2022.
 */
const REGIONS = [
  { region: 'eastus', volume: 58.8, utcHours: -5, usdPerGb: 0 },
  { region: 'uksouth', volume: 25.9, utcHours: 0, usdPerGb: 0.05 },
  { region: 'germanywestcentral', volume: 11.2, utcHours: 1, usdPerGb: 0.05 },
  { region: 'australiaeast', volume: 4.2, utcHours: 10, usdPerGb: 0.05 },
  { region: 'brazilsouth', volume: 1.6, utcHours: -3, usdPerGb: 0.05 },
] as const;
const VOLUME = REGIONS.reduce((sum, { volume }) => sum + volume, 0);
/** Pulls by local hour, about as functions are called over a working day. */
const HOURLY = Array.from({ length: 24 }, (_, hour) => 1 + 0.45 * Math.cos(((hour - 15) / 24) * 2 * Math.PI));
const WEEKEND_RATIO = 0.6;
/** Of the times that regions take to a new image in. */
const LAG_MEAN_MS = 4 * HOUR_MS;
/** How often a push is followed by a burst, when that begins and ends, and how it is sized against a day's pulls. */
const BURST = { probability: 0.5, fromMs: 2 * MINUTE_MS, untilMs: 120 * MINUTE_MS, daysOfPulls: 1, deviation: 0.8, ratioMax: 0.2 };
/** Of the logarithm of a repository's rank in popularity, from what Dockerfiles say. */
const POPULARITY_DEVIATION = 1.5;
const CLIENTS_PER_REGION = 200;

/** A modelled history, and what its pulls were drawn from. */
export interface ModelledArrivals extends Workload {
  /** What is to be expected of an image, by its number in the catalogue, in the region of a share, or at home by -1, from one instant to another: see {@link expectedOf}. */
  readonly rates: (share: number, image: number, fromMs: number, toMs: number) => ExpectedPulls;
}

/**
 * Catalogue-real, arrival-modelled: repositories, images, push times, layers and their sharing are those of a crawl of 2024-05; who pulls what, where and when is drawn. It is no trace.
 * @param crawled other repositories than those of the crawl.
 * @throws {BenchError} where the crawl is not on this machine.
 */
export function modelledArrivals(model: ArrivalModel, crawled?: readonly CrawledRepository[]): ModelledArrivals {
  const chance = new Chance(model.seed);
  const beginMs = model.from.getTime();
  const repositories = ranked(crawled ?? readRepositories({ beginMs, endMs: beginMs + MODELLED_DAYS * DAY_MS, repositoryCount: REPOSITORY_COUNT, olderCount: OLDER_COUNT }), chance);
  const events = repositories.flatMap(({ name, images }) => images.map(({ image, pushedAtMs }): ReplayEvent => ({ kind: 'push', at: new Date(pushedAtMs), region: REGIONS[0].region, repository: name, image: image.digest })));
  const popularity = repositories.map((_, rank) => (rank + 1) ** -model.alpha);
  const total = popularity.reduce((sum, each) => sum + each, 0);
  const profiles = REGIONS.map(({ utcHours }) => new HourlyProfile(beginMs, hoursOf(beginMs, utcHours)));
  const rated: ArrivalRate[][] = REGIONS.map(() => []);
  for (const [rank, repository] of repositories.entries()) {
    const mix = REGIONS.map(({ volume }) => chance.gamma((model.concentration * REGIONS.length * volume) / VOLUME));
    const mixed = mix.reduce((sum, each) => sum + each, 0);
    for (const [n, { region }] of REGIONS.entries()) {
      const pulls = (model.pullCount * popularity[rank]! * mix[n]!) / (total * mixed);
      const rate = rateOf(repository, pulls, { profile: profiles[n]!, chance });
      rated[n]!.push(rate);
      events.push(...pullsOf(rate, region, chance));
    }
  }
  const catalogue = openCatalogue(repositories.flatMap(({ images }) => images.map(({ image }) => image)));
  const places = new Map(repositories.flatMap(({ images }, rank) => images.map(({ image }, n) => [catalogue.imageNumber.get(imageKey(image))!, { rank, n }] as const)));
  return {
    catalogue,
    events: events.toSorted((a, b) => a.at.getTime() - b.at.getTime()),
    places: { home: REGIONS[0].region, regions: REGIONS.slice(1).map(({ region, usdPerGb }) => ({ region, usdPerGb })) },
    rates: (share, image, fromMs, toMs) => {
      const { rank, n } = places.get(image)!;
      return expectedOf(rated[share + 1]![rank]!, n, fromMs, toMs);
    },
  };
}

/** The most pulled first: about in the order of how often Dockerfiles build on them. */
function ranked(repositories: readonly CrawledRepository[], chance: Chance): CrawledRepository[] {
  return repositories.map((repository) => ({ repository, worth: Math.log(1 + repository.usedCount) + POPULARITY_DEVIATION * chance.normal() })).toSorted((a, b) => b.worth - a.worth).map(({ repository }) => repository);
}

/** What the pulls of a repository in a region are drawn from, of which some is drawn itself. @param pulls in all. */
function rateOf({ images }: CrawledRepository, pulls: number, { profile, chance }: { readonly profile: HourlyProfile; readonly chance: Chance }): ArrivalRate {
  const { beginMs } = profile;
  // How much later than the push this region takes to a new image.
  const lagMs = chance.exponential() * LAG_MEAN_MS;
  const burst = burstsOf(images.filter(({ pushedAtMs }) => pushedAtMs >= beginMs).map(({ image }) => image), pulls, chance);
  const steady = Math.max(0, pulls - [...burst.values()].reduce((sum, each) => sum + each, 0));
  return {
    profile,
    visits: steady / (1 + TOGETHER.mean),
    images: images.map(({ image, pushedAtMs }): RatedImage => {
      const ofBurst = burst.get(image);
      return { image, pushedAtMs, takenUpAtMs: pushedAtMs + (pushedAtMs >= beginMs ? lagMs : 0), ...(ofBurst === undefined ? {} : { burst: { fromMs: pushedAtMs + BURST.fromMs, untilMs: pushedAtMs + BURST.untilMs, pulls: ofBurst } }) };
    }),
  };
}

/** Pushes after which more is pulled than usual, and how much; in all regions that is drawn by itself. */
function burstsOf(pushed: readonly ReplayImage[], pulls: number, chance: Chance): ReadonlyMap<ReplayImage, number> {
  return new Map(pushed.filter(() => chance.happens(BURST.probability)).map((image) => [image, Math.min(pulls * BURST.ratioMax, (pulls / MODELLED_DAYS) * BURST.daysOfPulls * Math.exp(BURST.deviation * chance.normal()))]));
}

function pullsOf({ images, visits, profile: { beginMs, endMs, hours } }: ArrivalRate, region: string, chance: Chance): ReplayEvent[] {
  const events: ReplayEvent[] = [];
  const pull = (atMs: number, { repository, digest }: ReplayImage): unknown =>
    events.push({ kind: 'pull', at: new Date(Math.floor(Math.min(endMs - 1, atMs))), region, repository, image: digest, client: `${region} ${chance.below(CLIENTS_PER_REGION)}` });
  const ages = cumulated(AGE_SHARES);
  for (let count = chance.poisson(visits); count > 0; count -= 1) {
    const atMs = beginMs + (chance.weighted(hours) + chance.uniform()) * HOUR_MS;
    const known = images.filter(({ takenUpAtMs }) => takenUpAtMs <= atMs);
    const of = known.at(-1 - Math.min(chance.weighted(ages), known.length - 1));
    if (of === undefined) continue;
    pull(atMs, of.image);
    for (let others = chance.geometric(TOGETHER.mean); others > 0; others -= 1) pull(atMs + chance.uniform() * TOGETHER.withinMs, of.image);
  }
  for (const { image, burst } of images) {
    if (burst === undefined) continue;
    for (let count = chance.poisson(burst.pulls); count > 0; count -= 1) pull(burst.fromMs + chance.uniform() * (burst.untilMs - burst.fromMs), image);
  }
  return events;
}

/** What every hour of the window weighs. */
function hoursOf(beginMs: number, utcHours: number): number[] {
  return Array.from({ length: MODELLED_DAYS * 24 }, (_, hour) => {
    const local = new Date(beginMs + (hour + utcHours) * HOUR_MS);
    return HOURLY[local.getUTCHours()]! * ([0, 6].includes(local.getUTCDay()) ? WEEKEND_RATIO : 1);
  });
}
