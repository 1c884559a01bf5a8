import { inSlices } from '#clock';
import type { Digest } from '#oci';
import { HOUR_MS, MINUTE_MS } from '#quantities';
import type { RegionName } from '#regions';

import { DEMAND_PAGE_MAX, type DemandSnapshot, type DemandStore } from './demand-store.js';
import { DemandCounters } from './model/demand-counters.js';
import { DemandModel, type ForetoldTime } from './model/demand-model.js';
import { type DemandView, type ForecastImage, forecastKey, type ImageForecast } from './model/demand-view.js';
import type { DayAhead } from './model/day-ahead.js';
import { STEPS_AT_ONCE } from './model/forecast.js';
import type { HalfLife, Weights } from './model/half-lives.js';
import type { ForetoldPulls, Surprises } from './model/surprise.js';
import type { DemandKey } from './observation.js';

/** How long counts that were read are good enough for what a forecast of some images needs of all others: in so long the shortest of them loses three parts of a hundred. */
export const COUNTS_AGE_MAX_MS = 15 * MINUTE_MS;
/** How long a model goes on by itself: one that has not learned for longer gives way to what another process has learned since. */
export const MODEL_AGE_MAX_MS = HOUR_MS;
/** How far apart what was learned is kept: a process that dies takes as much with it. */
export const MODEL_KEPT_EVERY_MS = 5 * MINUTE_MS;

/** What there is to be pulled, and where, at an instant. */
export interface ForecastWorld {
  readonly at: Date;
  /** Regions to foretell for; those in which anybody pulls are looked at, too. */
  readonly regions: readonly RegionName[];
  /** Each once. */
  readonly images: readonly ForecastImage[];
}

/** By region, then by `forecastKey`. */
export type RegionForecasts = ReadonlyMap<RegionName, ReadonlyMap<string, ImageForecast>>;

interface ReadCounts {
  readonly at: Date;
  readonly counters: DemandCounters;
}

/**
 * Forecasts from what a store keeps. Every look at the whole world learns from what came since the last one, so what is learned depends on the instants of these looks, and not on which process
 * has them: a process that begins goes on from what was kept, and one that has had no look for long takes over from those that had.
 *
 * Looks at a world of 50,000 images take seconds, in slices ({@link inSlices}) between which the process does what else it has to do. One is made after the other, whoever asks.
 */
export class StoredForecasts {
  readonly #store: DemandStore;
  #model: DemandModel | undefined;
  #learnedMs = Number.NEGATIVE_INFINITY;
  #keptMs = Number.NEGATIVE_INFINITY;
  #keptForetold: DayAhead | undefined;
  #counts: ReadCounts | undefined;
  /** Ends with the look that was asked for last. */
  #looks: Promise<unknown> = Promise.resolve();

  constructor(store: DemandStore) {
    this.#store = store;
  }

  /** Foretells a whole world, having learned from it. `world.images` are all there are. Cost: reads all counts. */
  ofAll(world: ForecastWorld, horizonMs: number): Promise<RegionForecasts> {
    return this.#inTurn(() => this.#ofAll(world, horizonMs));
  }

  async #ofAll(world: ForecastWorld, horizonMs: number): Promise<RegionForecasts> {
    const { counters } = (this.#counts = await this.#read(world.at));
    const model = await this.#modelAt(world.at);
    const view = { ...world, regions: regionsOf(world, counters), counters };
    await inSlices(model.learning(view));
    this.#learnedMs = Math.max(this.#learnedMs, world.at.getTime());
    await this.#keepForetold(model, world.at);
    if (this.#learnedMs - this.#keptMs >= MODEL_KEPT_EVERY_MS) {
      await this.#store.keepModel(model.state, world.at);
      this.#keptMs = this.#learnedMs;
    }
    return inSlices(keyed(model, view, horizonMs));
  }

  /**
   * Foretells the images of some repositories alone, and learns nothing: `world.images` are all that these have. Their counts are read anew; all others, which tell how busy regions are, may be
   * {@link COUNTS_AGE_MAX_MS} old.
   */
  ofSome(world: ForecastWorld, horizonMs: number): Promise<RegionForecasts> {
    return this.#inTurn(async () => inSlices(keyed(await this.#modelAt(world.at), await this.#viewOfSome(world), horizonMs)));
  }

  /** The pulls an hour of each region, of an hour that is like the mean of its week. Counts are as old as those of {@link ofSome}. */
  levels({ at, regions }: Pick<ForecastWorld, 'at' | 'regions'>): Promise<ReadonlyMap<RegionName, number>> {
    return this.#inTurn(async () => {
      const model = await this.#modelAt(at);
      const view = await this.#viewOfSome({ at, regions, images: [] });
      return new Map(regions.map((region) => [region, model.level(view, region)]));
    });
  }

  async #viewOfSome(world: ForecastWorld): Promise<DemandView> {
    const read = this.#counts;
    const isFresh = read !== undefined && Math.abs(world.at.getTime() - read.at.getTime()) <= COUNTS_AGE_MAX_MS;
    const { counters } = isFresh ? read : (this.#counts = await this.#read(world.at));
    if (isFresh) for (const repository of new Set(world.images.map((image) => image.repository))) await this.#readAgain(repository, world.at, counters);
    return { ...world, regions: regionsOf(world, counters), counters };
  }

  /** Foretells a whole world as {@link ofAll} does, and learns nothing: for what might be. Cost: reads all counts. */
  inPassing(world: ForecastWorld, horizonMs: number): Promise<RegionForecasts> {
    return this.#inTurn(async () => {
      const { counters } = await this.#read(world.at);
      return inSlices(keyed(await this.#modelAt(world.at), { ...world, regions: regionsOf(world, counters), counters }, horizonMs));
    });
  }

  /** How far what came is off what was foretold; see {@link DemandModel.surprises}. Cost: nothing, but for a model that has not learned for {@link MODEL_AGE_MAX_MS}. */
  surprises(region: RegionName, time: ForetoldTime, foretold: readonly ForetoldPulls[]): Promise<Surprises> {
    return this.#inTurn(async () => (await this.#modelAt(time.at)).surprises(region, time, foretold));
  }

  /** Waits for the looks that were asked for before: a model that is learning is not to be asked anything. */
  #inTurn<Result>(look: () => Promise<Result>): Promise<Result> {
    const result = this.#looks.then(look);
    this.#looks = result.catch(() => undefined);
    return result;
  }

  /** Once for each day that is foretold. */
  async #keepForetold({ foretold }: DemandModel, at: Date): Promise<void> {
    if (foretold === undefined || foretold === this.#keptForetold) return;
    await this.#store.keepForetold(await inSlices(foretold.keeping()), at);
    this.#keptForetold = foretold;
  }

  /** Makes the counts of a repository what they are now: adds what was counted since, takes back what was taken back, and forgets what the store has forgotten. */
  async #readAgain(repository: string, at: Date, counters: DemandCounters): Promise<void> {
    const forgotten = keysOf(repository, counters);
    let after: DemandKey | undefined;
    do {
      const page = await this.#store.list({ repository, limit: DEMAND_PAGE_MAX, ...(after === undefined ? {} : { after }) }, at);
      for (const { region, image, weights } of page.counts) {
        forgotten.get(region)?.delete(image);
        correct(counters, { region, repository, image }, { atMs: at.getTime(), weights });
      }
      after = page.next;
    } while (after !== undefined);
    for (const [region, images] of forgotten) for (const image of images) correct(counters, { region, repository, image }, { atMs: at.getTime(), weights: [0, 0, 0] });
  }

  async #read(at: Date): Promise<ReadCounts> {
    const counters = new DemandCounters();
    const { counts } = await this.#store.snapshot(at);
    await inSlices(adding(counters, counts));
    return { at, counters };
  }

  async #modelAt(at: Date): Promise<DemandModel> {
    const known = this.#model;
    if (known !== undefined && at.getTime() - this.#learnedMs <= MODEL_AGE_MAX_MS) return known;
    const kept = await this.#store.model(at);
    const model = known !== undefined && (kept === undefined || kept.learnedMs <= this.#learnedMs) ? known : new DemandModel(kept, kept === undefined ? undefined : await this.#store.foretold(at));
    if (model !== known) this.#keptForetold = model.foretold;
    this.#learnedMs = Math.max(this.#learnedMs, kept?.learnedMs ?? Number.NEGATIVE_INFINITY);
    this.#model = model;
    return model;
  }
}

/** The images of a repository that are counted, by region. */
function keysOf(repository: string, counters: DemandCounters): Map<RegionName, Set<Digest>> {
  return new Map(counters.regions.map((region) => [region, new Set(counters.in(region).imagesOf(repository).map((key) => key.slice(repository.length + 1) as Digest))]));
}

/** Makes an image's counts worth `weights` at an instant. */
function correct(counters: DemandCounters, key: DemandKey, { atMs, weights }: { readonly atMs: number; readonly weights: Weights }): void {
  const known = counters.in(key.region).image(forecastKey({ repository: key.repository, digest: key.image }), atMs);
  const since = (halfLife: HalfLife): number => weights[halfLife] - known[halfLife];
  counters.addWeights(key, atMs, [since(0), since(1), since(2)]);
}

function regionsOf({ regions }: ForecastWorld, counters: DemandCounters): RegionName[] {
  return [...new Set([...regions, ...counters.regions])].toSorted();
}

function* adding(counters: DemandCounters, counts: DemandSnapshot['counts']): Generator<void, void> {
  for (const [n, counted] of counts.entries()) {
    counters.addWeights(counted, counted.at.getTime(), counted.weights);
    if (n % STEPS_AT_ONCE === 0) yield;
  }
}

function* keyed(model: DemandModel, view: DemandView, horizonMs: number): Generator<void, RegionForecasts> {
  const keys = view.images.map(forecastKey);
  const byRegion = new Map<RegionName, ReadonlyMap<string, ImageForecast>>();
  for (const [region, forecasts] of yield* model.forecasting(view, horizonMs)) {
    const byKey = new Map<string, ImageForecast>();
    for (const [n, forecast] of forecasts.entries()) {
      byKey.set(keys[n]!, forecast);
      if (n % STEPS_AT_ONCE === 0) yield;
    }
    byRegion.set(region, byKey);
  }
  return byRegion;
}
