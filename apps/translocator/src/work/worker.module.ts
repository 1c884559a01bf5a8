import { Module } from '@nestjs/common';
import { SchedulerRegistry } from '@nestjs/schedule';

import { EventStore } from '#events';
import { ExpandedLayerStore } from '#expansion';
import { AnsweringProcesses, LeaseStore } from '#mounts';
import { RegionMap } from '#regions';
import { ImageStore, RegistryReader } from '#registry';
import { LinkLedger, ReplicaStore, RoomLedger } from '#replication';
import { FullShares } from '#shares';

import { ShareSet } from '../foundation/share-set.js';
import { ClockedTasks } from './clocked-tasks.js';
import { replicationLoops } from './copying.js';
import { CountedLinkBudget } from './counted-link-budget.js';
import { endingGraces } from './early-drains.js';
import { expansionLoops } from './expanding.js';
import { toldFullShares } from './full-shares.js';
import { ExpandedLayerRecords, LeasedReplicas, StoredHomeReplicas } from './ports-between-rooms.js';
import { RegistryLayerBlobs } from './registry-layer-blobs.js';
import { WorkSurroundings } from './work-surroundings.js';

/** The role `worker`: expands layers, copies replicas and removes them. */
@Module({
  providers: [
    { provide: FullShares, useFactory: (surroundings: WorkSurroundings, events: EventStore) => toldFullShares(surroundings, events), inject: [WorkSurroundings, EventStore] },
    {
      provide: 'expansion loops',
      useFactory: (
        ...[surroundings, registry, images, shares, store, replicas, room, full]: [
          WorkSurroundings, RegistryReader, ImageStore, ShareSet, ExpandedLayerStore, ReplicaStore, RoomLedger, FullShares,
        ]
      ) =>
        expansionLoops(surroundings, {
          store,
          blobs: new RegistryLayerBlobs(registry, images),
          replicas: new StoredHomeReplicas(replicas, surroundings.clock, room),
          homeShare: shares.home,
          full,
        }),
      inject: [WorkSurroundings, RegistryReader, ImageStore, ShareSet, ExpandedLayerStore, ReplicaStore, RoomLedger, FullShares],
    },
    {
      provide: 'replication loops',
      useFactory: (
        ...[surroundings, regions, shares, store, ledger, layers, leases, full]: [
          WorkSurroundings, RegionMap, ShareSet, ReplicaStore, LinkLedger, ExpandedLayerStore, LeaseStore, FullShares,
        ]
      ) =>
        replicationLoops(surroundings, {
          store,
          regions,
          shares: shares.byName,
          records: new ExpandedLayerRecords(layers),
          holds: new LeasedReplicas(leases),
          budget: new CountedLinkBudget(surroundings, regions, ledger),
          full,
        }),
      inject: [WorkSurroundings, RegionMap, ShareSet, ReplicaStore, LinkLedger, ExpandedLayerStore, LeaseStore, FullShares],
    },
    {
      provide: 'early drains',
      useFactory: (surroundings: WorkSurroundings, schedules: SchedulerRegistry, answering: AnsweringProcesses, replicas: ReplicaStore) =>
        new ClockedTasks(schedules, surroundings.logger, [endingGraces(surroundings, { answering, replicas })]),
      inject: [WorkSurroundings, SchedulerRegistry, AnsweringProcesses, ReplicaStore],
    },
  ],
})
export class WorkerModule {}
