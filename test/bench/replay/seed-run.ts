import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

import { parseWeights, type ReplayPolicyName } from '#placement';
import { DAY_MS } from '#quantities';

import { type ArrivalModel, modelledArrivals } from './modelled-arrivals.js';
import { type Played, playWorkload } from './play-workload.js';
import { shapeOf, type WorkloadShape } from './workload.js';

/** A week goes by before anything counts. */
export const WARM_UP_MS = 7 * DAY_MS;

/** One modelled history, and what is played on it. */
export interface SeedTask {
  readonly model: ArrivalModel;
  readonly capacities: readonly number[];
  readonly policies: readonly ReplayPolicyName[];
  /** How the planner weighs, see `parseWeights`. */
  readonly weights: readonly string[];
  /** How far plans are apart. */
  readonly everyMs: number;
}

/** What one policy came to with one capacity. */
export interface SeedPlay extends Played {
  readonly policy: ReplayPolicyName;
  readonly capacityRatio: number;
}

/** What one history came to. */
export interface SeedResult {
  readonly seed: number;
  readonly shape: WorkloadShape;
  readonly plays: readonly SeedPlay[];
}

/** Plays one history in a thread of its own. */
export function runSeed(task: SeedTask): Promise<SeedResult> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: { seedTask: task } });
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', (code) => reject(new Error(`the thread of seed ${task.model.seed} ended with ${code} and without a result`)));
  });
}

/** As {@link runSeed}, in this thread. */
export function playSeed({ model, capacities, policies, weights, everyMs }: SeedTask): SeedResult {
  const workload = modelledArrivals(model);
  const options = { parameters: parseWeights(weights), everyMs };
  const plays = policies.flatMap((policy) =>
    // What needs no room, or has room for everything, does the same with every capacity.
    (policy === 'none' || policy === 'replicate-all' ? capacities.slice(0, 1) : capacities).map((capacityRatio) => ({ policy, capacityRatio, ...playWorkload(workload, { policy, capacityRatio, warmUpMs: WARM_UP_MS, options }) })),
  );
  return { seed: model.seed, shape: shapeOf(workload), plays };
}

const own = workerData as { readonly seedTask?: SeedTask } | null;
if (!isMainThread && own?.seedTask !== undefined) parentPort?.postMessage(playSeed(own.seedTask));
