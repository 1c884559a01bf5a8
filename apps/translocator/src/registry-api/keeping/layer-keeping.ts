import { join } from 'node:path';

import { keepsLayers } from '#config';
import type { EventStore } from '#events';
import type { ExpandedLayerStore } from '#expansion';
import type { MapFeeder } from '#mounts';
import { PASSED_TOGETHER_MS, windowLimits } from '#placement';
import type { ReplicaStore } from '#replication';

import type { ShareSet } from '../../foundation/share-set.js';
import type { LoopLoad } from '../../pull/loop-load.js';
import { drainGraceMs } from '../../work/drain-grace.js';
import { toldFullShares } from '../../work/full-shares.js';
import { LoopGroup } from '../../work/loop-group.js';
import { ExpandedLayerRecords } from '../../work/ports-between-rooms.js';
import { workLoop } from '../../work/work-loop.js';
import type { WorkSurroundings } from '../../work/work-surroundings.js';
import { KeptLayers, type PassedLayer } from './kept-layers.js';

/** What keeping takes besides its surroundings. */
export interface KeepingTools {
  readonly shares: ShareSet;
  readonly map: MapFeeder;
  readonly load: Pick<LoopLoad, 'isLoaded'>;
  readonly store: ReplicaStore;
  readonly layers: ExpandedLayerStore;
  readonly events: EventStore;
}

/** Keeps layers that pass through this gateway on the share of its region, where it is set up to; otherwise does nothing. */
export class LayerKeeping extends LoopGroup {
  /** Where layers that pass are offered; undefined where none is kept. */
  readonly layers: KeptLayers | undefined;

  constructor(surroundings: WorkSurroundings, tools: KeepingTools) {
    const keeping = keepingOf(surroundings, tools);
    super(keeping === undefined ? [] : [keeping.loop], surroundings.config.server.shutdownGrace);
    this.layers = keeping?.layers;
  }
}

function keepingOf(surroundings: WorkSurroundings, { shares, map, load, store, layers: records, events }: KeepingTools): { readonly layers: KeptLayers; readonly loop: ConstructorParameters<typeof LoopGroup>[0][number] } | undefined {
  const { config, clock, metrics, logger, signals } = surroundings;
  const { gateway, placement } = config;
  const share = keepsLayers(gateway) ? shares.inRegion(gateway.region) : undefined;
  if (share === undefined) return undefined;
  const { spool, memory, spooled, within, expansions } = gateway.keep;
  const layers = new KeptLayers({
    share, home: shares.home, map, store, layers: records, clock, metrics, logger,
    records: new ExpandedLayerRecords(records),
    full: toldFullShares(surroundings, events),
    isBusy: () => load.isLoaded,
    terms: {
      unordered: { ...windowLimits(placement.reactiveRatio, share.capacityBytes), togetherMs: PASSED_TOGETHER_MS, graceMs: drainGraceMs(config) },
      expansionMaxMs: within,
      folder: join(config.folder, 'gateway'),
      spool: { bytesMax: spool, memoryBytesMax: memory, blobsMax: spooled, ageMaxMs: within },
    },
    onWhole: () => loop.nudge(),
    onGivenBack: () => signals.replicasOrdered(),
  });
  const loop = workLoop<PassedLayer>(surroundings, {
    name: 'keep', source: layers, concurrency: expansions, leaseMs: config.replication.claimLease, pollMs: config.replication.poll,
    describe: ({ blob, ordered }) => ({ layer: blob.digest, region: share.region, ordered }),
    work: (claimed, signal) => layers.make(claimed, signal),
  });
  const stop = async (graceMs: number): Promise<void> => {
    await Promise.all([layers.stop(), loop.stop(graceMs)]);
  };
  return { layers, loop: { start: () => loop.start(), stop } };
}
