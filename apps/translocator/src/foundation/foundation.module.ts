import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';

import { type DynamicModule, Global, Module } from '@nestjs/common';
import { DataSource } from 'typeorm';

import { Clock } from '#clock';
import { ChangeFeed } from '#database';
import { DemandModule } from '#demand/nest';
import { EventStoresModule } from '#events/nest';
import { ExpansionModule } from '#expansion/nest';
import { MountsModule } from '#mounts/nest';
import { PinsModule } from '#pins/nest';
import { PlacementModule } from '#placement/nest';
import { SECOND_MS } from '#quantities';
import { RegionMap } from '#regions';
import { RegistryClient, RegistryReader } from '#registry';
import { RegistryModule } from '#registry/nest';
import { ReplicationModule } from '#replication/nest';
import { type Logger, Metrics } from '#telemetry';

import { ClientView } from '../http/client-view.js';
import { GrantRenewal } from './grant-renewal.js';
import type { Resources } from './resources.js';
import { Settings } from './settings.js';
import { metricsWithShares } from './share-metrics.js';
import { ShareSet } from './share-set.js';
import { DatabaseOpening, LOGGER, ProcessName } from './tokens.js';

/** What every part of the service stands on. */
export interface Foundation {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly resources: Resources;
}

/** A pull waits no longer than this for the registry to say whether the caller may; then it is answered with blobs. */
const PROBE_MAX_MS = 2 * SECOND_MS;

/** Provides settings, clock, log, metrics, database, regions, shares, the registry and the rooms' stores to every module. */
@Global()
@Module({})
export class FoundationModule {
  static with({ settings, clock, logger, resources }: Foundation): DynamicModule {
    const registry = new RegistryClient({ url: settings.config.registry.url, credentials: registryCredentials(settings), clock, limits: { probeMaxMs: PROBE_MAX_MS } });
    const stores = [DemandModule, EventStoresModule, ExpansionModule, MountsModule, PinsModule, PlacementModule, RegistryModule, ReplicationModule];
    const providers = [
      { provide: Settings, useValue: settings },
      { provide: Clock, useValue: clock },
      { provide: LOGGER, useValue: logger },
      { provide: Metrics, useValue: metricsWithShares(resources.shares) },
      { provide: DataSource, useValue: resources.dataSource },
      { provide: DatabaseOpening, useValue: new DatabaseOpening(resources.databaseOpened) },
      { provide: ChangeFeed, useValue: new ChangeFeed(resources.dataSource) },
      { provide: RegionMap, useValue: resources.regions },
      { provide: ShareSet, useValue: resources.shares },
      { provide: GrantRenewal, useValue: new GrantRenewal(resources.shares.byName.values(), logger) },
      { provide: RegistryClient, useValue: registry },
      { provide: ClientView, useValue: new ClientView(settings.config) },
      { provide: RegistryReader, useExisting: RegistryClient },
      { provide: ProcessName, useValue: new ProcessName(`${hostname()}-${process.pid}-${randomUUID().slice(0, 8)}`) },
    ];
    return { module: FoundationModule, imports: stores, providers, exports: [...providers.map((provider) => provider.provide), ...stores] };
  }
}

function registryCredentials({ config, secrets }: Settings): ConstructorParameters<typeof RegistryClient>[0]['credentials'] {
  const { username } = config.registry;
  return username === undefined ? { kind: 'anonymous' } : { kind: 'basic', username, password: secrets.registryPassword ?? '' };
}
