import { Module } from '@nestjs/common';
import { ScheduleModule } from '@nestjs/schedule';

import { Clock } from '#clock';
import { DemandStore } from '#demand';
import { ExpandedLayerStore } from '#expansion';
import { LeaseStore } from '#mounts';
import { PinStore } from '#pins';
import { PLACEMENT_PARAMETERS_DEFAULT, Planner, PlannerTurn, PlanStore, TURN_LEASE_DEFAULT_MS, TURN_WAIT_DEFAULT_MS } from '#placement';
import { RegionMap } from '#regions';
import { CatalogueReader } from '#registry';
import { ReplicaStore } from '#replication';
import type { Logger } from '#telemetry';

import { Settings } from '../foundation/settings.js';
import { ShareSet } from '../foundation/share-set.js';
import { LOGGER, ProcessName } from '../foundation/tokens.js';
import { NotificationsController } from '../notifications/notifications.controller.js';
import { drainGraceMs } from './drain-grace.js';
import { Housekeeping } from './housekeeping.js';
import { Intake } from './intake.js';
import { Planning } from './planning.js';
import { StoredPlacementFacts } from './planning-facts.js';
import { StoredReplicaOrders } from './replica-orders.js';
import { WorkSignals } from './work-signals.js';

/** The role `control`: takes notifications, examines, plans, and cleans up. */
@Module({
  imports: [ScheduleModule.forRoot()],
  controllers: [NotificationsController],
  providers: [
    {
      provide: StoredPlacementFacts,
      useFactory: (...[catalogue, layers, replicas, leases, shares, regions, { config }]: [CatalogueReader, ExpandedLayerStore, ReplicaStore, LeaseStore, ShareSet, RegionMap, Settings]) =>
        new StoredPlacementFacts({ catalogue, layers, replicas, leases, shares, regions, unreferencedGraceMs: config.replication.unreferencedGrace }),
      inject: [CatalogueReader, ExpandedLayerStore, ReplicaStore, LeaseStore, ShareSet, RegionMap, Settings],
    },
    {
      provide: StoredReplicaOrders,
      useFactory: (...[replicas, shares, clock, signals, settings, logger]: [ReplicaStore, ShareSet, Clock, WorkSignals, Settings, Logger]) =>
        new StoredReplicaOrders({ replicas, shares, clock, signals, logger, drainGraceMs: drainGraceMs(settings) }),
      inject: [ReplicaStore, ShareSet, Clock, WorkSignals, Settings, LOGGER],
    },
    { provide: Planner, useFactory: planner, inject: [StoredPlacementFacts, StoredReplicaOrders, PinStore, DemandStore, PlanStore, PlannerTurn, Clock, ProcessName, Settings] },
    Planning,
    Intake,
    Housekeeping,
  ],
  exports: [Planning],
})
export class ControlModule {}

function planner(
  ...[facts, orders, pins, demand, plans, turn, clock, process, { config }]: [StoredPlacementFacts, StoredReplicaOrders, PinStore, DemandStore, PlanStore, PlannerTurn, Clock, ProcessName, Settings]
): Planner {
  const { minimumExpectedPulls } = config.placement;
  const forecast = { ...PLACEMENT_PARAMETERS_DEFAULT.forecast, halfLifeMs: config.demand.halfLife };
  return new Planner({
    facts, orders, pins, demand, plans, turn, clock,
    owner: process.text,
    parameters: { ...PLACEMENT_PARAMETERS_DEFAULT, forecast, minimumExpectedPulls },
    turnLeaseMs: TURN_LEASE_DEFAULT_MS,
    turnWaitMs: TURN_WAIT_DEFAULT_MS,
  });
}
