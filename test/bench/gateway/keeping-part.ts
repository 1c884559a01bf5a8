import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

import type { MountAnswerBody } from '#contract';
import { tarOf } from '#expansion/testing';
import { MiB, SECOND_MS } from '#quantities';
import { pushImage } from '#registry/local';

import { BenchError, type Figure, measured, median, ratioAtLeast, ratioAtMost } from '../bench.js';
import { ADMIN_TOKEN, startGateway } from './gateway-programs.js';
import { digestOf, RegistryLoad } from './registry-load.js';

const [HOME, REGION, ELSEWHERE] = ['westeurope', 'eastus', 'southeastasia'];
const LAYERS = 8;
const LAYER_BYTES = 16 * MiB;
const AT_ONCE = 4;
/** Rounds that are counted: of what stays in memory, and of what goes to the disk. */
const [ROUNDS, DISK_ROUNDS] = [5, 3];
/** What nodes must have of their rate while what passes to them is kept: keeping gives way. */
const RATE_MIN = 0.95;
const WAIT_MAX_MS = 60 * SECOND_MS;
/** Nothing is worth a copy by what is expected, and no plan comes in between: what is kept came by what passed. */
const PLACEMENT = { every: '1d', minimumExpectedPulls: 1000, hitImages: 0, smallLayersRatio: 0, reactiveRatio: 0.5 };

/**
 * Measures what keeping costs the nodes that what is kept passes to: the same layers through one gateway, first to nodes of another region, of whom nothing is kept, then to its own. Gateway,
 * home's expansions and the emulated shares are one process here, which is the most that they can be in each other's way.
 */
export async function measureKeeping(tell: (line: string) => void, { folder, registryUrl }: { readonly folder: string; readonly registryUrl: string }): Promise<Figure[]> {
  const inMemory = await measureWith(tell, { folder: join(folder, 'memory'), registryUrl, rounds: ROUNDS });
  const onDisk = await measureWith(tell, { folder: join(folder, 'disk'), registryUrl, rounds: DISK_ROUNDS, keep: { memory: '1MiB' } });
  const against = 'the same gateway, nothing kept';
  return [
    measured('layers downloaded, nothing kept', inMemory.without, 'MiB/s'),
    measured('layers downloaded, all of them kept', inMemory.withIt, 'MiB/s'),
    ratioAtLeast('layers downloaded: rate while they are kept', inMemory.withIt / inMemory.without, { against, bound: RATE_MIN }),
    { ...measured('layers downloaded: rate while they are kept on the disk', onDisk.withIt / onDisk.without, 'ratio'), against },
    measured('layers kept, from the first byte of the first to the last ready', inMemory.whole, 'MiB/s'),
    // Of an image that is whole there a plan wants the merged view, which is copied.
    ratioAtMost('bytes that copies moved to the region meanwhile', inMemory.copiedBytes / inMemory.keptBytes, { against: 'what was kept', bound: 0.001 }),
  ];
}

/** The rates of one gateway, in MiB a second. */
interface KeepingRates {
  readonly without: number;
  readonly withIt: number;
  readonly whole: number;
  readonly keptBytes: number;
  readonly copiedBytes: number;
}

async function measureWith(tell: (line: string) => void, { folder, registryUrl, rounds, keep = {} }: { readonly folder: string; readonly registryUrl: string; readonly rounds: number; readonly keep?: object }): Promise<KeepingRates> {
  await using undo = new AsyncDisposableStack();
  await mkdir(folder, { recursive: true });
  const url = await startGateway(undo, folder, registryUrl, { gateway: { region: REGION, keep }, placement: PLACEMENT });
  const load = new RegistryLoad(url, AT_ONCE);
  undo.defer(() => load.close());
  const admin = async (path: string, init: RequestInit = {}): Promise<Response> => fetch(`${url}/api/v1/${path}`, { ...init, headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' } });
  await admin('repositories/bench/app', { method: 'PUT', body: JSON.stringify({ teleportEnabled: true }) });
  const seconds = { passed: [] as number[], kept: [] as number[], whole: [] as number[] };
  for (let round = 0; round <= rounds; round += 1) {
    tell(`keeping: round ${round} of ${rounds}`);
    const layers = Array.from({ length: LAYERS }, (_, n) => tarOf({ name: `${round}-${n}`, contents: randomBytes(LAYER_BYTES) })).map((tar) => ({ tar, bytes: gzipSync(tar, { level: 1 }) }));
    const digests = layers.map(({ bytes }) => digestOf(bytes));
    const pushed = await pushImage({ url, repository: 'bench/app' }, `r${round}`, { layers: layers.map(({ tar, bytes }) => ({ bytes, diffId: digestOf(tar) as `sha256:${string}`, mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip' })) });
    // As lookups know it, for by their map it is decided what is kept; by digest, for the registry may have this tag of a gateway before.
    const isAtHome = async (): Promise<boolean> => {
      const answer = await fetch(`${url}/mount/v1/bench/app/_manifests/${pushed.digest}`, { headers: { 'x-teleport-region': HOME! } });
      return answer.ok ? ((await answer.json()) as MountAnswerBody).layers.every(({ kind }) => kind === 'mount') : (await answer.body?.cancel(), false);
    };
    await until(isAtHome, 'the image is whole at home');
    const passed = await load.downloadEach(digests, { 'x-teleport-region': ELSEWHERE! });
    const startedAt = performance.now();
    const kept = await load.downloadEach(digests);
    await until(async () => (await counted(url, /^translocator_gateway_layers_total\{outcome="kept",reason="UNORDERED"\} (\d+)/m)) === (round + 1) * LAYERS, 'all that passed is kept', () => outcomesOf(url));
    // The first is for warming up.
    if (round === 0) continue;
    seconds.passed.push(passed);
    seconds.kept.push(kept);
    seconds.whole.push((performance.now() - startedAt) / 1000);
  }
  const amount = (LAYERS * LAYER_BYTES) / MiB;
  return {
    without: amount / median(seconds.passed),
    withIt: amount / median(seconds.kept),
    whole: amount / median(seconds.whole),
    keptBytes: await counted(url, /^translocator_gateway_kept_bytes_total\{ordered="no"\} (\d+)/m),
    copiedBytes: await counted(url, new RegExp(`^translocator_copied_bytes_total\\{[^}]*to="${REGION}"[^}]*\\} (\\d+)`, 'm')),
  };
}

async function counted(url: string, series: RegExp): Promise<number> {
  return Number(series.exec(await (await fetch(`${url}/metrics`)).text())?.[1] ?? 0);
}

/** What became of layers that passed. */
async function outcomesOf(url: string): Promise<string> {
  return (await (await fetch(`${url}/metrics`)).text()).split('\n').filter((line) => line.startsWith('translocator_gateway_layers_total{')).join('; ');
}

async function until(holds: () => Promise<boolean>, what: string, instead?: () => Promise<string>): Promise<void> {
  const endsAt = performance.now() + WAIT_MAX_MS;
  while (!(await holds())) {
    if (performance.now() > endsAt) throw new BenchError(`it took more than ${WAIT_MAX_MS} ms until ${what}${instead === undefined ? '' : `: ${await instead()}`}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
