import { DAY_MS, HOUR_MS } from '#quantities';
import type { RegionName } from '#regions';

import type { AgeShares } from './age-shares.js';
import type { Calibration } from './calibration.js';
import { type DemandView, type ForecastImage, forecastKey, type ImageForecast } from './demand-view.js';
import type { RegionCounters } from './demand-counters.js';
import { Exposure } from './exposure.js';
import { Generations } from './generations.js';
import { type RepositoryWeekdays, weekdayOf } from './repository-weekdays.js';
import { HALF_LIVES, type Weights } from './half-lives.js';
import type { PushEcho } from './push-echo.js';
import type { PushResponse } from './push-response.js';
import { RESPONSE_MS } from './push-response.js';
import type { WeekProfile } from './week-profile.js';

/** What an image is expected to get by its repository and age counts as much as so many pulls of its own. */
const PRIOR_PULLS = 3;
/** What a repository is expected to get by its pulls elsewhere counts as much as so many pulls here. */
const ELSEWHERE_PULLS = 2;
/** Times that pulls are laid anew to the echo of a push and to what is lasting. */
const ECHO_ROUNDS = 3;
/** What a repository gets lastingly counts as much as so many pulls of the last days. */
const LASTING_PULLS = 3;
/** So many pulls stand against the noise of a region's last hours. */
const LEVEL_PULLS = 20;
/** A region's last hours move its forecast by this factor at most, up or down. */
const LEVEL_RATIO_MAX = 4;
/** How long a region that is busier than usual stays so. */
const LEVEL_KEPT_MS = 7 * DAY_MS;
/** The least volume that a region is taken for, as a share of all: one that has seen nothing yet would inherit nothing. */
const VOLUME_RATIO_MIN = 0.01;
/** What a region that has just joined, and in which nobody has pulled yet, is taken for, as a part of the usual region. */
const JOINED_RATIO = 0.25;
/** For so long, and each time as long again that nobody pulls there, it is taken for half of that. */
const JOINED_HALF_LIFE_MS = 2 * DAY_MS;

/** What is counted first is taken for what came within so long: the first minutes of a service, or of a region, tell little of a week. */
export const BEGUN_MIN_MS = DAY_MS;

/** What a model has learned, as far as forecasts are made of it. */
export interface LearnedDemand {
  readonly startedMs: number;
  readonly ages: AgeShares;
  readonly pushes: PushResponse;
  readonly weekdays: RepositoryWeekdays;
  readonly echo: PushEcho;
  readonly everywhere: WeekProfile;
  /** When a region was first there to be foretold: `startedMs` for those that were from the beginning, undefined for one that is new now. */
  joinedMs(region: RegionName): number | undefined;
  profileOf(region: RegionName): WeekProfile;
  calibrationOf(region: RegionName): Calibration;
}

/** Steps between two halts of a long calculation: images, counts or repositories, each some microseconds. */
export const STEPS_AT_ONCE = 256;

/** A forecast, and what each half-life by itself says. */
export interface DetailedForecast extends ImageForecast {
  readonly byHalfLife: Weights;
  /** What pulls elsewhere would make of an image that is not pulled here, before they are discounted; 0 for any that is. */
  readonly undiscountedElsewhere: number;
}

interface Basis {
  readonly region: RegionName;
  readonly counters: Pick<RegionCounters, 'image' | 'repository' | 'all'>;
  readonly exposure: Exposure;
  /** Pulls an hour of the whole region. */
  readonly level: number;
  /** By which each half-life's rates are to be multiplied to be at the level of the last hours. */
  readonly ratios: Weights;
  readonly mix: readonly number[];
  /** Hours of the horizon, counted by the week's rhythm. */
  readonly hours: number;
  readonly calibration: Calibration;
}

interface RepositoryBasis {
  readonly name: string;
  readonly generations: Generations;
  /** What its weekdays make of each half-life's exposure, and of the horizon. */
  readonly recent: Weights;
  readonly ahead: number;
  /** Pulls an hour, by region, of which the last is everywhere. */
  readonly rates: readonly number[];
}

interface ImageBasis {
  /** Of its repository's pulls. */
  readonly share: number;
  /** How much of that it keeps over the horizon. */
  readonly kept: number;
}

/**
 * Foretells one instant. Rates are counters over exposures, so that neither the hour of the day nor the age of an image bends them; an image's rate is a Gamma posterior, of which the prior is
 * what its repository gets here and elsewhere, and the share of that which is usual for its age. The half-lives are mixed by how well they foretold lately, and all are brought to the
 * level of the region's last hours.
 */
export class Forecaster {
  readonly #view: DemandView;
  readonly #learned: LearnedDemand;
  readonly #horizonMs: number;
  readonly #bases: readonly Basis[];
  readonly #everywhere: Exposure;
  /** The median of the levels of regions in which anybody pulls; 0 where nobody does. */
  readonly #usualLevel: number;
  #daysAhead: readonly { readonly day: number; readonly hours: number }[] | undefined;
  readonly #byRepository = new Map<string, RepositoryBasis>();
  /** What is the same of an image in every region. */
  readonly #byImage = new Map<ForecastImage, ImageBasis>();

  private constructor(view: DemandView, learned: LearnedDemand, horizonMs: number) {
    this.#view = view;
    this.#learned = learned;
    this.#horizonMs = horizonMs;
    const atMs = view.at.getTime();
    this.#everywhere = new Exposure(atMs, learned.startedMs, learned.everywhere.factors);
    this.#bases = view.regions.map((region) => this.#basis(region, atMs));
    this.#usualLevel = medianOf(this.#bases.map(({ level }) => level).filter((level) => level > 0));
  }

  /** Works out what is the same for all regions, halting now and then. */
  static *of(view: DemandView, learned: LearnedDemand, horizonMs: number): Generator<void, Forecaster> {
    const forecaster = new Forecaster(view, learned, horizonMs);
    const atMs = view.at.getTime();
    let steps = 0;
    for (const [name, images] of Map.groupBy(view.images, (image) => image.repository)) {
      forecaster.#byRepository.set(name, forecaster.#repository(name, images, atMs));
      steps += images.length;
      if (steps < STEPS_AT_ONCE) continue;
      steps = 0;
      yield;
    }
    return forecaster;
  }

  /** The forecasts of all images in a region, in the order of the view, halting now and then. */
  *in(region: RegionName): Generator<void, DetailedForecast[]> {
    const n = this.#view.regions.indexOf(region);
    const basis = this.#bases[n];
    const forecasts: DetailedForecast[] = [];
    if (basis === undefined) return forecasts;
    for (const image of this.#view.images) {
      forecasts.push(this.#forecast(image, basis, n));
      if (forecasts.length % STEPS_AT_ONCE === 0) yield;
    }
    return forecasts;
  }

  #basis(region: RegionName, atMs: number): Basis {
    const profile = this.#learned.profileOf(region);
    const calibration = this.#learned.calibrationOf(region);
    const exposure = exposureOf(region, this.#learned, atMs);
    const counters = this.#view.counters.in(region);
    const all = counters.all(atMs);
    const kept = (LEVEL_KEPT_MS / this.#horizonMs) * (1 - Math.exp(-this.#horizonMs / LEVEL_KEPT_MS));
    const ratio = (halfLife: 0 | 1 | 2): number => {
      const now = all[0] + LEVEL_PULLS;
      const before = (all[halfLife] * exposure.since(0, 0)) / exposure.since(0, halfLife) + LEVEL_PULLS;
      return Math.min(LEVEL_RATIO_MAX, Math.max(1 / LEVEL_RATIO_MAX, now / before)) ** kept;
    };
    return {
      region, counters, exposure, calibration,
      level: all[1] / exposure.since(0, 1),
      ratios: [1, ratio(1), ratio(2)],
      mix: calibration.mix,
      hours: profile.between(atMs, atMs + this.#horizonMs),
    };
  }

  #repository(name: string, images: readonly ForecastImage[], atMs: number): RepositoryBasis {
    const weekdays = this.#learned.weekdays.of(name);
    const recent = HALF_LIVES.map((halfLife) => this.#everywhere.weighted(halfLife, weekdays)) as unknown as Weights;
    const rates = this.#bases.map((basis) => repositoryRate(basis, { name, recent, atMs }, 0));
    return { name, recent, ahead: this.#ahead(weekdays, atMs), generations: new Generations(name, images, this.#learned.ages, atMs), rates: [...rates, rates.reduce((sum, rate) => sum + rate, 0)] };
  }

  /** What a repository's weekdays make of the horizon, against the rhythm of all. */
  #ahead(weekdays: readonly number[], atMs: number): number {
    let [sum, all] = [0, 0];
    for (const { day, hours } of this.#days(atMs)) {
      sum += hours * weekdays[day]!;
      all += hours;
    }
    return sum / all;
  }

  /** The days of the horizon, and their hours by the week's rhythm. */
  #days(atMs: number): readonly { readonly day: number; readonly hours: number }[] {
    if (this.#daysAhead === undefined) {
      const days: { day: number; hours: number }[] = [];
      const endMs = atMs + Math.min(this.#horizonMs, 7 * DAY_MS);
      for (let fromMs = atMs; fromMs < endMs; ) {
        const toMs = Math.min(endMs, (Math.floor(fromMs / DAY_MS) + 1) * DAY_MS);
        days.push({ day: weekdayOf(fromMs), hours: this.#learned.everywhere.between(fromMs, toMs) });
        fromMs = toMs;
      }
      this.#daysAhead = days;
    }
    return this.#daysAhead;
  }

  #forecast(image: ForecastImage, basis: Basis, n: number): DetailedForecast {
    const atMs = this.#view.at.getTime();
    const repository = this.#byRepository.get(image.repository)!;
    const { rates, recent } = repository;
    const key = forecastKey(image);
    const { share, kept } = this.#imageBasis(image, key, repository);
    const [here, everywhere] = [rates[n]!, rates.at(-1)!];
    const elsewhere = this.#elsewhereRate(basis, everywhere - here);
    const discounted = elsewhere * basis.calibration.elsewhereRatio;
    const weight = basis.counters.repository(image.repository, atMs)[2];
    const exposure = basis.exposure.since(0, 2) * recent[2];
    const rate = repositoryRate(basis, { name: image.repository, recent, atMs }, discounted);
    const prior = rate * share;
    const own = basis.counters.image(key, atMs);
    const hours = basis.hours * repository.ahead * kept;
    const exposures = exposuresOf(image, basis.exposure, repository);
    const steady = this.#steady(own, exposures, { image, basis, repository, rate, prior });
    const byHalfLife = HALF_LIVES.map((halfLife) => posterior(steady[halfLife], exposures[halfLife], { pulls: PRIOR_PULLS, rate: prior }) * basis.ratios[halfLife] * hours) as unknown as Weights;
    const byCounts = HALF_LIVES.reduce<number>((sum, halfLife) => sum + basis.mix[halfLife]! * byHalfLife[halfLife], 0);
    const byOwn = HALF_LIVES.reduce<number>((sum, halfLife) => sum + basis.mix[halfLife]! * ownPart(steady[halfLife], exposures[halfLife], prior) * byHalfLife[halfLife], 0);
    const { expectedPulls, probability } = this.#withPush(image, { expectedPulls: byCounts + rate * this.#echoAhead(image, repository), hasPulls: own[2] > 0 }, basis);
    const scale = byCounts === 0 ? 0 : expectedPulls / byCounts;
    const inheritedAll = expectedPulls - byOwn * scale;
    const fromElsewhere = elsewherePart(weight, exposure, discounted);
    return {
      expectedPulls,
      ownPulls: byOwn * scale,
      inheritedPulls: inheritedAll * (1 - fromElsewhere),
      elsewherePulls: inheritedAll * fromElsewhere,
      probability,
      recentPulls: own[0],
      ...basis.calibration.interval(expectedPulls),
      byHalfLife,
      undiscountedElsewhere: weight === 0 ? elsewhere * share * hours : 0,
    };
  }

  /** The part of an image's pulls that is no echo of its push. Where little else was to be expected by now, pulls are laid to the echo. */
  #steady(own: Weights, exposures: Weights, { image, basis, repository, rate, prior }: { readonly image: ForecastImage; readonly basis: Basis; readonly repository: RepositoryBasis; readonly rate: number; readonly prior: number }): Weights {
    if (own[2] === 0 || !repository.generations.hasOlder(image.generation)) return own;
    const pushedMs = image.pushedAt.getTime();
    const sums: [number, number, number] = [0, 0, 0];
    this.#learned.echo.each((fromMs, toMs, density) => {
      for (const halfLife of HALF_LIVES) sums[halfLife] += density * repository.recent[halfLife] * Math.max(0, basis.exposure.since(pushedMs + fromMs, halfLife) - basis.exposure.since(pushedMs + toMs, halfLife));
    });
    if (sums[2] === 0) return own;
    return HALF_LIVES.map((halfLife) => {
      const echo = rate * sums[halfLife];
      let steady = own[halfLife];
      let mean = prior;
      for (let round = 0; round < ECHO_ROUNDS; round += 1) {
        const expected = mean * exposures[halfLife];
        steady = expected + echo === 0 ? own[halfLife] : (own[halfLife] * expected) / (expected + echo);
        mean = posterior(steady, exposures[halfLife], { pulls: PRIOR_PULLS, rate: prior });
      }
      return steady;
    }) as unknown as Weights;
  }

  /** What is to come of the echo of an image's push, in hours of its repository's pulls. */
  #echoAhead(image: ForecastImage, { generations }: RepositoryBasis): number {
    const ageMs = this.#view.at.getTime() - image.pushedAt.getTime();
    if (!generations.hasOlder(image.generation) || ageMs < 0) return 0;
    let sum = 0;
    this.#learned.echo.each((fromMs, toMs, density) => {
      sum += (density * Math.max(0, Math.min(toMs, ageMs + this.#horizonMs) - Math.max(fromMs, ageMs))) / HOUR_MS;
    });
    return sum;
  }

  #imageBasis(image: ForecastImage, key: string, repository: RepositoryBasis): ImageBasis {
    const known = this.#byImage.get(image);
    if (known !== undefined) return known;
    const basis = { share: this.#shareOf(image, key, repository), kept: repository.generations.kept(image.generation, this.#horizonMs) };
    this.#byImage.set(image, basis);
    return basis;
  }

  /** What part of its repository's pulls an image gets, by all regions together: what is usual for its age, until it has shown itself. */
  #shareOf(image: ForecastImage, key: string, repository: RepositoryBasis): number {
    const { generations, rates } = repository;
    const everywhere = rates.at(-1)!;
    const usual = generations.share(image.generation);
    if (everywhere === 0) return usual;
    const atMs = this.#view.at.getTime();
    let own = 0;
    for (const { counters } of this.#bases) own += counters.image(key, atMs)[2];
    const exposure = exposuresOf(image, this.#everywhere, repository)[2];
    return Math.min(1, posterior(own, exposure, { pulls: PRIOR_PULLS, rate: everywhere * usual }) / everywhere);
  }

  /** What a repository's pulls in the other regions would be at this region's volume. */
  #elsewhereRate(basis: Basis, rate: number): number {
    const all = this.#bases.reduce((sum, { level }) => sum + level, 0);
    const others = all - basis.level;
    return others <= 0 || rate <= 0 ? 0 : (rate * this.#volume(basis, all)) / others;
  }

  /** Pulls an hour that a region is taken for: its own level, or, of one that joined and in which nobody has pulled yet, a part of what is usual, which becomes less the longer nobody does. */
  #volume({ region, level }: Basis, all: number): number {
    const atMs = this.#view.at.getTime();
    const joinedMs = this.#learned.joinedMs(region) ?? atMs;
    if (level > 0 || joinedMs <= this.#learned.startedMs) return Math.max(level, all * VOLUME_RATIO_MIN);
    return this.#usualLevel * JOINED_RATIO * 2 ** (-Math.max(0, atMs - joinedMs) / JOINED_HALF_LIFE_MS);
  }

  /** Of a newly pushed image that nobody has pulled yet, how pushes of its repository went here says more than counts. */
  #withPush(image: ForecastImage, by: { readonly expectedPulls: number; readonly hasPulls: boolean }, { region, calibration }: Basis): Pick<ImageForecast, 'expectedPulls' | 'probability'> {
    const { expectedPulls, hasPulls } = by;
    const ageMs = this.#view.at.getTime() - image.pushedAt.getTime();
    const known = hasPulls || image.generation !== 0 || ageMs < 0 ? undefined : this.#learned.pushes.probability(region, image.repository, ageMs);
    const probability = probabilityOfPull(expectedPulls, calibration.deviation(expectedPulls));
    if (known === undefined) return { expectedPulls, probability };
    const seen = this.#horizonMs >= RESPONSE_MS ? known : known * (this.#horizonMs / RESPONSE_MS);
    // The image is pulled at least as many times as a rate with that probability of none would have it.
    return { expectedPulls: Math.max(expectedPulls, -Math.log(1 - Math.min(seen, 0.999))), probability: Math.max(probability, seen) };
  }
}

/** Pulls an hour of a region by its last days, of an hour that is like the mean of its week. */
export function levelOf({ at, counters }: DemandView, learned: Pick<LearnedDemand, 'startedMs' | 'joinedMs' | 'profileOf'>, region: RegionName): number {
  return counters.in(region).all(at.getTime())[1] / exposureOf(region, learned, at.getTime()).since(0, 1);
}

/** What a region could have shown since it joined: a new one is not one in which nobody wanted anything. Its first day is taken to be over, as that of counting is. */
function exposureOf(region: RegionName, learned: Pick<LearnedDemand, 'startedMs' | 'joinedMs' | 'profileOf'>, atMs: number): Exposure {
  const joinedMs = learned.joinedMs(region) ?? atMs;
  return new Exposure(atMs, Math.max(learned.startedMs, joinedMs - BEGUN_MIN_MS), learned.profileOf(region).factors);
}

/** Of a Gamma prior that is worth so many pulls, and a count over an exposure: the mean rate. */
function posterior(weight: number, exposure: number, prior: { readonly pulls: number; readonly rate: number }): number {
  if (prior.rate === 0) return exposure === 0 ? 0 : weight / exposure;
  return (prior.pulls + weight) / (prior.pulls / prior.rate + exposure);
}

/**
 * A repository's pulls an hour in a region: what the last days tell, of which what is lasting is the prior, of which what is expected by pulls elsewhere is one. So a busy one that falls silent is
 * forgotten within days, and one that is pulled now and then is not.
 */
function repositoryRate({ counters, exposure }: Pick<Basis, 'counters' | 'exposure'>, { name, recent, atMs }: { readonly name: string; readonly recent: Weights; readonly atMs: number }, elsewhere: number): number {
  const counts = counters.repository(name, atMs);
  const lasting = posterior(counts[2], exposure.since(0, 2) * recent[2], { pulls: ELSEWHERE_PULLS, rate: elsewhere });
  return posterior(counts[1], exposure.since(0, 1) * recent[1], { pulls: LASTING_PULLS, rate: lasting });
}

/** Which part of such a mean is owed to the count. */
function ownPart(weight: number, exposure: number, priorRate: number): number {
  if (weight === 0) return 0;
  return priorRate === 0 || exposure === 0 ? 1 : weight / (weight + PRIOR_PULLS);
}

/** Which part of a repository's rate is owed to pulls elsewhere. */
function elsewherePart(weight: number, exposure: number, rate: number): number {
  if (rate === 0) return 0;
  return weight === 0 || exposure === 0 ? 1 : ELSEWHERE_PULLS / (ELSEWHERE_PULLS + weight);
}

/** The exposure of an image since its push, in hours at its present age: an hour in which it was newer counts for as many as it got more then. */
function exposuresOf(image: ForecastImage, exposure: Exposure, { generations, recent }: RepositoryBasis): Weights {
  const sums: [number, number, number] = [0, 0, 0];
  const until: [number, number, number] = [0, 0, 0];
  generations.eachAge(image, (sinceMs, ratio) => {
    for (const halfLife of HALF_LIVES) {
      const since = exposure.since(sinceMs, halfLife);
      sums[halfLife] += Math.max(0, since - until[halfLife]) * ratio;
      until[halfLife] = Math.max(until[halfLife], since);
    }
  });
  for (const halfLife of HALF_LIVES) sums[halfLife] *= recent[halfLife];
  return sums;
}

function medianOf(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return sorted.length === 0 ? 0 : (sorted[Math.floor(middle)]! + sorted[Math.ceil(middle)]!) / 2;
}

/** That a count of this mean and deviation is not 0: negative binomial, Poisson where it spreads no more than that. */
export function probabilityOfPull(expected: number, deviation: number): number {
  if (expected <= 0) return 0;
  const excess = deviation ** 2 - expected;
  if (excess <= expected * 1e-6) return -Math.expm1(-expected);
  const size = expected ** 2 / excess;
  return -Math.expm1(size * Math.log(size / (size + expected)));
}
