import { type PlacementImage, planRegion, type RegionFacts } from '#placement';

import { type Bench, BenchError, type Figure, measured, median, ratioAtLeast, valueAtMost } from '../bench.js';
import { Draws, zipfDemand } from './draws.js';
import { epochFigures } from './epochs-part.js';
import { fanOutFigures } from './fan-out-part.js';
import { imagesByDensity, layersByDensity } from './peers.js';
import { placementBound } from './placement-bound.js';
import { openPlacementCase, type PlacementCase } from './placement-case.js';
import { carriedOut, emptyRegion, hitsIn, regionSteps, roundSteps, timedPlan, turnsOf, withShared } from './planned-placement.js';
import { drawImages, placementImages, type RealCatalogue, readRealCatalogue } from './real-catalogue.js';

/** Images of a case; about 5,000 layers. */
const IMAGES = 1500;
/** Images of a large region: nearly the whole catalogue. */
const IMAGES_OF_LARGE = 50_000;
/** Regions beside home in a round of plans. */
const REGIONS_OF_LARGE = 5;
const SEEDS = [11, 12, 13, 14, 15];
const ALPHAS = [0.7, 0.9, 1.2, 1.6];
/** Shares of the bytes of all layers. */
const BUDGETS = [0.02, 0.05, 0.1, 0.2, 0.4];
/** Least share of the bound that a plan must reach, whatever the draw. */
const BOUND_RATIO_MIN = 0.997;
const PLAN_MS_MAX = 50;
const PLAN_MS_MAX_OF_LARGE = 1000;

/** One case at one budget. */
interface Outcome {
  readonly budget: number;
  /** Hits against the bound. */
  readonly planned: number;
  readonly byImage: number;
  readonly byLayer: number;
  readonly tookMs: number;
  /** The same where what images share competes. */
  readonly sharedMs: number;
}

/** How near plans come to the best that a share can hold, and how long they take: real images, demand that follows Zipf's law; and what it costs to bring a layer to all regions. */
export const placementBench: Bench = {
  question: 'how near do plans come to what could be at best, how long do they take, and what do copies to all regions cost?',
  parts: ['choice', 'large', 'epochs', 'fan-out'],
  async run(tell, parts) {
    const figures: Figure[] = [];
    if (parts.includes('choice')) figures.push(...(await choiceFigures(tell)));
    if (parts.includes('large')) figures.push(...(await largeFigures(await readRealCatalogue())));
    if (parts.includes('epochs')) figures.push(...(await epochFigures(tell)));
    if (parts.includes('fan-out')) figures.push(...(await fanOutFigures()));
    return figures;
  },
};

async function choiceFigures(tell: (line: string) => void): Promise<Figure[]> {
  const catalogue = await readRealCatalogue();
  const outcomes: Outcome[] = [];
  for (const alpha of ALPHAS) {
    for (const seed of SEEDS) {
      const draws = new Draws(seed);
      const images = placementImages(catalogue, drawImages(catalogue, IMAGES, draws));
      const of = openPlacementCase(images, zipfDemand(images.length, alpha, draws));
      for (const budget of BUDGETS) outcomes.push(await outcomeOf(of, budget));
      tell(`alpha ${alpha}, seed ${seed}: ${of.sizes.length} layers, at least ${(100 * Math.min(...outcomes.slice(-BUDGETS.length).map(({ planned }) => planned))).toFixed(2)} % of the bound`);
    }
  }
  return BUDGETS.flatMap((budget) => figuresOf(budget, outcomes.filter((outcome) => outcome.budget === budget)));
}

async function outcomeOf(of: PlacementCase, budget: number): Promise<Outcome> {
  const capacityBytes = Math.floor(of.totalBytes * budget);
  const bound = await placementBound(of, capacityBytes);
  const facts = emptyRegion(of, capacityBytes);
  const { plan, tookMs } = timedPlan(facts);
  if (plan.usedBytes > capacityBytes) throw new BenchError(`a plan uses ${plan.usedBytes} of ${capacityBytes} bytes`);
  const sharedMs = timedPlan(withShared(facts)).tookMs;
  return { budget, tookMs, sharedMs, planned: hitsIn(of, carriedOut(facts, plan)) / bound, byImage: imagesByDensity(of, capacityBytes) / bound, byLayer: layersByDensity(of, capacityBytes) / bound };
}

function figuresOf(budget: number, outcomes: readonly Outcome[]): Figure[] {
  const at = `at ${Math.round(100 * budget)} %`;
  const least = (share: (outcome: Outcome) => number): number => Math.min(...outcomes.map(share));
  return [
    ratioAtLeast(`hits ${at}, worst of ${outcomes.length} draws`, least(({ planned }) => planned), { against: 'the linear bound', bound: BOUND_RATIO_MIN }),
    { ...measured(`hits of images by density ${at}, worst`, least(({ byImage }) => byImage), 'ratio'), against: 'the linear bound' },
    { ...measured(`hits of layers by density ${at}, worst`, least(({ byLayer }) => byLayer), 'ratio'), against: 'the linear bound' },
    valueAtMost(`first plan of ${IMAGES} images ${at}, median`, median(outcomes.map(({ tookMs }) => tookMs)), { unit: 'ms', bound: PLAN_MS_MAX }),
    valueAtMost(`first plan of ${IMAGES} images ${at}, with what images share competing, median`, median(outcomes.map(({ sharedMs }) => sharedMs)), { unit: 'ms', bound: PLAN_MS_MAX }),
  ];
}

/** As large as a plan may have to be: 50,000 real images with all but their smallest layers, first into an empty region, then by the hour with other demand; and how long others wait meanwhile. */
async function largeFigures(catalogue: RealCatalogue): Promise<Figure[]> {
  const draws = new Draws(SEEDS[0]!);
  const images: readonly PlacementImage[] = placementImages(catalogue, drawImages(catalogue, IMAGES_OF_LARGE, draws, Number.POSITIVE_INFINITY));
  const of = openPlacementCase(images, zipfDemand(images.length, 0.9, draws));
  const facts = emptyRegion(of, Math.floor(0.15 * of.totalBytes));
  const { forecasts } = emptyRegion({ ...of, demand: of.demand.map((demand) => demand * (0.7 + 0.6 * draws.next())) }, facts.capacityBytes);
  const figuresAt = async (region: RegionFacts, how: string): Promise<Figure[]> => {
    const first = timedPlan(region);
    const later = { ...carriedOut(region, first.plan), forecasts };
    const next = timedPlan(later);
    if (planRegion(later).usedBytes > later.capacityBytes) throw new BenchError('a plan uses more than there is');
    const round = await turnsOf(roundSteps(later, REGIONS_OF_LARGE));
    return [
      valueAtMost(`first plan of ${images.length} images of ${of.sizes.length} layers${how}`, first.tookMs, { unit: 'ms', bound: PLAN_MS_MAX_OF_LARGE }),
      valueAtMost(`plan of the same with other demand${how}`, next.tookMs, { unit: 'ms', bound: PLAN_MS_MAX_OF_LARGE }),
      measured(`longest turn of the event loop while one region of ${images.length} images is decided${how}`, (await turnsOf(regionSteps(later))).longestTurnMs, 'ms'),
      measured(`plans of home and ${REGIONS_OF_LARGE} regions of ${images.length} images, under a day's budget${how}`, round.tookMs, 'ms'),
      measured(`longest turn of the event loop meanwhile${how}`, round.longestTurnMs, 'ms'),
    ];
  };
  return [...(await figuresAt(facts, '')), ...(await figuresAt(withShared(facts), ', with what images share competing'))];
}
