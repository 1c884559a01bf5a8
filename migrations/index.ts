import { ChangeFeed1763000000000 } from './1763000000000-change-feed.js';
import { Registry1763100000000 } from './1763100000000-registry.js';
import { ExpandedLayers1763150000000 } from './1763150000000-expanded-layers.js';
import { Replicas1763160000000 } from './1763160000000-replicas.js';
import { Pins1763200000000 } from './1763200000000-pins.js';
import { Demand1763300000000 } from './1763300000000-demand.js';
import { Placement1763400000000 } from './1763400000000-placement.js';
import { MountLeases1763500000000 } from './1763500000000-mount-leases.js';
import { ReplicaRecall1763600000000 } from './1763600000000-replica-recall.js';
import { ExpansionProgress1763700000000 } from './1763700000000-expansion-progress.js';
import { FileVersion21763800000000 } from './1763800000000-file-version-2.js';
import { RoomReservations1763950000000 } from './1763950000000-room-reservations.js';
import { Access1764400000000 } from './1764400000000-access.js';
import { SharedLeases1764600000001 } from './1764600000001-shared-leases.js';
import { DemandModel1764700000000 } from './1764700000000-demand-model.js';
import { ShareDrains1764800000000 } from './1764800000000-share-drains.js';
import { Events1764800000050 } from './1764800000050-events.js';
import { Planning1764900000000 } from './1764900000000-planning.js';
import { PlanTerms1764900000001 } from './1764900000001-plan-terms.js';
import { History1764900000002 } from './1764900000002-history.js';
import { PlanForecasts1764900000003 } from './1764900000003-plan-forecasts.js';
import { Evictions1765200000001 } from './1765200000001-evictions.js';
import { ForecastsElsewhere1765300000001 } from './1765300000001-forecasts-elsewhere.js';
import { MovedPins1765300000002 } from './1765300000002-moved-pins.js';
import { TakenBack1765300000003 } from './1765300000003-taken-back.js';
import { ForetoldDay1765300000004 } from './1765300000004-foretold-day.js';
import { HeldLayers1765300000005 } from './1765300000005-held-layers.js';
import { HeldLayersCovered1765300000006 } from './1765300000006-held-layers-covered.js';
import { PassingLayers1765400000001 } from './1765400000001-passing-layers.js';
import { NamedReservations1765500000001 } from './1765500000001-named-reservations.js';
import { ListedLeases1765600000001 } from './1765600000001-listed-leases.js';
import { RefusedLayers1765600000002 } from './1765600000002-refused-layers.js';
import { FailedWork1765600000003 } from './1765600000003-failed-work.js';
import { EarlyDrains1765600000004 } from './1765600000004-early-drains.js';
import { DatabaseIdentity1765600000005 } from './1765600000005-database-identity.js';

/** Every migration, oldest first. A landed one is never edited: what follows is a new one. */
export const MIGRATIONS = [
  ChangeFeed1763000000000,
  Registry1763100000000,
  ExpandedLayers1763150000000,
  Replicas1763160000000,
  Pins1763200000000,
  Demand1763300000000,
  Placement1763400000000,
  MountLeases1763500000000,
  ReplicaRecall1763600000000,
  ExpansionProgress1763700000000,
  FileVersion21763800000000,
  RoomReservations1763950000000,
  Access1764400000000,
  SharedLeases1764600000001,
  DemandModel1764700000000,
  ShareDrains1764800000000,
  Events1764800000050,
  Planning1764900000000,
  PlanTerms1764900000001,
  History1764900000002,
  PlanForecasts1764900000003,
  Evictions1765200000001,
  ForecastsElsewhere1765300000001,
  MovedPins1765300000002,
  TakenBack1765300000003,
  ForetoldDay1765300000004,
  HeldLayers1765300000005,
  HeldLayersCovered1765300000006,
  PassingLayers1765400000001,
  NamedReservations1765500000001,
  ListedLeases1765600000001,
  RefusedLayers1765600000002,
  FailedWork1765600000003,
  EarlyDrains1765600000004,
  DatabaseIdentity1765600000005,
] as const;

export { DemandModel1764700000000, FileVersion21763800000000 };
