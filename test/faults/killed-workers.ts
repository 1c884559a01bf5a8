import { setTimeout as wait } from 'node:timers/promises';

import { digestHex, digestOf } from '#oci';

import { AnsweredFiles, leaveOrphans, partialFiles } from '../e2e/support/answered-files.js';
import { eventually } from '../e2e/support/eventually.js';
import { bigLayer } from '../e2e/support/real-layers.js';
import type { PushedTag, SplitDeployment } from '../e2e/support/split-deployment.js';
import { FAR, HOME } from './fault-deployment.js';
import type { FaultResult } from './fault-result.js';

const KiB = 1024;
const MiB = 1024 * KiB;
/** One layer of some pieces, and some of one. */
const LAYER_BYTES = [9 * MiB, 5 * MiB, 96 * KiB, 64 * KiB];
/** Images that are not yet everywhere; as many as a worker may be killed at. */
const UNDER_WAY_MAX = 3;
/** A worker lives at most this long after it has started, in milliseconds: long enough to finish some of what it claims, and not all. */
const LIFE_MAX_MS = 2_000;
/** Every so many kills, what is being expanded just then is not wanted any more: nobody comes back to it. */
const ABANDON_EVERY = 5;
/** The layer that is given up has some pieces. */
const ABANDONED_BYTES = 16 * MiB;
/** How long it may take to be begun, in milliseconds: what was claimed before comes first. */
const ABANDONED_MAX_MS = 60_000;
/** How long the last worker may take to finish everything, in milliseconds. */
const FINISHED_MAX_MS = 240_000;
/** In so many lives some copy has passed something on. */
const PASSED_ON_KILLS = 10;
/** How long orphans may stay: their age, and the pace at which they are looked for, many times over on a busy machine. */
const SWEPT_MAX_MS = 60_000;
/** Far regions that are slow, so that copies are under way for a while and pass on to each other what they have. */
const SLOW = { links: FAR.map((to) => ({ from: HOME, to, latencyMs: 30, bytesPerSecond: 15e6 })), limits: [{ account: HOME, latencyMs: 5 }] };

/**
 * Kills the worker `kills` times at random moments of expansions, copies and their passing on, while nodes pull. `random` gives numbers from 0 to 1.
 * Each worker is replaced by the next one, and the last one may finish.
 */
export async function killWorkers(deployment: SplitDeployment, { kills, random }: { readonly kills: number; readonly random: () => number }): Promise<FaultResult> {
  const startedMs = performance.now();
  deployment.emulator.control.disturb(SLOW);
  const answered = new AnsweredFiles(deployment);
  const load = new Load(deployment, answered);
  const problems: string[] = [];
  const regions = [HOME, ...FAR];
  await leaveOrphans(deployment, regions);
  const passedOnBefore = passedOnBytes(deployment);
  for (let kill = 0; kill < kills; kill += 1) {
    await load.top(Math.min(UNDER_WAY_MAX, kills));
    await using worker = await deployment.startProcess('worker');
    if (kill % ABANDON_EVERY === ABANDON_EVERY - 1) await load.abandonWhatIsExpanded();
    else await Promise.all([wait(random() * LIFE_MAX_MS), load.look()]);
    await worker.kill();
    await load.look();
  }
  deployment.emulator.control.disturb({});
  const last = await deployment.startProcess('worker');
  await load.finished(FINISHED_MAX_MS).catch((error: unknown) => void problems.push(String(error)));
  const swept = await eventually('no partial file is left', async () => (await partialFiles(deployment, regions)).length === 0, { withinMs: SWEPT_MAX_MS }).catch(() => false);
  if (!swept) problems.push(`partial files are left: ${(await partialFiles(deployment, regions)).join(', ')}`);
  const lastLog = last.log();
  if ((await last.stop()) !== 0) problems.push(`the last worker ended badly: ${JSON.stringify(lastLog.at(-1))}`);
  if (kills >= PASSED_ON_KILLS && passedOnBytes(deployment) === passedOnBefore) problems.push('no copy has passed anything on to another');
  const seconds = (performance.now() - startedMs) / 1000;
  return { name: `kill -9 of the worker, ${kills} times`, whole: answered.count, expected: load.filesWanted, seconds, strikes: kills, tries: {}, problems: [...problems, ...answered.broken] };
}

/** What the far regions have given to each other. */
function passedOnBytes({ emulator }: SplitDeployment): number {
  return FAR.reduce((sum, region) => sum + (emulator.traffic()[region]?.copyOutBytes ?? 0), 0);
}

/** Images that are pushed, pinned and pulled all the time. */
class Load {
  readonly #deployment: SplitDeployment;
  readonly #answered: AnsweredFiles;
  readonly #wanted: PushedTag[] = [];
  #underWay: PushedTag[] = [];
  #abandoned = 0;

  constructor(deployment: SplitDeployment, answered: AnsweredFiles) {
    this.#deployment = deployment;
    this.#answered = answered;
  }

  /** Files that must be answered in the end: every layer in every region. */
  get filesWanted(): number {
    return this.#wanted.length * LAYER_BYTES.length * (FAR.length + 1);
  }

  /** Pushes images until `count` are not everywhere yet. */
  async top(count: number): Promise<void> {
    while (this.#underWay.length < count) {
      const number = this.#wanted.length;
      const image = { repository: `kills/app-${number % 7}`, tag: `t${number}` };
      await this.#deployment.client.enable(image.repository);
      await this.#deployment.push(image, { layers: LAYER_BYTES.map((bytes, n) => bigLayer(`kill-${number}-${n}`, bytes)) });
      await this.#deployment.pin(image, FAR);
      this.#wanted.push(image);
      this.#underWay.push(image);
    }
  }

  /** Pushes a layer into a repository that is disabled while the layer is being expanded; its expansion stands still until the worker is killed. */
  async abandonWhatIsExpanded(): Promise<void> {
    const number = (this.#abandoned += 1);
    const image = { repository: `kills/gone-${number}`, tag: 'v1' };
    await this.#deployment.client.enable(image.repository);
    const layer = bigLayer(`gone-${number}`, ABANDONED_BYTES);
    this.#deployment.registry.faults.add({ part: 'blobs', method: 'GET', target: digestOf(layer.bytes) }, { kind: 'stall', afterBytes: ABANDONED_BYTES / 2 });
    await this.#deployment.push(image, { layers: [layer] });
    const beginning = `${HOME}/${digestHex(digestOf(layer.bytes))}.`;
    await eventually('it is being expanded', async () => (await partialFiles(this.#deployment, [HOME])).some((name) => name.startsWith(beginning)), { withinMs: ABANDONED_MAX_MS });
    await this.#deployment.client.admin(`repositories/${image.repository}`, { method: 'PUT', json: { teleportEnabled: false } });
  }

  /** Pulls what is not everywhere yet, and something that is. */
  async look(): Promise<void> {
    const still: PushedTag[] = [];
    for (const image of this.#underWay) if (!(await this.#everywhere(image))) still.push(image);
    this.#underWay = still;
  }

  /** @throws unless every image is everywhere `withinMs`. */
  async finished(withinMs: number): Promise<void> {
    await eventually('every image is everywhere', async () => {
      await this.look();
      return this.#underWay.length === 0;
    }, { withinMs });
    // Once more, all of them: what was answered before must be answered still.
    for (const image of this.#wanted) if (!(await this.#everywhere(image))) throw new Error(`${image.repository}:${image.tag} was lost again`);
  }

  async #everywhere(image: PushedTag): Promise<boolean> {
    let all = true;
    for (const region of [HOME, ...FAR]) all = (await this.#answered.pull(image, region)) && all;
    return all;
  }
}
