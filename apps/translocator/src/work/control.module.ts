import { Module } from '@nestjs/common';
import { SchedulerRegistry } from '@nestjs/schedule';
import { DataSource } from 'typeorm';

import { ServiceTokenStore, TrailStore } from '#access';
import { ChangeFeed } from '#database';
import { DemandStore, PullHistory, StoredForecasts } from '#demand';
import { ExpandedLayerStore } from '#expansion';
import { AnsweringProcesses, LeaseStore } from '#mounts';
import { PinStore } from '#pins';
import { FollowedSurprises, ForecastLedger, ForecastOutcomes, Planner, PlannerTurn, PlanStore } from '#placement';
import { RegionMap } from '#regions';
import { BackfillStore, CatalogueReader, ExaminationStore, ImageStore, RegistryReader, RepositoryStore } from '#registry';
import { LinkLedger, ReplicaStore, ShareDrains } from '#replication';

import { ShareSet } from '../foundation/share-set.js';
import { NotificationsController } from '../notifications/notifications.controller.js';
import { ClockedTasks } from './clocked-tasks.js';
import { DemandWatch } from './demand-watch.js';
import { WantedLayers } from './examined-images.js';
import { housekeepingTasks } from './housekeeping.js';
import { intakeLoops } from './intake.js';
import { planner } from './planner.js';
import { Planning } from './planning.js';
import { StoredPlacementFacts } from './planning-facts.js';
import { refreshRecordGauges } from './record-gauges.js';
import { drainingRegions } from './region-drains.js';
import { StoredReplicaOrders } from './replica-orders.js';
import { WorkSurroundings } from './work-surroundings.js';

/** The role `control`: takes notifications, examines, plans, and cleans up. */
@Module({
  controllers: [NotificationsController],
  providers: [
    {
      provide: 'intake loops',
      useFactory: (
        ...[surroundings, registry, images, repositories, examinations, backfills, layers]: [
          WorkSurroundings, RegistryReader, ImageStore, RepositoryStore, ExaminationStore, BackfillStore, ExpandedLayerStore,
        ]
      ) => intakeLoops(surroundings, { registry, images, repositories, examinations, backfills, recorded: new WantedLayers(surroundings, layers) }),
      inject: [WorkSurroundings, RegistryReader, ImageStore, RepositoryStore, ExaminationStore, BackfillStore, ExpandedLayerStore],
    },
    {
      provide: StoredPlacementFacts,
      useFactory: (
        ...[{ config }, catalogue, layers, replicas, leases, shares, regions, ledger, drains]: [
          WorkSurroundings, CatalogueReader, ExpandedLayerStore, ReplicaStore, LeaseStore, ShareSet, RegionMap, LinkLedger, ShareDrains,
        ]
      ) => new StoredPlacementFacts({
        catalogue, layers, replicas, leases, shares, regions, ledger, drains,
        unreferencedGraceMs: config.replication.unreferencedGrace,
        limits: { bytesPerLinkDay: config.replication.bytesPerLinkDay, usdPerDay: config.placement.usdPerDay, pushReserveRatio: config.placement.pushReserveRatio },
      }),
      inject: [WorkSurroundings, CatalogueReader, ExpandedLayerStore, ReplicaStore, LeaseStore, ShareSet, RegionMap, LinkLedger, ShareDrains],
    },
    { provide: StoredForecasts, useFactory: (demand: DemandStore) => new StoredForecasts(demand), inject: [DemandStore] },
    {
      provide: ForecastOutcomes,
      useFactory: (ledger: ForecastLedger, history: PullHistory, forecasts: StoredForecasts) => new ForecastOutcomes(ledger, history, forecasts),
      inject: [ForecastLedger, PullHistory, StoredForecasts],
    },
    {
      provide: Planner,
      useFactory: (
        ...[surroundings, facts, shares, replicas, pins, forecasts, plans, outcomes, turn]: [
          WorkSurroundings, StoredPlacementFacts, ShareSet, ReplicaStore, PinStore, StoredForecasts, PlanStore, ForecastOutcomes, PlannerTurn,
        ]
      ) => planner(surroundings, { facts, pins, forecasts, plans, outcomes, turn, orders: new StoredReplicaOrders(surroundings, shares, replicas) }),
      inject: [WorkSurroundings, StoredPlacementFacts, ShareSet, ReplicaStore, PinStore, StoredForecasts, PlanStore, ForecastOutcomes, PlannerTurn],
    },
    { provide: Planning, useFactory: (surroundings: WorkSurroundings, made: Planner, feed: ChangeFeed, catalogue: CatalogueReader) => new Planning(surroundings, made, { feed, catalogue }), inject: [WorkSurroundings, Planner, ChangeFeed, CatalogueReader] },
    {
      provide: 'clocked tasks',
      useFactory: (
        ...[surroundings, schedules, planning, layers, replicas, images, feed, examinations, backfills, leases, answering, pins, plans, forecasts, outcomes, demand, history, ledger, shares, tokens, trail, dataSource]: [
          WorkSurroundings, SchedulerRegistry, Planning, ExpandedLayerStore, ReplicaStore, ImageStore, ChangeFeed, ExaminationStore, BackfillStore, LeaseStore, AnsweringProcesses, PinStore,
          PlanStore, ForecastLedger, ForecastOutcomes, DemandStore, PullHistory, LinkLedger, ShareSet, ServiceTokenStore, TrailStore, DataSource,
        ]
      ) => {
        refreshRecordGauges(surroundings, { layers, replicas, answering });
        const stores = { layers, replicas, images, feed, examinations, backfills, leases, answering, pins, plans, forecasts, outcomes, demand, history, ledger, shares, tokens, trail, dataSource };
        const demandWatch = new DemandWatch(surroundings, { demand: new FollowedSurprises(forecasts, outcomes), planning, regions: [...shares.byName.values()].map(({ region }) => region) });
        return new ClockedTasks(schedules, surroundings.logger, [planning.scheduled(), demandWatch.scheduled(), ...housekeepingTasks(surroundings, stores)]);
      },
      inject: [
        WorkSurroundings, SchedulerRegistry, Planning, ExpandedLayerStore, ReplicaStore, ImageStore, ChangeFeed, ExaminationStore, BackfillStore, LeaseStore, AnsweringProcesses, PinStore,
        PlanStore, ForecastLedger, ForecastOutcomes, DemandStore, PullHistory, LinkLedger, ShareSet, ServiceTokenStore, TrailStore, DataSource,
      ],
    },
    {
      provide: 'region drains',
      useFactory: (...[surroundings, schedules, replicas, drains, shares]: [WorkSurroundings, SchedulerRegistry, ReplicaStore, ShareDrains, ShareSet]) =>
        new ClockedTasks(schedules, surroundings.logger, [drainingRegions(surroundings, { replicas, drains, shares })]),
      inject: [WorkSurroundings, SchedulerRegistry, ReplicaStore, ShareDrains, ShareSet],
    },
  ],
  exports: [ForecastOutcomes, Planner, Planning, StoredForecasts, StoredPlacementFacts],
})
export class ControlModule {}
