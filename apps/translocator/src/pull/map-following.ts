import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';

import { Clock } from '#clock';
import { AnsweringBeats, AnsweringEntry, LeaseBook, MapFeeder } from '#mounts';
import { SECOND_MS } from '#quantities';
import { type Logger, Metrics } from '#telemetry';

import { DatabaseOpening, LOGGER } from '../foundation/tokens.js';
import { MapSnapshotFile } from './map-snapshot-file.js';

/** How long the last word of a process that stops may take: without it, it counts as one that crashed. */
const LEAVE_WITHIN_MS = 3 * SECOND_MS;

/** Keeps the lookup's map following the database, its leases written behind, and what it knows acknowledged, while the service runs. */
@Injectable()
export class MapFollowing implements OnModuleInit, OnApplicationBootstrap, OnApplicationShutdown {
  constructor(
    private readonly feeder: MapFeeder,
    private readonly leases: LeaseBook,
    private readonly snapshot: MapSnapshotFile,
    private readonly entry: AnsweringEntry,
    private readonly beats: AnsweringBeats,
    private readonly database: DatabaseOpening,
    private readonly clock: Clock,
    @Inject(LOGGER) private readonly logger: Logger,
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
    this.entry.follow(this.snapshot.speaker);
  }

  onApplicationBootstrap(): void {
    this.snapshot.start();
    this.feeder.start();
    this.leases.start();
    this.beats.start();
    // While it could not be reached the feeder looked more and more seldom.
    this.database.opened.then(() => this.feeder.nudge(), () => undefined);
  }

  async onApplicationShutdown(): Promise<void> {
    await this.beats.stop();
    await this.feeder.stop();
    await this.snapshot.stop();
    await this.leases.stop();
    await this.#leave();
  }

  /** After the last answer, when all leases are written. */
  async #leave(): Promise<void> {
    const tooLate = new AbortController();
    const bound = this.clock.sleep(LEAVE_WITHIN_MS, tooLate.signal).then(() => {
      throw new Error(`it took longer than ${LEAVE_WITHIN_MS} ms`);
    });
    try {
      await Promise.race([this.beats.leave(), bound]);
    } catch (error) {
      this.logger.warn({ error }, 'the process could not say that it ends: drains wait for it as for one that crashed');
    } finally {
      tooLate.abort();
    }
  }
}
