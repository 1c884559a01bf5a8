import { availableParallelism } from 'node:os';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

import { hitRatio, parseWeights, type ReplayPolicyName } from '#placement';
import { DAY_MS } from '#quantities';

import { BenchError } from '../bench.js';
import { type ArrivalModel, modelledArrivals } from './modelled-arrivals.js';
import { type Played, playWorkload } from './play-workload.js';
import { shapeOf, type WorkloadShape } from './workload.js';

/** A week goes by before anything counts. */
export const WARM_UP_MS = 7 * DAY_MS;

/** How one policy is played. */
export interface SeedPlan {
  readonly policy: ReplayPolicyName;
  /** Of the catalogue, for each share. */
  readonly capacityRatio: number;
  /** How the planner weighs, see `parseWeights`. */
  readonly weights: readonly string[];
  /** Whether the planner is told the rates that the pulls are drawn from, and goes by these. */
  readonly knowsRates?: boolean;
}

/** One modelled history, and what is played on it. */
export interface SeedTask {
  readonly model: ArrivalModel;
  readonly plans: readonly SeedPlan[];
  /** How far plans are apart. */
  readonly everyMs: number;
}

/** What one policy came to. */
export interface SeedPlay extends Played, SeedPlan {}

/** What one history came to. */
export interface SeedResult {
  readonly seed: number;
  readonly shape: WorkloadShape;
  /** In the order of the plans. */
  readonly plays: readonly SeedPlay[];
}

/** True for what does the same with every capacity: it needs no room, or has room for everything. */
export function needsNoCapacity(policy: ReplayPolicyName): boolean {
  return policy === 'none' || policy === 'replicate-all';
}

/** Plays as many histories as there are to be seeds, from 1 on, several at a time; each policy is told of when it was played. */
export async function playSeeds(seeds: number, taskOf: (seed: number) => SeedTask, tell: (line: string) => void): Promise<SeedResult[]> {
  if (seeds < 1) throw new BenchError('there is at least one seed');
  const waiting = Array.from({ length: seeds }, (_, n) => n + 1);
  const results: SeedResult[] = [];
  const work = async (): Promise<void> => {
    for (let seed = waiting.shift(); seed !== undefined; seed = waiting.shift()) results.push(await runSeed(taskOf(seed), tell));
  };
  await Promise.all(Array.from({ length: Math.min(seeds, availableParallelism()) }, work));
  return results.toSorted((a, b) => a.seed - b.seed);
}

/** A share for people: 5 %. */
export function percent(ratio: number): string {
  return `${Number((ratio * 100).toPrecision(3))} %`;
}

/** Plays one history in a thread of its own. */
function runSeed(task: SeedTask, tell: (line: string) => void): Promise<SeedResult> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: { seedTask: task } });
    worker.on('message', (told: string | SeedResult) => (typeof told === 'string' ? tell(told) : resolve(told)));
    worker.once('error', reject);
    worker.once('exit', (code) => reject(new Error(`the thread of seed ${task.model.seed} ended with ${code} and without a result`)));
  });
}

/** As {@link runSeed}, in this thread. */
function playSeed({ model, plans, everyMs }: SeedTask, tell: (line: string) => void): SeedResult {
  const workload = modelledArrivals(model);
  const plays = plans.map((plan): SeedPlay => {
    const { policy, capacityRatio, weights, knowsRates = false } = plan;
    const options = { parameters: parseWeights(weights), everyMs, ...(knowsRates ? { rates: workload.rates } : {}) };
    const play = { ...plan, ...playWorkload(workload, { policy, capacityRatio, warmUpMs: WARM_UP_MS, options }) };
    tell(`seed ${model.seed}, ${percent(capacityRatio)}, ${lineOf(play)}`);
    return play;
  });
  return { seed: model.seed, shape: shapeOf(workload), plays };
}

function lineOf({ weights, score, seconds }: SeedPlay): string {
  const { policy, total } = score;
  const [gb, ratio] = [(bytes: number): string => (bytes / 1e9).toFixed(0), (value: number): string => value.toFixed(4)];
  return `${policy}${weights.length === 0 || score.planMs.length === 0 ? '' : ` (${weights.join(', ')})`}: hits ${ratio(hitRatio(total.all))} (worst region ${ratio(score.worstHitRatio)}), first ${ratio(hitRatio(total.first))}, foreseeable ${ratio(hitRatio(total.late))}, 24 h after push ${ratio(hitRatio(total.fresh))}, ${gb(total.replicatedBytes)} GB copied and ${gb(total.fallbackBytes)} GB fetched, ${gb(total.wastedBytes)} GB never read (${gb(total.unreadHeldBytes)} GB still there), USD ${total.usd.toFixed(0)}, in ${seconds.toFixed(0)} s`;
}

const own = workerData as { readonly seedTask?: SeedTask } | null;
if (!isMainThread && own?.seedTask !== undefined) parentPort?.postMessage(playSeed(own.seedTask, (line) => parentPort?.postMessage(line)));
