import { hitRatio, type RegionScore, type ReplayPolicyName } from '#placement';

import { type Figure, measured, ratioAtLeast, ratioAtMost } from '../bench.js';
import { type Estimate, estimate } from './confidence.js';
import { ARRIVAL_MODEL_DEFAULT } from './modelled-arrivals.js';
import { needsNoCapacity, percent, playSeeds, type SeedPlay, type SeedResult, type SeedTask } from './seed-run.js';

/** What it is measured with. */
export interface ModelledOptions {
  readonly alpha: number;
  readonly concentration: number;
  /** Of the catalogue. */
  readonly capacities: readonly number[];
  readonly seeds: number;
  readonly weights: readonly string[];
  readonly everyMs: number;
  readonly tell: (line: string) => void;
}

/** Those that a cache or a registry could have. */
const OTHERS: readonly ReplayPolicyName[] = ['none', 'replicate-all', 'lru', 'gdsf', 'w-tinylfu', 's3-fifo', 'push-warm-lru', 'perfect-forecast'];
const OWN: ReplayPolicyName = 'planned';
/** Image hits that are to be reached, by capacity. */
export const HITS_MIN: ReadonlyMap<number, number> = new Map([[0.05, 0.957], [0.15, 0.98]]);
const WAN_MAX = 1.05;
/** First pulls that are to be found at 15 %. */
export const FIRST_MIN = 0.55;
const FORESEEABLE_MIN = 0.8;
const HITS_OF_ALL_MIN = 0.98;
const STORAGE_MAX = 0.15;
/** Of the copied bytes, those that may go unread. */
export const WASTE_MAX = 0.15;

/** Plays histories that differ in what chance decides, and gives the mean of each figure with its interval. */
export async function measureModelled(options: ModelledOptions): Promise<readonly Figure[]> {
  const results = await playSeeds(options.seeds, (seed) => taskOf(options, seed), options.tell);
  const title = `catalogue-real, arrival-modelled, α ${options.alpha}`;
  const shapes = results.map(({ shape }) => shape);
  const shape = (name: string, unit: string, of: (shape: (typeof shapes)[number]) => number): Figure => measured(`${title}: ${name}`, estimate(shapes.map(of)).mean, unit);
  return [
    shape('pulls of layers that the top hundredth of layers has', 'of all', (each) => each.topLayersRatio),
    shape('total variation between regions', 'of 1', (each) => each.totalVariation),
    shape('first pulls in a region', 'of pulls away from home', (each) => each.firstPullRatio),
    shape('pulls for each push', 'pulls', (each) => each.pulls / each.pushes),
    ...options.capacities.flatMap((capacity) => figuresAt(results, capacity, `${title}, ${percent(capacity)}`)),
  ];
}

function taskOf({ alpha, concentration, capacities, weights, everyMs }: ModelledOptions, seed: number): SeedTask {
  const plans = [...OTHERS, OWN].flatMap((policy) => (needsNoCapacity(policy) ? capacities.slice(0, 1) : capacities).map((capacityRatio) => ({ policy, capacityRatio, weights })));
  return { model: { ...ARRIVAL_MODEL_DEFAULT, alpha, concentration, seed }, plans, everyMs };
}

function figuresAt(results: readonly SeedResult[], capacity: number, title: string): Figure[] {
  const playOf = (result: SeedResult, policy: ReplayPolicyName): SeedPlay => result.plays.find((play) => play.policy === policy && (play.capacityRatio === capacity || needsNoCapacity(policy)))!;
  const over = (of: (play: (policy: ReplayPolicyName) => RegionScore) => number): Estimate => estimate(results.map((result) => of((policy) => playOf(result, policy).score.total)));
  const named = (name: string, { within }: Estimate): string => `${title}: ${name} (±${within.toPrecision(2)})`;
  const hits = over((play) => hitRatio(play(OWN).all));
  const [first, late, fresh] = (['first', 'late', 'fresh'] as const).map((kind) => over((play) => hitRatio(play(OWN)[kind])));
  const wan = over((play) => wanOf(play(OWN)) / wanOf(play('gdsf')));
  const waste = over((play) => play(OWN).wastedBytes / Math.max(1, play(OWN).replicatedBytes));
  const ofAll = over((play) => hitRatio(play(OWN).all) / hitRatio(play('replicate-all').all));
  const storage = over((play) => play(OWN).storedByteHours / play('replicate-all').storedByteHours);
  const ofPerfect = over((play) => hitRatio(play(OWN).all) / hitRatio(play('perfect-forecast').all));
  const usd = over((play) => play(OWN).usd / play('gdsf').usd);
  const worst = estimate(results.map((result) => playOf(result, OWN).score.worstHitRatio));
  const planMs = results.flatMap((result) => playOf(result, OWN).score.planMs).toSorted((a, b) => a - b);
  const bound = HITS_MIN.get(capacity);
  const isReference = capacity === 0.15;
  return [
    bound === undefined ? measured(named('image hits', hits), hits.mean, 'of pulls') : ratioAtLeast(named('image hits', hits), hits.mean, { against: 'all pulls', bound }),
    ...(['lru', 'gdsf', 'w-tinylfu', 's3-fifo', 'push-warm-lru', 'perfect-forecast'] as const).map((policy) => {
      const of = over((play) => hitRatio(play(policy).all));
      return measured(named(`image hits of ${policy}`, of), of.mean, 'of pulls');
    }),
    ratioAtMost(named('WAN bytes, copied and fetched', wan), wan.mean, { against: 'gdsf', bound: WAN_MAX }),
    measured(named('money for them', usd), usd.mean, 'of what gdsf costs'),
    isReference ? ratioAtLeast(named('first pulls in a region', first!), first!.mean, { against: 'all first pulls', bound: FIRST_MIN }) : measured(named('first pulls in a region', first!), first!.mean, 'of first pulls'),
    isReference
      ? ratioAtLeast(named('first pulls later than 10 min after a push where the repository was pulled', late!), late!.mean, { against: 'all of these', bound: FORESEEABLE_MIN })
      : measured(named('first pulls later than 10 min after a push where the repository was pulled', late!), late!.mean, 'of these'),
    measured(named('hits within 24 h after a push', fresh!), fresh!.mean, 'of these'),
    measured(named('image hits in the worst region', worst), worst.mean, 'of pulls'),
    ...(isReference
      ? [
          ratioAtLeast(named('image hits', ofAll), ofAll.mean, { against: 'replicate-all', bound: HITS_OF_ALL_MIN }),
          ratioAtMost(named('stored byte-hours', storage), storage.mean, { against: 'replicate-all', bound: STORAGE_MAX }),
        ]
      : []),
    measured(named('image hits', ofPerfect), ofPerfect.mean, 'of perfect forecasts'),
    ratioAtMost(named('copied bytes never read', waste), waste.mean, { against: 'copied bytes', bound: WASTE_MAX }),
    measured(`${title}: one plan of one region, median`, planMs[planMs.length >> 1] ?? 0, 'ms'),
  ];
}

function wanOf({ replicatedBytes, fallbackBytes }: RegionScore): number {
  return replicatedBytes + fallbackBytes;
}
