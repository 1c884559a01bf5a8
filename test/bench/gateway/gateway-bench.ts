import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { MiB } from '#quantities';

import { type Bench, type Figure, measured, median } from '../bench.js';
import { requirePrograms } from '../expansion/programs.js';
import { compileService, startGateway, startRegistry } from './gateway-programs.js';
import { measureKeeping } from './keeping-part.js';
import { digestOf, RegistryLoad } from './registry-load.js';

const BLOB_BYTES = 64 * MiB;
/** Blobs that are carried in one round, and how many of them at once. */
const DOWNLOADS = 12;
const UPLOADS = 4;
const HEADS = 2000;
const AT_ONCE = 4;
/** Rounds of each, first one way, then the other; the middle one counts. */
const ROUNDS = 5;
const AGAINST = 'docker-registry alone';

/** Measures what the gateway costs: the same calls to Debian's docker-registry with and without it, on this machine; and what keeping what passes costs those that it passes to. */
export const gatewayBench: Bench = {
  question: 'what does it cost to pull and push through the gateway, and to keep what passes?',
  parts: ['passing', 'keeping'],
  run: async (tell, parts, _options, keep) => {
    await requirePrograms({ 'docker-registry': 'docker-registry' });
    tell('compiling the service');
    await compileService();
    const figures: Figure[] = [];
    for (const [part, measure] of [['passing', measurePassing], ['keeping', measureKeeping]] as const) {
      if (!parts.includes(part)) continue;
      await using undo = new AsyncDisposableStack();
      const folder = await mkdtemp(join(tmpdir(), 'translocator-gateway-bench-'));
      undo.defer(() => rm(folder, { recursive: true, force: true }));
      figures.push(...(await measure(tell, { undo, folder, registryUrl: await startRegistry(undo, folder) })));
      await keep(figures);
    }
    return figures;
  },
};

async function measurePassing(tell: (line: string) => void, { undo, folder, registryUrl }: { readonly undo: AsyncDisposableStack; readonly folder: string; readonly registryUrl: string }): Promise<Figure[]> {
  const gatewayUrl = await startGateway(undo, folder, registryUrl);
  const alone = new RegistryLoad(registryUrl, AT_ONCE);
  const through = new RegistryLoad(gatewayUrl, AT_ONCE);
  undo.defer(() => alone.close());
  undo.defer(() => through.close());
  const blob = randomBytes(BLOB_BYTES);
  const digest = digestOf(blob);
  await alone.put(blob, digest);
  const figures: Figure[] = [];
  const compare = async (name: string, work: (load: RegistryLoad) => Promise<number>, perSecond: { readonly amount: number; readonly unit: string }): Promise<void> => {
    const seconds = { alone: [] as number[], through: [] as number[] };
    for (let round = 0; round <= ROUNDS; round += 1) {
      tell(`${name}: round ${round} of ${ROUNDS}`);
      const [one, other] = [await work(alone), await work(through)];
      // The first is for warming up.
      if (round > 0) seconds.alone.push(one);
      if (round > 0) seconds.through.push(other);
    }
    const [without, withIt] = [median(seconds.alone), median(seconds.through)];
    figures.push(measured(`${name}, alone`, perSecond.amount / without, perSecond.unit), measured(`${name}, through the gateway`, perSecond.amount / withIt, perSecond.unit));
    figures.push({ ...measured(`${name}: rate through the gateway`, without / withIt, 'ratio'), against: AGAINST });
  };
  await compare('blobs downloaded', (load) => load.download(digest, DOWNLOADS), { amount: (DOWNLOADS * BLOB_BYTES) / MiB, unit: 'MiB/s' });
  await compare('blobs uploaded', (load) => load.upload(BLOB_BYTES, UPLOADS), { amount: (UPLOADS * BLOB_BYTES) / MiB, unit: 'MiB/s' });
  await compare('small answers', (load) => load.head(digest, HEADS), { amount: HEADS, unit: '1/s' });
  return figures;
}

