import { openCatalogue, type ReplayEvent, type ReplayImage } from '#placement';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '#quantities';

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
/** Shares of the pulls of a repository by the age of the image: the newest first. */
const AGE_SHARES = [0.55, 0.16, 0.09, 0.06, 0.045, 0.03, 0.02, 0.015, 0.01, 0.008, 0.007, 0.005];
/** Pulls by local hour, about as functions are called over a working day. */
const HOURLY = Array.from({ length: 24 }, (_, hour) => 1 + 0.45 * Math.cos(((hour - 15) / 24) * 2 * Math.PI));
const WEEKEND_RATIO = 0.6;
/** Of the times that regions take to a new image in. */
const LAG_MEAN_MS = 4 * HOUR_MS;
/** How often a push is followed by a burst, when that begins and ends, and how it is sized against a day's pulls. */
const BURST = { probability: 0.5, fromMs: 2 * MINUTE_MS, untilMs: 120 * MINUTE_MS, daysOfPulls: 1, deviation: 0.8, ratioMax: 0.2 };
/** How many more nodes pull the same at the same time, as when a deployment is scaled. */
const TOGETHER = { mean: 0.4, withinMs: MINUTE_MS };
/** Of the logarithm of a repository's rank in popularity, from what Dockerfiles say. */
const POPULARITY_DEVIATION = 1.5;
const CLIENTS_PER_REGION = 200;

/**
 * Catalogue-real, arrival-modelled: repositories, images, push times, layers and their sharing are those of a crawl of 2024-05; who pulls what, where and when is drawn. It is no trace.
 * @throws {BenchError} where the crawl is not on this machine.
 */
export function modelledArrivals(model: ArrivalModel): Workload {
  const chance = new Chance(model.seed);
  const beginMs = model.from.getTime();
  const repositories = ranked(readRepositories({ beginMs, endMs: beginMs + MODELLED_DAYS * DAY_MS, repositoryCount: REPOSITORY_COUNT, olderCount: OLDER_COUNT }), chance);
  const events = repositories.flatMap(({ name, images }) => images.map(({ image, pushedAtMs }): ReplayEvent => ({ kind: 'push', at: new Date(pushedAtMs), region: REGIONS[0].region, repository: name, image: image.digest })));
  const popularity = repositories.map((_, rank) => (rank + 1) ** -model.alpha);
  const total = popularity.reduce((sum, each) => sum + each, 0);
  for (const [rank, repository] of repositories.entries()) {
    const mix = REGIONS.map(({ volume }) => chance.gamma((model.concentration * REGIONS.length * volume) / VOLUME));
    const mixed = mix.reduce((sum, each) => sum + each, 0);
    for (const [n, region] of REGIONS.entries()) {
      const pulls = (model.pullCount * popularity[rank]! * mix[n]!) / (total * mixed);
      events.push(...pullsOf(repository, region, { pulls, chance, beginMs }));
    }
  }
  return {
    catalogue: openCatalogue(repositories.flatMap(({ images }) => images.map(({ image }) => image))),
    events: events.toSorted((a, b) => a.at.getTime() - b.at.getTime()),
    places: { home: REGIONS[0].region, regions: REGIONS.slice(1).map(({ region, usdPerGb }) => ({ region, usdPerGb })) },
  };
}

/** The most pulled first: about in the order of how often Dockerfiles build on them. */
function ranked(repositories: readonly CrawledRepository[], chance: Chance): CrawledRepository[] {
  return repositories.map((repository) => ({ repository, worth: Math.log(1 + repository.usedCount) + POPULARITY_DEVIATION * chance.normal() })).toSorted((a, b) => b.worth - a.worth).map(({ repository }) => repository);
}

/** How often one repository is pulled in one region, and from when on. */
interface RepositoryPulls {
  readonly pulls: number;
  readonly chance: Chance;
  readonly beginMs: number;
}

function pullsOf(repository: CrawledRepository, region: (typeof REGIONS)[number], { pulls, chance, beginMs }: RepositoryPulls): ReplayEvent[] {
  const events: ReplayEvent[] = [];
  const pull = (atMs: number, image: ReplayImage): unknown =>
    events.push({ kind: 'pull', at: new Date(Math.floor(atMs)), region: region.region, repository: repository.name, image: image.digest, client: `${region.region} ${chance.below(CLIENTS_PER_REGION)}` });
  // How much later than the push this region takes to a new image.
  const lagMs = chance.exponential() * LAG_MEAN_MS;
  const endMs = beginMs + MODELLED_DAYS * DAY_MS;
  const burst = burstsOf(repository, { pulls, chance, beginMs });
  const ages = cumulated(AGE_SHARES);
  const hours = cumulated(hoursOf(beginMs, region.utcHours));
  const steady = Math.max(0, pulls - burst.reduce((sum, each) => sum + each.pulls, 0));
  for (let count = chance.poisson(steady / (1 + TOGETHER.mean)); count > 0; count -= 1) {
    const atMs = beginMs + (chance.weighted(hours) + chance.uniform()) * HOUR_MS;
    const known = repository.images.filter(({ pushedAtMs }) => pushedAtMs + (pushedAtMs >= beginMs ? lagMs : 0) <= atMs);
    const of = known.at(-1 - Math.min(chance.weighted(ages), known.length - 1));
    if (of === undefined) continue;
    pull(atMs, of.image);
    for (let others = chance.geometric(TOGETHER.mean); others > 0; others -= 1) pull(Math.min(endMs - 1, atMs + chance.uniform() * TOGETHER.withinMs), of.image);
  }
  for (const { image, pushedAtMs, pulls: mean } of burst) {
    for (let count = chance.poisson(mean); count > 0; count -= 1) pull(Math.min(endMs - 1, pushedAtMs + BURST.fromMs + chance.uniform() * (BURST.untilMs - BURST.fromMs)), image);
  }
  return events;
}

/** Pushes after which more is pulled than usual, and how much; in all regions that is drawn by itself. */
function burstsOf({ images }: CrawledRepository, { pulls, chance, beginMs }: RepositoryPulls): (CrawledRepository['images'][number] & { readonly pulls: number })[] {
  return images
    .filter(({ pushedAtMs }) => pushedAtMs >= beginMs && chance.happens(BURST.probability))
    .map((each) => ({ ...each, pulls: Math.min(pulls * BURST.ratioMax, (pulls / MODELLED_DAYS) * BURST.daysOfPulls * Math.exp(BURST.deviation * chance.normal())) }));
}

/** What every hour of the window weighs. */
function hoursOf(beginMs: number, utcHours: number): number[] {
  return Array.from({ length: MODELLED_DAYS * 24 }, (_, hour) => {
    const local = new Date(beginMs + (hour + utcHours) * HOUR_MS);
    return HOURLY[local.getUTCHours()]! * ([0, 6].includes(local.getUTCDay()) ? WEEKEND_RATIO : 1);
  });
}
