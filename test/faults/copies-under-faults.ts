import type { FaultKind } from '#file-share-emulator';

import { AnsweredFiles, partialFiles } from '../e2e/support/answered-files.js';
import { eventually } from '../e2e/support/eventually.js';
import { bigLayer } from '../e2e/support/real-layers.js';
import type { ServiceProcess } from '../e2e/support/service-process.js';
import type { PushedTag, SplitDeployment } from '../e2e/support/split-deployment.js';
import type { FaultCase } from './fault-cases.js';
import { FAR, HOME } from './fault-deployment.js';
import type { FaultResult } from './fault-result.js';

const KiB = 1024;
const MiB = 1024 * KiB;
/** Layers of one image. */
const LAYERS_MAX = 20;
/** Every tenth layer has three pieces, so that copies are cut within a file too. */
const LARGE_EVERY = 10;
const LARGE_BYTES = 9 * MiB;
const SMALL_BYTES = 96 * KiB;
/** How long all copies of one case may take, and how long images may take to be expanded, in milliseconds. */
const COPIED_MAX_MS = 300_000;

/** How much is done in one case. */
export interface CaseSize {
  /** Copies of layers; they go to two regions each. */
  readonly copies: number;
}

/** Makes copies of new layers under one fault, and looks at what came of them. Throws nothing that the fault may cause: it is in the result. */
export async function copyUnderFault(deployment: SplitDeployment, worker: ServiceProcess, fault: FaultCase, { copies }: CaseSize): Promise<FaultResult> {
  const { emulator } = deployment;
  const to = fault.to ?? FAR;
  const tags = await expandedAtHome(deployment, fault.name, Math.ceil(copies / to.length));
  const answered = new AnsweredFiles(deployment);
  const struckBefore = emulator.control.struck;
  const loggedBefore = worker.log().length;
  const startedMs = performance.now();
  const problems: string[] = [];
  emulator.control.disturb(fault.settings);
  for (const tag of tags) await deployment.pin(tag, to);
  const struck = (kind: FaultKind): number => (emulator.control.struck[kind] ?? 0) - (struckBefore[kind] ?? 0);
  try {
    await eventually('all copies are whole', async () => {
      if (fault.liftedAfter !== undefined && struck(fault.liftedAfter.kind) >= fault.liftedAfter.strikesPerCopy * copies) emulator.control.disturb({});
      return allMounted(answered, tags, to);
    }, { withinMs: COPIED_MAX_MS });
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error));
  }
  emulator.control.disturb({});
  const seconds = (performance.now() - startedMs) / 1000;
  const left = await eventually('no partial file is left', async () => (await partialFiles(deployment, to)).length === 0).then(() => [], () => partialFiles(deployment, to));
  if (left.length > 0) problems.push(`partial files are left: ${left.join(', ')}`);
  const strikes = (fault.settings.faults ?? []).map(({ kind }) => struck(kind)).reduce((sum, count) => sum + count, 0);
  return { name: fault.name, whole: answered.count, expected: copies, seconds, strikes, tries: endedTries(worker, loggedBefore), problems: [...problems, ...answered.broken] };
}

async function allMounted(answered: AnsweredFiles, tags: readonly PushedTag[], regions: readonly string[]): Promise<boolean> {
  let all = true;
  for (const tag of tags) for (const region of regions) all = (await answered.pull(tag, region)) && all;
  return all;
}

/** Pushes images with `layerCount` layers in all, none of which is known yet, and waits until they are expanded. */
async function expandedAtHome(deployment: SplitDeployment, name: string, layerCount: number): Promise<PushedTag[]> {
  const repository = `faults/${name}`;
  await deployment.client.enable(repository);
  const tags: PushedTag[] = [];
  for (let first = 0; first < layerCount; first += LAYERS_MAX) {
    const layers = Array.from({ length: Math.min(LAYERS_MAX, layerCount - first) }, (_, n) =>
      bigLayer(`${name}-${first + n}`, (first + n) % LARGE_EVERY === 0 ? LARGE_BYTES : SMALL_BYTES));
    const tag = { repository, tag: `from-${first}` };
    await deployment.push(tag, { layers });
    tags.push(tag);
  }
  for (const { tag } of tags) {
    await eventually(`${repository}:${tag} is expanded`, () => deployment.client.readyIn(HOME, repository, tag), { withinMs: COPIED_MAX_MS });
  }
  return tags;
}

/** How often a copy ended unfinished since line `from` of the worker's log, by what ended it. */
function endedTries(worker: ServiceProcess, from: number): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { loop, outcome, error } of worker.log().slice(from)) {
    if (loop !== 'copy' || outcome === 'settled') continue;
    const why = String((error as { readonly code?: unknown } | undefined)?.code ?? outcome);
    counts[why] = (counts[why] ?? 0) + 1;
  }
  return counts;
}
