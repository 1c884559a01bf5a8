import type { ForecastImage } from './demand-view.js';
import type { Exposure } from './exposure.js';
import type { Generations } from './generations.js';
import { HALF_LIVES, type Weights } from './half-lives.js';
import type { PushEcho } from './push-echo.js';
import type { RegionBasis } from './region-basis.js';

/** What an image is expected to get by its repository and age counts as much as so many pulls of its own. */
const PRIOR_PULLS = 3;
/** What a repository is expected to get by its pulls elsewhere counts as much as so many pulls here. */
const ELSEWHERE_PULLS = 2;
/** Times that pulls are laid anew to the echo of a push and to what is lasting. */
const ECHO_ROUNDS = 3;
/** What a repository gets over a longer half-life counts as much as so many pulls of the next shorter one. */
const LONGER_PULLS = 3;

/** Of a Gamma prior that is worth so many pulls, and a count over an exposure: the mean rate. */
function posterior(weight: number, exposure: number, prior: { readonly pulls: number; readonly rate: number }): number {
  if (prior.rate === 0) return exposure === 0 ? 0 : weight / exposure;
  return (prior.pulls + weight) / (prior.pulls / prior.rate + exposure);
}

/**
 * A repository's pulls an hour in a region: what each half-life tells, of which what the next longer one tells is the prior, and of the longest what is expected by pulls elsewhere. They are mixed as
 * those of images are, by how well each foretold the region lately. So a busy one that falls silent is forgotten within days, one that is pulled now and then is not, and where demand lasts it is followed long.
 */
export function repositoryRate({ counters, exposure, mix }: Pick<RegionBasis, 'counters' | 'exposure' | 'mix'>, { name, recent, atMs }: { readonly name: string; readonly recent: Weights; readonly atMs: number }, elsewhere: number): number {
  const counts = counters.repository(name, atMs);
  const lasting = posterior(counts[2], exposure.since(0, 2) * recent[2], { pulls: ELSEWHERE_PULLS, rate: elsewhere });
  const ofDays = posterior(counts[1], exposure.since(0, 1) * recent[1], { pulls: LONGER_PULLS, rate: lasting });
  const ofHours = posterior(counts[0], exposure.since(0, 0) * recent[0], { pulls: LONGER_PULLS, rate: ofDays });
  return mix[0]! * ofHours + mix[1]! * ofDays + mix[2]! * lasting;
}

/** Which part of such a mean is owed to the count. */
export function ownPart(weight: number, exposure: number, priorRate: number): number {
  if (weight === 0) return 0;
  return priorRate === 0 || exposure === 0 ? 1 : weight / (weight + PRIOR_PULLS);
}

/** Which part of a repository's rate is owed to pulls elsewhere. */
export function elsewherePart(weight: number, exposure: number, rate: number): number {
  if (rate === 0) return 0;
  return weight === 0 || exposure === 0 ? 1 : ELSEWHERE_PULLS / (ELSEWHERE_PULLS + weight);
}

/** The exposure of an image since its push, in hours at its present age: an hour in which it was newer counts for as many as it got more then. */
export function exposuresOf(image: ForecastImage, exposure: Exposure, { generations, recent }: { readonly generations: Generations; readonly recent: Weights }): Weights {
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

/** An image's rate: what its count tells, of which what is usual for it is the prior. */
export function imageRate(weight: number, exposure: number, usualRate: number): number {
  return posterior(weight, exposure, { pulls: PRIOR_PULLS, rate: usualRate });
}

/** What the echo of an image's push would have left in the counters by now, in hours of its repository's pulls; all 0 for the first image of a repository, which is no update. */
export function echoesOf({ generation, pushedAt }: ForecastImage, echo: PushEcho, exposure: Exposure, { generations, recent }: { readonly generations: Generations; readonly recent: Weights }): Weights {
  const sums: [number, number, number] = [0, 0, 0];
  if (!generations.hasOlder(generation)) return sums;
  const pushedMs = pushedAt.getTime();
  echo.each((fromMs, toMs, density) => {
    for (const halfLife of HALF_LIVES) sums[halfLife] += density * recent[halfLife] * Math.max(0, exposure.since(pushedMs + fromMs, halfLife) - exposure.since(pushedMs + toMs, halfLife));
  });
  return sums;
}

/** The part of an image's pulls that is no echo of its push. Where little else was to be expected by now, pulls are laid to the echo. */
export function steadyPulls(own: Weights, exposures: Weights, { echoes, rate, prior }: { readonly echoes: Weights; readonly rate: number; readonly prior: number }): Weights {
  if (own[2] === 0 || echoes[2] === 0) return own;
  return HALF_LIVES.map((halfLife) => {
    const echo = rate * echoes[halfLife];
    let steady = own[halfLife];
    let mean = prior;
    for (let round = 0; round < ECHO_ROUNDS; round += 1) {
      const expected = mean * exposures[halfLife];
      steady = expected + echo === 0 ? own[halfLife] : (own[halfLife] * expected) / (expected + echo);
      mean = imageRate(steady, exposures[halfLife], prior);
    }
    return steady;
  }) as unknown as Weights;
}
