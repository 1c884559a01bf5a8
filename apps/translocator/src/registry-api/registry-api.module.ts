import { type BeforeApplicationShutdown, Injectable, Module, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance } from 'fastify';

import { FailureBuckets } from '#access';
import { Clock } from '#clock';
import { DemandRecorder } from '#demand';
import { RegionMap } from '#regions';
import { EventStore } from '#events';
import { ExpandedLayerStore } from '#expansion';
import { MapFeeder } from '#mounts';
import { PlanStore } from '#placement';
import { ExaminationStore, ImageStore, RegistryRelay, TokenServiceFinder } from '#registry';
import { ReplicaStore } from '#replication';
import { type Logger, Metrics } from '#telemetry';

import { DemandRecordingModule } from '../demand/demand-recording.module.js';
import { Settings } from '../foundation/settings.js';
import { ShareSet } from '../foundation/share-set.js';
import { LOGGER } from '../foundation/tokens.js';
import { ClientView } from '../http/client-view.js';
import { LoopLoad } from '../pull/loop-load.js';
import { PullModule } from '../pull/pull.module.js';
import { RecordedPulls } from '../pull/recorded-pulls.js';
import { WorkSignals } from '../work/work-signals.js';
import { WorkSurroundings } from '../work/work-surroundings.js';
import { AttributesController } from './attributes.controller.js';
import { LayerKeeping } from './keeping/layer-keeping.js';
import { NoticedChanges } from './noticed-changes.js';
import { RegistryRoutes } from './registry-routes.js';
import { RemovedRepositories } from './removed-repositories.js';
import { RepositoryRights } from './repository-rights.js';
import { TokenRoutes } from './token-routes.js';

/** Adds the routes that are no controllers, because what they carry is not read, and ends what they hold. */
@Injectable()
class RegistryDoor implements OnModuleInit, BeforeApplicationShutdown, OnApplicationShutdown {
  // Nest injects them by position.
  constructor(
    private readonly adapter: HttpAdapterHost,
    private readonly routes: RegistryRoutes,
    private readonly tokens: TokenRoutes,
    private readonly changes: NoticedChanges,
    private readonly relay: RegistryRelay,
    private readonly settings: Settings,
  ) {}

  onModuleInit(): void {
    const instance = this.adapter.httpAdapter.getInstance<FastifyInstance>();
    this.routes.register(instance);
    this.tokens.register(instance);
  }

  /** Uploads and downloads under way have the grace of all work; what still goes on then is cut, or the server would not end. */
  async beforeApplicationShutdown(): Promise<void> {
    await this.routes.finish(this.settings.config.server.shutdownGrace);
    await this.relay.close();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.changes.stop();
  }
}

/** What clients of the registry ask of this service: tokens, manifests, attributes of repositories and, as a gateway, everything that the registry has. */
@Module({
  imports: [DemandRecordingModule, PullModule],
  controllers: [AttributesController],
  providers: [
    { provide: RegistryRelay, useFactory: ({ config }: Settings) => new RegistryRelay({ url: config.registry.url, limits: { connectionsMax: config.gateway.concurrent } }), inject: [Settings] },
    { provide: TokenServiceFinder, useFactory: (relay: RegistryRelay, clock: Clock) => new TokenServiceFinder(relay, clock), inject: [RegistryRelay, Clock] },
    {
      provide: RepositoryRights,
      useFactory: (relay: RegistryRelay, logger: Logger) => new RepositoryRights(relay, (error) => logger.warn({ error }, 'an upload that was begun to find out about a right could not be ended')),
      inject: [RegistryRelay, LOGGER],
    },
    {
      provide: NoticedChanges,
      useFactory: (...[examinations, clock, signals, metrics, logger]: [ExaminationStore, Clock, WorkSignals, Metrics, Logger]) => new NoticedChanges({ examinations, clock, signals, metrics, logger }),
      inject: [ExaminationStore, Clock, WorkSignals, Metrics, LOGGER],
    },
    {
      provide: TokenRoutes,
      useFactory: (...[relay, finder, view, failures, clock]: [RegistryRelay, TokenServiceFinder, ClientView, FailureBuckets, Clock]) => new TokenRoutes({ relay, finder, view, failures, clock }),
      inject: [RegistryRelay, TokenServiceFinder, ClientView, FailureBuckets, Clock],
    },
    {
      provide: LayerKeeping,
      useFactory: (...[surroundings, shares, map, load, store, layers, events]: [WorkSurroundings, ShareSet, MapFeeder, LoopLoad, ReplicaStore, ExpandedLayerStore, EventStore]) =>
        new LayerKeeping(surroundings, { shares, map, load, store, layers, events }),
      inject: [WorkSurroundings, ShareSet, MapFeeder, LoopLoad, ReplicaStore, ExpandedLayerStore, PlanStore, EventStore],
    },
    { provide: RegistryRoutes, useFactory: registryRoutes, inject: [RegistryRelay, ClientView, Settings, NoticedChanges, ImageStore, LayerKeeping, DemandRecorder, RegionMap, Clock, Metrics, LOGGER] },
    RegistryDoor,
  ],
})
export class RegistryApiModule {}

type RouteParts = [RegistryRelay, ClientView, Settings, NoticedChanges, ImageStore, LayerKeeping, DemandRecorder, RegionMap, Clock, Metrics, Logger];

function registryRoutes(...[relay, view, { config }, changes, images, keeping, recorder, regions, clock, metrics, logger]: RouteParts): RegistryRoutes {
  const observer = new RecordedPulls(recorder, metrics);
  return new RegistryRoutes({ relay, view, gateway: config.gateway, changes, removals: new RemovedRepositories({ images, changes, logger }), kept: keeping.layers, observer, regions, clock, metrics, logger });
}
