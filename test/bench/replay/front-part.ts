import { writeFile } from 'node:fs/promises';

import { hitRatio, type RegionScore, type ReplayPolicyName } from '#placement';

import { type Figure, measured } from '../bench.js';
import { estimate } from './confidence.js';
import { chartOfFront, type FrontPoint } from './front-chart.js';
import { ARRIVAL_MODEL_DEFAULT } from './modelled-arrivals.js';
import { FIRST_MIN, HITS_MIN, type ModelledOptions, WASTE_MAX } from './modelled-part.js';
import { percent, playSeeds, type SeedPlan, type SeedResult, type SeedTask } from './seed-run.js';

/** What it is measured with. */
export interface FrontOptions extends Omit<ModelledOptions, 'capacities'> {
  readonly capacity: number;
  /** Where its chart is written; nowhere where it is absent. */
  readonly chart: string | undefined;
}

/**
 * Weights, from those that copy freely to those that copy only what is all but certain to be pulled. Bytes are what is wasted: so more is asked of an image the more of them it has (`minimumExpectedPulls`, and the more steeply the less a hit is worth
 * beside them), and at last much of all.
 */
const LADDER: readonly { readonly rung: string; readonly weights: readonly string[] }[] = [
  { rung: 'default weights', weights: [] },
  { rung: 'minimum 10', weights: ['minimumExpectedPulls=10'] },
  ...[[5, 0.05], [10, 0.05], [20, 0.05], [20, 4]].map(([minimum, least]) => ({
    rung: `minimum ${minimum}, least ${least}, hits 1.5 images`,
    weights: [`minimumExpectedPulls=${minimum}`, `leastExpectedPulls=${least}`, 'hitImages=1.5'],
  })),
];
const LINES = [{ line: 'forecasts', knowsRates: false }, { line: 'rates known', knowsRates: true }] as const;
const OTHERS: readonly ReplayPolicyName[] = ['gdsf', 'replicate-all'];

/**
 * Plays histories to the planner under weights that ask less and less certainty, once with its own forecasts and once with the rates known that pulls are drawn from: what can be had at once of first pulls found and of copied
 * bytes that are read, whoever foretells.
 */
export async function measureFront(options: FrontOptions): Promise<readonly Figure[]> {
  const results = await playSeeds(options.seeds, (seed) => taskOf(options, seed), options.tell);
  const title = `front, ${percent(options.capacity)}`;
  const points = LINES.flatMap(({ line }, l) => LADDER.map(({ rung }, n) => pointOf(results, { line, rung, at: OTHERS.length + l * LADDER.length + n })));
  if (options.chart !== undefined) await writeFile(options.chart, chartOfFront(points, { title: `${percent(options.capacity)} of the catalogue, ${options.seeds} histories`, asked: { waste: WASTE_MAX, first: FIRST_MIN, hits: HITS_MIN.get(options.capacity) } }));
  return points.flatMap((point) => figuresOf(point, title));
}

function taskOf({ alpha, concentration, capacity, weights, everyMs }: FrontOptions, seed: number): SeedTask {
  const others = OTHERS.map((policy): SeedPlan => ({ policy, capacityRatio: capacity, weights: [] }));
  const planned = LINES.flatMap(({ knowsRates }) => LADDER.map((rung): SeedPlan => ({ policy: 'planned', capacityRatio: capacity, weights: [...weights, ...rung.weights], knowsRates })));
  return { model: { ...ARRIVAL_MODEL_DEFAULT, alpha, concentration, seed }, plans: [...others, ...planned], everyMs };
}

/** One point of the front: means over the histories. @param at which of the plays it is. */
function pointOf(results: readonly SeedResult[], { line, rung, at }: { readonly line: string; readonly rung: string; readonly at: number }): FrontPoint {
  const mean = (of: (own: RegionScore, gdsf: RegionScore, all: RegionScore) => number): number => estimate(results.map(({ plays }) => of(plays[at]!.score.total, plays[0]!.score.total, plays[1]!.score.total))).mean;
  const ofCopied = (of: (own: RegionScore) => number): number => mean((own) => of(own) / Math.max(1, own.replicatedBytes));
  return {
    line, rung,
    hits: mean((own) => hitRatio(own.all)),
    first: mean((own) => hitRatio(own.first)),
    foreseeable: mean((own) => hitRatio(own.late)),
    wan: mean((own, gdsf) => wanOf(own) / wanOf(gdsf)),
    copiedGb: mean((own) => own.replicatedBytes / 1e9),
    waste: ofCopied((own) => own.wastedBytes),
    wentUnread: ofCopied((own) => own.wastedBytes - own.unreadHeldBytes),
    heldUnread: ofCopied((own) => own.unreadHeldBytes),
    storage: mean((own, _, all) => own.storedByteHours / all.storedByteHours),
  };
}

function figuresOf(point: FrontPoint, title: string): Figure[] {
  const figure = (name: string, value: number, unit: string): Figure => measured(`${title}, ${point.line}, ${point.rung}: ${name}`, value, unit);
  return [
    figure('image hits', point.hits, 'of pulls'),
    figure('first pulls in a region', point.first, 'of first pulls'),
    figure('foreseeable first pulls', point.foreseeable, 'of these'),
    figure('WAN bytes, copied and fetched', point.wan, 'of gdsf’s'),
    figure('copied', point.copiedGb, 'GB'),
    figure('copied bytes never read', point.waste, 'of copied bytes'),
    figure('those that went unread', point.wentUnread, 'of copied bytes'),
    figure('those still there at the end', point.heldUnread, 'of copied bytes'),
    figure('stored byte-hours', point.storage, 'of replicate-all’s'),
  ];
}

function wanOf({ replicatedBytes, fallbackBytes }: RegionScore): number {
  return replicatedBytes + fallbackBytes;
}
