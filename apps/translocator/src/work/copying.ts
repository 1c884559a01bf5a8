import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';

import type { ClaimLoop } from '#claims';
import { Clock } from '#clock';
import { ExpandedLayerStore } from '#expansion';
import { LeaseStore } from '#mounts';
import { RegionMap } from '#regions';
import { copyReplica, LinkBudget, removeReplica, type Replica, type ReplicaCopy, ReplicaStore } from '#replication';
import { type Logger, Metrics } from '#telemetry';

import { Settings } from '../foundation/settings.js';
import { ShareSet } from '../foundation/share-set.js';
import { LOGGER, ProcessName } from '../foundation/tokens.js';
import { ExpandedLayerRecords, LeasedReplicas } from './ports-between-rooms.js';
import { workLoop } from './work-loop.js';
import { WorkSignals } from './work-signals.js';

/** Makes wanted replicas and removes drained ones, while the service runs. */
@Injectable()
export class Copying implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #copies: ClaimLoop<ReplicaCopy>;
  readonly #removals: ClaimLoop<Replica>;
  readonly #graceMs: number;

  constructor(
    settings: Settings,
    clock: Clock,
    @Inject(LOGGER) logger: Logger,
    metrics: Metrics,
    process: ProcessName,
    signals: WorkSignals,
    regions: RegionMap,
    shareSet: ShareSet,
    store: ReplicaStore,
    budget: LinkBudget,
    layers: ExpandedLayerStore,
    leases: LeaseStore,
  ) {
    const { replication, server } = settings.config;
    const surroundings = { owner: process.text, clock, logger, metrics };
    const shares = shareSet.byName;
    const records = new ExpandedLayerRecords(layers);
    const holds = new LeasedReplicas(leases);
    const shared = { concurrency: replication.concurrency, leaseMs: replication.claimLease, pollMs: replication.poll };
    const describe = ({ layer, share }: Replica): Record<string, unknown> => ({ layer, share });
    this.#graceMs = server.shutdownGrace;
    this.#copies = workLoop<ReplicaCopy>(
      surroundings,
      {
        name: 'copy', source: store.copies, ...shared,
        work: (claimed, signal) => copyReplica({ store, records, shares, regions, budget, clock, pieceConcurrency: replication.piecesInFlight }, claimed, signal),
      },
      describe,
    );
    this.#removals = workLoop<Replica>(
      surroundings,
      { name: 'remove', source: store.removals, ...shared, work: (claimed, signal) => removeReplica({ store, holds, shares, clock }, claimed, signal) },
      describe,
    );
    signals.on('replicas', () => {
      this.#copies.nudge();
      this.#removals.nudge();
    });
  }

  onApplicationBootstrap(): void {
    this.#copies.start();
    this.#removals.start();
  }

  async onApplicationShutdown(): Promise<void> {
    await Promise.all([this.#copies.stop(this.#graceMs), this.#removals.stop(this.#graceMs)]);
  }
}
