import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';

import type { ClaimLoop } from '#claims';
import { Clock } from '#clock';
import { ExpandedLayerStore } from '#expansion';
import { matchesPattern, parsePlatform } from '#oci';
import { MINUTE_MS, SECOND_MS } from '#quantities';
import { type Backfill, backfillRepository, BackfillStore, type Examination, ExaminationStore, examineReference, ImageStore, RegistryReader, RepositoryStore } from '#registry';
import { type Logger, Metrics } from '#telemetry';

import { Settings } from '../foundation/settings.js';
import { LOGGER, ProcessName } from '../foundation/tokens.js';
import { WantedLayers } from './examined-images.js';
import { workLoop } from './work-loop.js';
import { WorkSignals } from './work-signals.js';

/** References examined at the same time by one process: each is a few requests to a registry that also serves pulls. */
const EXAMINATIONS_AT_ONCE = 8;
/** Repositories backfilled at the same time by one process. */
const BACKFILLS_AT_ONCE = 2;
const LEASE_MS = MINUTE_MS;
const POLL_MS = SECOND_MS;

/** Examines what notifications and backfills name, while the service runs. */
@Injectable()
export class Intake implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #examinations: ClaimLoop<Examination>;
  readonly #backfills: ClaimLoop<Backfill>;
  readonly #graceMs: number;

  constructor(
    settings: Settings,
    clock: Clock,
    @Inject(LOGGER) logger: Logger,
    metrics: Metrics,
    process: ProcessName,
    signals: WorkSignals,
    registry: RegistryReader,
    images: ImageStore,
    repositories: RepositoryStore,
    examinations: ExaminationStore,
    backfills: BackfillStore,
    layers: ExpandedLayerStore,
  ) {
    const surroundings = { owner: process.text, clock, logger, metrics };
    const platforms = settings.config.registry.platforms.map(parsePlatform);
    const now = (): Date => clock.now();
    const recorded = new WantedLayers(layers, signals, clock, logger);
    const shared = { leaseMs: LEASE_MS, pollMs: POLL_MS };
    this.#graceMs = settings.config.server.shutdownGrace;
    this.#examinations = workLoop<Examination>(
      surroundings,
      {
        name: 'examine', source: examinations, concurrency: EXAMINATIONS_AT_ONCE, ...shared,
        work: async (claimed, signal) => {
          await enableByPolicy(repositories, settings.config.registry.enable, claimed.item.repository, clock.now());
          const outcome = await examineReference({ client: registry, images, repositories, recorded, platforms, now }, claimed, signal);
          if (outcome.kind === 'unusable') logger.warn({ ...claimed.item, reason: outcome.reason }, 'a reference cannot be served');
          if (outcome.kind !== 'lost') await examinations.settle(claimed.claim.id, claimed.item.generation, clock.now());
        },
      },
      ({ repository, reference }) => ({ repository, reference }),
    );
    this.#backfills = workLoop<Backfill>(
      surroundings,
      {
        name: 'backfill', source: backfills, concurrency: BACKFILLS_AT_ONCE, ...shared,
        work: async (claimed, signal) => {
          await backfillRepository({ client: registry, backfills, images, platforms, now }, claimed, signal);
          this.#examinations.nudge();
        },
      },
      ({ repository }) => ({ repository }),
    );
    signals.on('examinations', () => {
      this.#examinations.nudge();
      this.#backfills.nudge();
    });
  }

  onApplicationBootstrap(): void {
    this.#examinations.start();
    this.#backfills.start();
  }

  async onApplicationShutdown(): Promise<void> {
    await Promise.all([this.#examinations.stop(this.#graceMs), this.#backfills.stop(this.#graceMs)]);
  }
}

/** Enables a repository that nobody has decided on yet, when the configuration's policy names it. An operator's decision stands. */
async function enableByPolicy(repositories: RepositoryStore, patterns: readonly string[], repository: string, now: Date): Promise<void> {
  if (!matchesPattern(patterns, repository) || (await repositories.get(repository)) !== undefined) return;
  await repositories.enable(repository, now);
}
