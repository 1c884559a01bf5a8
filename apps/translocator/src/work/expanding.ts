import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';

import type { ClaimLoop } from '#claims';
import { Clock } from '#clock';
import { ExpandedLayerStore, expandLayer, expandWantedLayer, type LayerExpansion, type WantedLayer } from '#expansion';
import { RegistryReader } from '#registry';
import { ReplicaStore } from '#replication';
import { type Logger, Metrics } from '#telemetry';

import { Settings } from '../foundation/settings.js';
import { ShareSet } from '../foundation/share-set.js';
import { LOGGER, ProcessName } from '../foundation/tokens.js';
import { RegistryLayerBlobs, StoredHomeReplicas } from './ports-between-rooms.js';
import { workLoop } from './work-loop.js';
import { WorkSignals } from './work-signals.js';

/** Expands wanted layers onto the home share, while the service runs. */
@Injectable()
export class Expanding implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #loop: ClaimLoop<WantedLayer>;
  readonly #graceMs: number;

  constructor(
    settings: Settings,
    clock: Clock,
    @Inject(LOGGER) logger: Logger,
    metrics: Metrics,
    process: ProcessName,
    signals: WorkSignals,
    registry: RegistryReader,
    shares: ShareSet,
    layers: ExpandedLayerStore,
    replicas: ReplicaStore,
  ) {
    const { expansion, server } = settings.config;
    const expand = async (expansion: LayerExpansion): ReturnType<typeof expandLayer> => {
      const expanded = await expandLayer(expansion);
      metrics.expandedBytes.inc(expanded.dataBytes);
      return expanded;
    };
    const ports = { store: layers, blobs: new RegistryLayerBlobs(registry), replicas: new StoredHomeReplicas(replicas, clock), expand, homeShare: shares.home, clock };
    this.#graceMs = server.shutdownGrace;
    this.#loop = workLoop<WantedLayer>(
      { owner: process.text, clock, logger, metrics },
      {
        name: 'expand', source: layers, concurrency: expansion.concurrency, leaseMs: expansion.claimLease, pollMs: expansion.poll,
        work: (claimed, signal) => expandWantedLayer(ports, claimed, signal),
      },
      ({ digest, repository }) => ({ layer: digest, repository }),
    );
    signals.on('layers', () => this.#loop.nudge());
  }

  onApplicationBootstrap(): void {
    this.#loop.start();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.#loop.stop(this.#graceMs);
  }
}
