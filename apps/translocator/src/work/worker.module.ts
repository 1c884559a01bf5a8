import { Module } from '@nestjs/common';

import { ExpandedLayerStore } from '#expansion';
import { LeaseStore } from '#mounts';
import { RegionMap } from '#regions';
import { ImageStore, RegistryReader } from '#registry';
import { LinkLedger, ReplicaStore } from '#replication';

import { ShareSet } from '../foundation/share-set.js';
import { replicationLoops } from './copying.js';
import { CountedLinkBudget } from './counted-link-budget.js';
import { expansionLoops } from './expanding.js';
import { ExpandedLayerRecords, LeasedReplicas, StoredHomeReplicas } from './ports-between-rooms.js';
import { RegistryLayerBlobs } from './registry-layer-blobs.js';
import { WorkSurroundings } from './work-surroundings.js';

/** The role `worker`: expands layers, copies replicas and removes them. */
@Module({
  providers: [
    {
      provide: 'expansion loops',
      useFactory: (...[surroundings, registry, images, shares, store, replicas]: [WorkSurroundings, RegistryReader, ImageStore, ShareSet, ExpandedLayerStore, ReplicaStore]) =>
        expansionLoops(surroundings, {
          store,
          blobs: new RegistryLayerBlobs(registry, images),
          replicas: new StoredHomeReplicas(replicas, surroundings.clock),
          homeShare: shares.home,
        }),
      inject: [WorkSurroundings, RegistryReader, ImageStore, ShareSet, ExpandedLayerStore, ReplicaStore],
    },
    {
      provide: 'replication loops',
      useFactory: (...[surroundings, regions, shares, store, ledger, layers, leases]: [WorkSurroundings, RegionMap, ShareSet, ReplicaStore, LinkLedger, ExpandedLayerStore, LeaseStore]) =>
        replicationLoops(surroundings, {
          store,
          regions,
          shares: shares.byName,
          records: new ExpandedLayerRecords(layers),
          holds: new LeasedReplicas(leases),
          budget: new CountedLinkBudget(surroundings, regions, ledger),
        }),
      inject: [WorkSurroundings, RegionMap, ShareSet, ReplicaStore, LinkLedger, ExpandedLayerStore, LeaseStore],
    },
  ],
})
export class WorkerModule {}
