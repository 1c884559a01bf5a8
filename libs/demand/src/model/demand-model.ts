import { atOnce } from '#clock';
import { DAY_MS } from '#quantities';
import type { RegionName } from '#regions';

import { AgeShares, type AgeSharesState } from './age-shares.js';
import { Calibration, type CalibrationState, type ForetoldDay } from './calibration.js';
import { type DemandView, forecastKey, type ImageForecast } from './demand-view.js';
import { Forecaster, STEPS_AT_ONCE } from './forecast.js';
import { FollowedPushes, type FollowedPushesState } from './followed-pushes.js';
import { DayAhead, type DayAheadState, type ForetoldImage } from './day-ahead.js';
import { HALF_LIVES_MS } from './half-lives.js';
import { BEGUN_MIN_MS, type LearnedDemand } from './learned-demand.js';
import { cameBetween, type LastingWeights, learnPeriod } from './learned-period.js';
import { PushEcho, type PushEchoState } from './push-echo.js';
import { PushResponse, type PushResponseState, RESPONSE_MS } from './push-response.js';
import { levelOf } from './region-basis.js';
import { RepositoryWeekdays, type RepositoryWeekdaysState } from './repository-weekdays.js';
import { type ForetoldPulls, type Surprises, surprisesOf } from './surprise.js';
import { WeekProfile, type WeekProfileState } from './week-profile.js';

/** Forecasts are compared with what came after so long. */
const SCORED_MS = DAY_MS;
const LASTING = 2;

/** What a model has learned, as JSON keeps it. Counters are not part of it. */
export interface DemandModelState {
  readonly version: 1;
  /** When counting began, in milliseconds since the epoch. */
  readonly startedMs: number;
  readonly learnedMs: number;
  readonly profiles: readonly (readonly [RegionName, WeekProfileState])[];
  readonly everywhere: WeekProfileState;
  readonly calibrations: readonly (readonly [RegionName, CalibrationState])[];
  readonly ages: AgeSharesState;
  readonly pushes: PushResponseState;
  readonly weekdays: RepositoryWeekdaysState;
  /** Absent in what was kept before echoes were learned. */
  readonly echo?: PushEchoState;
  /** When each region joined, in milliseconds since the epoch; absent in what was kept before that was looked at: then all joined when counting began. */
  readonly joined?: readonly (readonly [RegionName, number])[];
  /** Pushes that are followed; absent in what was kept before they were: then they are followed anew. */
  readonly followed?: FollowedPushesState;
}

/** A time that was foretold, and the instant at which it is looked at what came. */
export interface ForetoldTime {
  readonly from: Date;
  readonly until: Date;
  readonly at: Date;
}

/**
 * Foretells pulls, and learns from what comes. What was counted is given with every call, so a model is small, keeps no counts of its own, and is the same for whatever order pulls were counted in:
 * it looks at the difference between two calls. Deterministic; knows no clock.
 *
 * Learning and foretelling take seconds for many images, so both can be had in steps, of a few milliseconds at most. Until one of them has come to its end nothing else is to be asked of the model,
 * and what was counted is not to be added to.
 */
export class DemandModel implements LearnedDemand {
  #startedMs: number;
  #learnedMs: number;
  readonly #profiles: Map<RegionName, WeekProfile>;
  readonly everywhere: WeekProfile;
  readonly #calibrations: Map<RegionName, Calibration>;
  readonly ages: AgeShares;
  readonly pushes: PushResponse;
  readonly weekdays: RepositoryWeekdays;
  readonly #joined: Map<RegionName, number>;
  readonly echo: PushEcho;
  /** What the lasting counter of each image was worth when last learned, by region. */
  #before: LastingWeights | undefined;
  #foretold: DayAhead | undefined;
  readonly #followed: FollowedPushes;

  /** @param state of a model before; a new one knows nothing. @param foretold what that one foretold last. */
  constructor(state?: DemandModelState, foretold?: DayAheadState) {
    this.#startedMs = state?.startedMs ?? Number.NaN;
    this.#learnedMs = state?.learnedMs ?? Number.NaN;
    this.#profiles = new Map((state?.profiles ?? []).map(([region, profile]) => [region, new WeekProfile(profile)]));
    this.everywhere = new WeekProfile(state?.everywhere);
    this.#calibrations = new Map((state?.calibrations ?? []).map(([region, calibration]) => [region, new Calibration(calibration)]));
    this.ages = new AgeShares(state?.ages);
    this.pushes = new PushResponse(state?.pushes);
    this.weekdays = new RepositoryWeekdays(state?.weekdays);
    this.#followed = new FollowedPushes(state?.followed);
    // What was foretold by a clock that ran ahead of what was learned tells nothing.
    if (foretold !== undefined && foretold.atMs <= this.#learnedMs) this.#foretold = DayAhead.from(foretold);
    this.#joined = new Map(state?.joined ?? (state?.profiles ?? []).map(([region]) => [region, state?.startedMs ?? Number.NaN]));
    this.echo = new PushEcho(state?.echo);
    this.#settle();
  }

  /** What was learned, to be given to the model that goes on. What came between the last two calls of {@link learn} is lost to that one, and what {@link foretold} leaves out. */
  get state(): DemandModelState {
    return {
      version: 1,
      startedMs: this.#startedMs,
      learnedMs: this.#learnedMs,
      profiles: [...this.#profiles].map(([region, profile]) => [region, profile.state]),
      everywhere: this.everywhere.state,
      calibrations: [...this.#calibrations].map(([region, calibration]) => [region, calibration.state]),
      ages: this.ages.state,
      pushes: this.pushes.state,
      weekdays: this.weekdays.state,
      joined: [...this.#joined],
      followed: this.#followed.state,
      echo: this.echo.state,
    };
  }

  /** What was foretold last, to be given along; the same object until another day is foretold. */
  get foretold(): DayAhead | undefined {
    return this.#foretold;
  }

  get startedMs(): number {
    return this.#startedMs;
  }

  joinedMs(region: RegionName): number | undefined {
    return this.#joined.get(region);
  }

  profileOf(region: RegionName): WeekProfile {
    return getOrMake(this.#profiles, region, () => new WeekProfile());
  }

  calibrationOf(region: RegionName): Calibration {
    return getOrMake(this.#calibrations, region, () => new Calibration());
  }

  /**
   * Learns what came since the last call. An instant that is not after the last one changes nothing: a clock that was set back is waited for.
   * @param view of now; its regions and images may differ from those before.
   */
  learn(view: DemandView): void {
    atOnce(this.learning(view));
  }

  /** {@link learn} in steps. */
  *learning(view: DemandView): Generator<void, void> {
    const atMs = view.at.getTime();
    if (Number.isNaN(this.#startedMs)) this.#startedMs = this.#begunMs(view);
    const fromMs = Number.isNaN(this.#learnedMs) ? this.#startedMs : this.#learnedMs;
    if (atMs <= fromMs) return;
    this.#join(view.regions, Number.isNaN(this.#learnedMs) ? this.#startedMs : atMs);
    const now = yield* this.#lasting(view, atMs);
    // Of one that goes on from its state nobody knows what was counted when it last learned, and so not what came since.
    if (this.#before !== undefined || Number.isNaN(this.#learnedMs)) {
      yield* learnPeriod(this, { view, fromMs, toMs: atMs, before: this.#before, now });
      this.#settle();
    }
    yield* this.#followed.follow(view, Number.isNaN(this.#learnedMs) ? atMs : this.#learnedMs - RESPONSE_MS, this.pushes);
    this.#before = now;
    this.#learnedMs = atMs;
    yield* this.#score(view, now);
  }

  /**
   * The pulls of every image within `horizonMs` from the view's instant on.
   * @returns by region, in the order of the view's images.
   */
  forecast(view: DemandView, horizonMs: number): Map<RegionName, ImageForecast[]> {
    return atOnce(this.forecasting(view, horizonMs));
  }

  /** {@link forecast} in steps. */
  *forecasting(view: DemandView, horizonMs: number): Generator<void, Map<RegionName, ImageForecast[]>> {
    const forecaster = yield* Forecaster.of(view, this.#begun(view), horizonMs);
    const forecasts = new Map<RegionName, ImageForecast[]>();
    for (const region of view.regions) forecasts.set(region, yield* forecaster.in(region));
    return forecasts;
  }

  /** Pulls an hour of all of a region by the last days, of an hour that is like the mean of its week. */
  level(view: DemandView, region: RegionName): number {
    return levelOf(view, this.#begun(view), region);
  }

  /** How far a region's pulls since `from` are off what was foretold then for the time until `until`. */
  surprises(region: RegionName, { from, until, at }: ForetoldTime, foretold: readonly ForetoldPulls[]): Surprises {
    const profile = this.profileOf(region);
    const [fromMs, untilMs] = [from.getTime(), until.getTime()];
    const atMs = Math.min(untilMs, Math.max(fromMs, at.getTime()));
    const passedRatio = atMs === untilMs ? 1 : profile.between(fromMs, atMs) / profile.between(fromMs, untilMs);
    return surprisesOf(foretold, passedRatio, this.calibrationOf(region));
  }

  /** Those that are there when counting begins have not joined: nothing is known of any region then. One that goes and comes again joins anew. */
  #join(regions: readonly RegionName[], atMs: number): void {
    for (const region of this.#joined.keys()) if (!regions.includes(region)) this.#joined.delete(region);
    for (const region of regions) if (!this.#joined.has(region)) this.#joined.set(region, atMs);
  }

  /** A view that came before anything was learned is looked at as if counting had begun with what it has. */
  #begun(view: DemandView): LearnedDemand {
    if (!Number.isNaN(this.#startedMs)) return this;
    const { everywhere, ages, pushes, weekdays, echo } = this;
    const startedMs = this.#begunMs(view);
    return { startedMs, joinedMs: () => startedMs, everywhere, ages, pushes, weekdays, echo, profileOf: (region) => this.profileOf(region), calibrationOf: (region) => this.calibrationOf(region) };
  }

  /** When counting may have begun, by what is there: the shorter counter is full after some days, and the longer tells how many days that was. */
  #begunMs(view: DemandView): number {
    const atMs = view.at.getTime();
    let [short, long] = [0, 0];
    for (const region of view.regions) {
      const all = view.counters.in(region).all(atMs);
      short += all[1];
      long += all[2];
    }
    if (long === 0) return atMs - BEGUN_MIN_MS;
    // Of a steady demand since then, both would have this ratio.
    let days = BEGUN_MIN_MS / DAY_MS;
    for (; days < 56; days *= 1.25) if (steady(days, 2) / steady(days, 1) >= long / short) break;
    return atMs - days * DAY_MS;
  }

  *#lasting(view: DemandView, atMs: number): Generator<void, Map<RegionName, Map<string, number>>> {
    const lasting = new Map<RegionName, Map<string, number>>();
    for (const region of view.regions) {
      const counters = view.counters.in(region);
      const weights = new Map<string, number>();
      lasting.set(region, weights);
      for (const key of counters.images()) {
        weights.set(key, counters.image(key, atMs)[LASTING]);
        if (weights.size % STEPS_AT_ONCE === 0) yield;
      }
    }
    return lasting;
  }

  #settle(): void {
    this.everywhere.settle();
    for (const profile of this.#profiles.values()) profile.settle(this.everywhere.factors);
  }

  /** Compares what was foretold a day ago with what came, and foretells the next day. */
  *#score(view: DemandView, now: ReadonlyMap<RegionName, ReadonlyMap<string, number>>): Generator<void, void> {
    const atMs = view.at.getTime();
    const foretold = this.#foretold;
    if (foretold !== undefined && atMs < foretold.atMs + SCORED_MS) return;
    // A day that was looked at too late is no day: what came by then came in a longer time.
    if (foretold !== undefined && atMs < foretold.atMs + 1.25 * SCORED_MS) yield* this.#learnDay(foretold, atMs, now);
    const forecaster = yield* Forecaster.of(view, this, SCORED_MS);
    const keys = view.images.map(forecastKey);
    const regions = new Map<RegionName, ReadonlyMap<string, ForetoldImage>>();
    for (const region of view.regions) regions.set(region, yield* DayAhead.region(keys, yield* forecaster.in(region), now.get(region)!));
    this.#foretold = new DayAhead(atMs, regions);
  }

  *#learnDay(foretold: DayAhead, atMs: number, now: ReadonlyMap<RegionName, ReadonlyMap<string, number>>): Generator<void, void> {
    const passedMs = atMs - foretold.atMs;
    for (const [region, images] of foretold.regions) {
      const days: ForetoldDay[] = [];
      let [elsewhere, cameNew, steps] = [0, 0, 0];
      const weights = now.get(region);
      const longer = passedMs / SCORED_MS;
      for (const [key, { byHalfLife, expected, undiscountedElsewhere, weight }] of images) {
        if ((steps += 1) % STEPS_AT_ONCE === 0) yield;
        const came = cameBetween(weight, weights?.get(key) ?? 0, passedMs) / longer;
        if (came > 0 || expected > 0) days.push({ byHalfLife, expected, came });
        elsewhere += undiscountedElsewhere;
        if (undiscountedElsewhere > 0) cameNew += came;
      }
      const calibration = this.calibrationOf(region);
      calibration.learn(days);
      // A region that joined and in which nobody has pulled yet tells how much is pulled there, and nothing of what.
      const isSilent = (weights?.size ?? 0) === 0 && (this.#joined.get(region) ?? this.#startedMs) > this.#startedMs;
      if (!isSilent) calibration.learnElsewhere(elsewhere, cameNew);
    }
  }
}

/** What a steady demand of one a day leaves after so many days in a counter. */
function steady(days: number, halfLife: 1 | 2): number {
  const halfLifeDays = HALF_LIVES_MS[halfLife] / DAY_MS;
  return (halfLifeDays / Math.LN2) * (1 - 2 ** (-days / halfLifeDays));
}

function getOrMake<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let known = map.get(key);
  if (known === undefined) map.set(key, (known = make()));
  return known;
}
