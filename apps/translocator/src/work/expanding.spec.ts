import { randomBytes } from 'node:crypto';

import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { SystemClock } from '#clock';
import { loadConfig } from '#config';
import { LayerBlobs } from '#expansion';
import { MemoryExpandedLayerStore, tarOf, wantedLayer } from '#expansion/testing';
import { type Digest, digestOf } from '#oci';
import { MemoryReplicaStore } from '#replication/testing';
import { FullShares, type ShareFullEvent } from '#shares';
import { MemoryShare } from '#shares/testing';
import { createLogger, Metrics } from '#telemetry';

import { expansionLoops } from './expanding.js';
import type { LoopGroup } from './loop-group.js';
import { StoredHomeReplicas } from './ports-between-rooms.js';
import { WorkSignals } from './work-signals.js';
import { WorkSurroundings } from './work-surroundings.js';

const LAYER_BYTES = 4_000_000;
/** Room for four of the layers, at the size in which their files begin. */
const CAPACITY_BYTES = 18_000_000;
const clock = new SystemClock();
/** A bound against hanging, for a busy machine. */
const PATIENCE = { timeout: 90_000, interval: 20 };

class Tars extends LayerBlobs {
  readonly byDigest = new Map<Digest, Buffer>();

  async open(_repository: string, { digest }: { readonly digest: Digest }): Promise<AsyncIterable<Uint8Array>> {
    const bytes = this.byDigest.get(digest)!;
    return (async function* () {
      yield bytes;
    })();
  }
}

let layers: MemoryExpandedLayerStore;
let replicas: MemoryReplicaStore;
let blobs: Tars;
let told: ShareFullEvent[];
let loops: LoopGroup | undefined;
beforeEach(() => {
  [layers, replicas, blobs, told] = [new MemoryExpandedLayerStore(), new MemoryReplicaStore(), new Tars(), []];
});
afterEach(async () => {
  loops?.beforeApplicationShutdown();
  await loops?.onApplicationShutdown();
});

async function want(count: number): Promise<void> {
  const wanted = Array.from({ length: count }, () => {
    const tar = tarOf({ name: 'file', contents: randomBytes(LAYER_BYTES - 2048) });
    blobs.byDigest.set(digestOf(tar), tar);
    return wantedLayer('', { digest: digestOf(tar), sizeBytes: tar.length, mediaType: 'application/vnd.oci.image.layer.v1.tar' });
  });
  await layers.want(wanted, clock.now());
}

function start(homeShare: MemoryShare): Metrics {
  const metrics = new Metrics();
  const { config } = loadConfig({ environment: { TRANSLOCATOR_CONFIG: 'c.yaml' }, readFile: () => 'expansion: { concurrency: 8, poll: 50ms }' });
  const surroundings = new WorkSurroundings({ owner: 'test', config, clock, logger: createLogger('fatal'), metrics, signals: new WorkSignals() });
  const home = new StoredHomeReplicas(replicas, clock, replicas.room);
  loops = expansionLoops(surroundings, { store: layers, blobs, replicas: home, homeShare, full: new FullShares((event) => told.push(event), 300) });
  loops.onApplicationBootstrap();
  return metrics;
}

async function outcomes(metrics: Metrics): Promise<Record<string, number>> {
  return Object.fromEntries((await metrics.work.get()).values.map(({ labels, value }) => [String(labels.outcome), value]));
}

it('begins at once only what fits together, and the share never turns out full', async () => {
  const homeShare = new MemoryShare({ name: 'home', capacityBytes: CAPACITY_BYTES });
  await want(8);
  const metrics = start(homeShare);
  await vi.waitFor(async () => expect(await outcomes(metrics)).toMatchObject({ settled: 4, postponed: expect.any(Number) as number }), PATIENCE);
  await vi.waitFor(() => expect(layers.countByState()).resolves.toMatchObject({ expanded: 4, expanding: 0 }), PATIENCE);
  expect(told).toEqual([]);
  expect(homeShare.usedBytes).toBeLessThanOrEqual(CAPACITY_BYTES);
  expect(await replicas.room.reservedBytes('home', clock.now())).toBe(0);
});

it('lets a share that turned out full be for a while, tells of it once, and goes on then', async () => {
  const homeShare = new MemoryShare({ name: 'home' });
  homeShare.failNext('createFile', 'SHARE_FULL');
  await want(1);
  start(homeShare);
  await vi.waitFor(() => expect(layers.countByState()).resolves.toMatchObject({ expanded: 1 }), PATIENCE);
  expect(told).toMatchObject([{ share: 'home' }]);
  expect(homeShare.calls.filter((call) => call.operation === 'createFile')).toHaveLength(2);
});
