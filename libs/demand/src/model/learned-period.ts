import type { RegionName } from '#regions';

import { GENERATIONS } from './age-shares.js';
import { type DemandView, type ForecastImage, forecastKey } from './demand-view.js';
import { Exposure } from './exposure.js';
import { STEPS_AT_ONCE } from './forecast.js';
import { Generations } from './generations.js';
import { HALF_LIVES_MS } from './half-lives.js';
import { BEGUN_MIN_MS, type LearnedDemand } from './learned-demand.js';
import { ECHO_MS } from './push-echo.js';

const LASTING = 2;

/** What the lasting counter of each image is worth, by region. */
export type LastingWeights = ReadonlyMap<RegionName, ReadonlyMap<string, number>>;

/** A time that is learned from. */
export interface Period {
  /** Of its end. */
  readonly view: DemandView;
  readonly fromMs: number;
  readonly toMs: number;
  /** What was counted at its beginning; undefined where counting began with it. */
  readonly before: LastingWeights | undefined;
  readonly now: LastingWeights;
}

/** Has a model learn what came within a period: the rhythm of its hours, the parts that images get by their age, repositories' weekdays, and echoes of pushes. In steps. */
export function* learnPeriod(learned: LearnedDemand, period: Period): Generator<void, void> {
  const { view, fromMs, toMs, before: known, now } = period;
  const generationOf = new Map(view.images.map((image) => [forecastKey(image), image]));
  let [everywhere, steps] = [0, 0];
  const byRepository = new Map<string, number>();
  learned.ages.pass(toMs - fromMs);
  for (const region of view.regions) {
    let all = 0;
    const before = known?.get(region);
    for (const [key, weight] of now.get(region)!) {
      if ((steps += 1) % STEPS_AT_ONCE === 0) yield;
      const came = cameBetween(before?.get(key) ?? 0, weight, toMs - fromMs);
      if (came <= 0) continue;
      all += came;
      const repository = key.slice(0, key.indexOf(' '));
      byRepository.set(repository, (byRepository.get(repository) ?? 0) + came);
      const image = generationOf.get(key);
      if (known !== undefined && image?.generation !== undefined) learned.ages.learn(image.repository, image.generation, came * steadyPart(learned, image, period));
    }
    learned.profileOf(region).learn(fromMs, toMs, all);
    everywhere += all;
  }
  yield* learnWeekdays(learned, period, byRepository);
  yield* learnEchoes(learned, period);
  learned.everywhere.learn(fromMs, toMs, everywhere);
}

/** Holds each repository's part of the pulls against the part that it usually has: a day that is quiet for all tells nothing of one. */
function* learnWeekdays({ weekdays }: LearnedDemand, period: Period, came: ReadonlyMap<string, number>): Generator<void, void> {
  const { view, fromMs, toMs } = period;
  weekdays.pass(toMs - fromMs);
  const counters = view.regions.map((region) => view.counters.in(region));
  const weight = counters.reduce((sum, each) => sum + each.all(toMs)[LASTING], 0);
  const all = [...came.values()].reduce((sum, pulls) => sum + pulls, 0);
  let steps = 0;
  for (const [repository, pulls] of came) {
    if ((steps += counters.length) >= STEPS_AT_ONCE) {
      steps = 0;
      yield;
    }
    const part = counters.reduce((sum, each) => sum + each.repository(repository, toMs)[LASTING], 0) / weight;
    weekdays.learn(repository, period, { came: pulls, expected: part * all });
  }
}

/** Which part of what an image was pulled is no echo of its push. */
function steadyPart({ ages, echo, startedMs }: LearnedDemand, { repository, generation, pushedAt }: ForecastImage, { fromMs, toMs }: Period): number {
  const pushedMs = pushedAt.getTime();
  if (generation === undefined || pushedMs < startedMs + BEGUN_MIN_MS || toMs <= pushedMs || fromMs - pushedMs >= ECHO_MS) return 1;
  const share = ages.of(repository)[Math.min(generation, GENERATIONS - 1)]!;
  return echo.steadyPart({ fromMs: Math.max(0, fromMs - pushedMs), toMs: toMs - pushedMs, share });
}

/** Holds what young images were pulled against what is usual for their age. */
function* learnEchoes({ ages, echo, everywhere, startedMs }: LearnedDemand, { view, fromMs, toMs, before, now }: Period): Generator<void, void> {
  echo.pass(toMs - fromMs);
  // Of what was pushed when counting began nobody knows what is usual.
  const isYoung = ({ generation, pushedAt }: ForecastImage): boolean => generation !== undefined && pushedAt.getTime() >= startedMs + BEGUN_MIN_MS && pushedAt.getTime() < toMs && pushedAt.getTime() > fromMs - ECHO_MS;
  const young = Map.groupBy(view.images.filter(isYoung), (image) => image.repository);
  if (young.size === 0 || before === undefined) return;
  const all = Map.groupBy(view.images.filter((image) => young.has(image.repository)), (image) => image.repository);
  const exposed = new Exposure(toMs, startedMs, everywhere.factors).since(0, LASTING);
  let steps = 0;
  for (const [repository, images] of young) {
    if ((steps += images.length * view.regions.length) >= STEPS_AT_ONCE) {
      steps = 0;
      yield;
    }
    const rate = view.regions.reduce((sum, region) => sum + view.counters.in(region).repository(repository, toMs)[LASTING], 0) / exposed;
    if (rate <= 0) continue;
    const generations = new Generations(repository, all.get(repository)!, ages, toMs);
    for (const image of images) {
      if (!generations.hasOlder(image.generation)) continue;
      const key = forecastKey(image);
      const came = view.regions.reduce((sum, region) => sum + cameBetween(before?.get(region)?.get(key) ?? 0, now.get(region)?.get(key) ?? 0, toMs - fromMs), 0);
      const pushedMs = image.pushedAt.getTime();
      echo.learn({ fromMs: Math.max(0, fromMs - pushedMs), toMs: toMs - pushedMs, came, rate, share: generations.share(image.generation) });
    }
  }
}

/** How many pulls came between two readings of a lasting counter, if they came evenly; 0 rather than less. */
export function cameBetween(before: number, now: number, passedMs: number): number {
  const halvings = passedMs / HALF_LIVES_MS[LASTING];
  const worth = now - before * 2 ** -halvings;
  // What came evenly is worth this much of itself at the end.
  const kept = (1 - 2 ** -halvings) / (Math.LN2 * halvings);
  return worth <= now * 1e-9 ? 0 : worth / kept;
}
