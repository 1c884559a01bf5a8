import { DAY_MS } from '#quantities';
import type { RegionName } from '#regions';

import { type DemandView, type ForecastImage, forecastKey, type ImageForecast } from './demand-view.js';
import { Exposure } from './exposure.js';
import { Generations } from './generations.js';
import { HALF_LIVES, type Weights } from './half-lives.js';
import type { LearnedDemand } from './learned-demand.js';
import { echoesOf, elsewherePart, exposuresOf, imageRate, ownPart, repositoryRate, steadyPulls } from './posterior-rates.js';
import { RESPONSE_MS } from './push-response.js';
import { type RegionBasis, regionBasis } from './region-basis.js';
import { weekdayOf } from './repository-weekdays.js';

/** The least volume that a region in which anybody pulls is taken for, as a share of all. */
const VOLUME_RATIO_MIN = 0.01;
/** What a region that has just joined, and in which nobody has pulled yet, is taken for, as a part of the usual region. */
const JOINED_RATIO = 0.25;
/** For so long, and each time as long again that nobody pulls there, it is taken for half of that. */
const JOINED_HALF_LIFE_MS = 2 * DAY_MS;

/** Steps between two halts of a long calculation: images, counts or repositories, each some microseconds. */
export const STEPS_AT_ONCE = 256;

/** A forecast, and what each half-life by itself says. */
export interface DetailedForecast extends ImageForecast {
  readonly byHalfLife: Weights;
  /** What pulls elsewhere would make of an image that is not pulled here, before they are discounted; 0 for any that is. */
  readonly undiscountedElsewhere: number;
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
  readonly #bases: readonly RegionBasis[];
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
    this.#bases = view.regions.map((region) => regionBasis(view, learned, region, horizonMs));
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

  #forecast(image: ForecastImage, basis: RegionBasis, n: number): DetailedForecast {
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
    const steady = steadyPulls(own, exposures, { echoes: echoesOf(image, this.#learned.echo, basis.exposure, repository), rate, prior });
    const byHalfLife = HALF_LIVES.map((halfLife) => imageRate(steady[halfLife], exposures[halfLife], prior) * basis.ratios[halfLife] * hours) as unknown as Weights;
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
      ...basis.calibration.interval(expectedPulls),
      byHalfLife,
      undiscountedElsewhere: weight === 0 ? elsewhere * share * hours : 0,
    };
  }

  /** What is to come of the echo of an image's push, in hours of its repository's pulls. */
  #echoAhead(image: ForecastImage, { generations }: RepositoryBasis): number {
    const ageMs = this.#view.at.getTime() - image.pushedAt.getTime();
    return !generations.hasOlder(image.generation) || ageMs < 0 ? 0 : this.#learned.echo.hoursBetween(ageMs, ageMs + this.#horizonMs);
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
    return Math.min(1, imageRate(own, exposure, everywhere * usual) / everywhere);
  }

  /** What a repository's pulls in the other regions would be at this region's volume. */
  #elsewhereRate(basis: RegionBasis, rate: number): number {
    const all = this.#bases.reduce((sum, { level }) => sum + level, 0);
    const others = all - basis.level;
    return others <= 0 || rate <= 0 ? 0 : (rate * this.#volume(basis, all)) / others;
  }

  /**
   * Pulls an hour that a region is taken for: its own level, or, of one that joined and in which nobody has pulled yet, a part of what is usual, which becomes less the longer nobody does. 0 for one
   * that was there from the beginning, until its first pull: what nobody pulls there would be copied for nobody.
   */
  #volume({ region, level, latePulls }: RegionBasis, all: number): number {
    const atMs = this.#view.at.getTime();
    const joinedMs = this.#learned.joinedMs(region) ?? atMs;
    if (level > 0 || joinedMs <= this.#learned.startedMs) return Math.max(level, all * VOLUME_RATIO_MIN * Math.min(1, Math.max(0, latePulls)));
    return this.#usualLevel * JOINED_RATIO * 2 ** (-Math.max(0, atMs - joinedMs) / JOINED_HALF_LIFE_MS);
  }

  /** Of a newly pushed image that nobody has pulled yet, how pushes of its repository went here says more than counts. */
  #withPush(image: ForecastImage, by: { readonly expectedPulls: number; readonly hasPulls: boolean }, { region, calibration }: RegionBasis): Pick<ImageForecast, 'expectedPulls' | 'probability'> {
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
