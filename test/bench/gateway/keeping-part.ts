import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';

import { tarOf } from '#expansion/testing';
import { MiB, SECOND_MS } from '#quantities';
import { pushImage } from '#registry/local';

import { BenchError, type Figure, measured, median, ratioAtMost } from '../bench.js';
import { ADMIN_TOKEN, startGateway } from './gateway-programs.js';
import { digestOf, RegistryLoad } from './registry-load.js';

const [HOME, REGION, ELSEWHERE] = ['westeurope', 'eastus', 'southeastasia'];
const LAYERS = 8;
const LAYER_BYTES = 16 * MiB;
const AT_ONCE = 4;
const ROUNDS = 3;
const WAIT_MAX_MS = 120 * SECOND_MS;
/** Nothing is worth a copy by what is expected, and no plan comes in between: what is kept came by what passed. */
const PLACEMENT = { every: '1d', minimumExpectedPulls: 1000, smallLayersRatio: 0, reactiveRatio: 0.5 };

/**
 * Measures what keeping costs the nodes that what is kept passes to: the same layers through one gateway, first to nodes of another region, of whom nothing is kept, then to its own. Gateway,
 * home's expansions and the emulated shares are one process here, which is the most that they can be in each other's way.
 */
export async function measureKeeping(tell: (line: string) => void, { undo, folder, registryUrl }: { readonly undo: AsyncDisposableStack; readonly folder: string; readonly registryUrl: string }): Promise<Figure[]> {
  const url = await startGateway(undo, folder, registryUrl, { gateway: { region: REGION }, placement: PLACEMENT });
  const load = new RegistryLoad(url, AT_ONCE);
  undo.defer(() => load.close());
  const admin = async (path: string, init: RequestInit = {}): Promise<Response> => fetch(`${url}/api/v1/${path}`, { ...init, headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' } });
  await admin('repositories/bench/app', { method: 'PUT', body: JSON.stringify({ teleportEnabled: true }) });
  const seconds = { passed: [] as number[], kept: [] as number[], whole: [] as number[] };
  for (let round = 0; round <= ROUNDS; round += 1) {
    tell(`keeping: round ${round} of ${ROUNDS}`);
    const layers = Array.from({ length: LAYERS }, (_, n) => tarOf({ name: `${round}-${n}`, contents: randomBytes(LAYER_BYTES) })).map((tar) => ({ tar, bytes: gzipSync(tar, { level: 1 }) }));
    const digests = layers.map(({ bytes }) => digestOf(bytes));
    await pushImage({ url, repository: 'bench/app' }, `r${round}`, { layers: layers.map(({ tar, bytes }) => ({ bytes, diffId: digestOf(tar) as `sha256:${string}`, mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip' })) });
    const isAtHome = async (): Promise<boolean> => {
      const answer = await admin(`images/status?repository=bench/app&reference=r${round}`);
      const status = answer.ok ? ((await answer.json()) as { images: { regions: { region: string; state: string }[] }[] }) : undefined;
      return status?.images[0]?.regions.some(({ region, state }) => region === HOME && state === 'ready') === true;
    };
    await until(isAtHome, 'the image is whole at home');
    const passed = await load.downloadEach(digests, { 'x-teleport-region': ELSEWHERE! });
    const startedAt = performance.now();
    const kept = await load.downloadEach(digests);
    await until(async () => (await counted(url, /^translocator_gateway_layers_total\{outcome="kept",reason="UNORDERED"\} (\d+)/m)) === (round + 1) * LAYERS, 'all that passed is kept');
    // The first is for warming up.
    if (round === 0) continue;
    seconds.passed.push(passed);
    seconds.kept.push(kept);
    seconds.whole.push((performance.now() - startedAt) / 1000);
  }
  const amount = (LAYERS * LAYER_BYTES) / MiB;
  const [without, withIt] = [median(seconds.passed), median(seconds.kept)];
  const keptBytes = await counted(url, /^translocator_gateway_kept_bytes_total\{ordered="no"\} (\d+)/m);
  const copiedBytes = await counted(url, new RegExp(`^translocator_copied_bytes_total\\{[^}]*to="${REGION}"[^}]*\\} (\\d+)`, 'm'));
  return [
    measured('layers downloaded, nothing kept', amount / without, 'MiB/s'),
    measured('layers downloaded, all of them kept', amount / withIt, 'MiB/s'),
    { ...measured('layers downloaded: rate while they are kept', without / withIt, 'ratio'), against: 'the same gateway, nothing kept' },
    measured('layers kept, from the first byte of the first to the last ready', amount / median(seconds.whole), 'MiB/s'),
    // Of an image that is whole there a plan wants the merged view, which is copied.
    ratioAtMost('bytes that copies moved to the region meanwhile', copiedBytes / keptBytes, { against: 'what was kept', bound: 0.001 }),
  ];
}

async function counted(url: string, series: RegExp): Promise<number> {
  return Number(series.exec(await (await fetch(`${url}/metrics`)).text())?.[1] ?? 0);
}

async function until(holds: () => Promise<boolean>, what: string): Promise<void> {
  const endsAt = performance.now() + WAIT_MAX_MS;
  while (!(await holds())) {
    if (performance.now() > endsAt) throw new BenchError(`it took more than ${WAIT_MAX_MS} ms until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
