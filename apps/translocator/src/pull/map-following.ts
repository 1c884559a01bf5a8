import { Injectable, type OnApplicationBootstrap, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';

import { Clock } from '#clock';
import { LeaseBook, MapFeeder } from '#mounts';
import { Metrics } from '#telemetry';

import { MapSnapshotFile } from './map-snapshot-file.js';

/** Keeps the lookup's map following the database, and its leases written behind, while the service runs. */
@Injectable()
export class MapFollowing implements OnModuleInit, OnApplicationBootstrap, OnApplicationShutdown {
  constructor(
    private readonly feeder: MapFeeder,
    private readonly leases: LeaseBook,
    private readonly snapshot: MapSnapshotFile,
    private readonly clock: Clock,
    metrics: Metrics,
  ) {
    metrics.beforeScrape(async () => {
      const { asOf, counts } = this.feeder.map;
      for (const [kind, count] of Object.entries(counts)) metrics.mapEntries.set({ kind }, count);
      metrics.mapAgeSeconds.set(asOf === undefined ? Number.POSITIVE_INFINITY : (this.clock.now().getTime() - asOf.getTime()) / 1000);
    });
  }

  /** Ready as soon as the map has been loaded once. */
  get loaded(): boolean {
    return this.feeder.map.asOf !== undefined;
  }

  /** Before the first request: a process that finds no database answers from the snapshot. */
  async onModuleInit(): Promise<void> {
    await this.snapshot.restore();
  }

  onApplicationBootstrap(): void {
    this.snapshot.start();
    this.feeder.start();
    this.leases.start();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.feeder.stop();
    await this.snapshot.stop();
    await this.leases.stop();
  }
}
