import type { OnApplicationBootstrap, OnApplicationShutdown } from '@nestjs/common';

import type { Clock } from '#clock';
import type { ShareHealth } from '#mounts';
import { SECOND_MS } from '#quantities';
import { type Share, ShareError, type ShareErrorCode } from '#shares';
import type { Logger, Metrics } from '#telemetry';

/** What a probe waits for an answer. */
export const PROBE_MAX_MS = 5 * SECOND_MS;
/** A name that no layer's file has: whether it is there does not matter. */
const PROBED_PATH = 'health-probe';
/** What a share says that is there, and has its reasons not to do this. */
const ANSWERED: ReadonlySet<ShareErrorCode> = new Set<ShareErrorCode>(['FILE_NOT_FOUND', 'SHARE_DENIED', 'SHARE_BUSY']);

/** What {@link ShareProbing} is made with. */
export interface ShareProbingParts {
  readonly shares: Iterable<Pick<Share, 'name' | 'region' | 'stat'>>;
  readonly health: ShareHealth;
  readonly everyMs: number;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

/** Asks every share for one file, over and over, and notes whether it answered: one request to each share in each period at most. */
export class ShareProbing implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #parts: ShareProbingParts;
  readonly #shares: readonly Pick<Share, 'name' | 'region' | 'stat'>[];
  readonly #ended = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #probing: Promise<void> | undefined;

  constructor(parts: ShareProbingParts) {
    this.#parts = parts;
    this.#shares = [...parts.shares];
    const { metrics, health, clock } = parts;
    metrics.beforeScrape(async () => {
      for (const { name, region } of this.#shares) metrics.shareUp.set({ region }, health.isDown(name, clock.now()) ? 0 : 1);
    });
  }

  onApplicationBootstrap(): void {
    this.#timer = setInterval(() => {
      this.#probing ??= this.probe().finally(() => {
        this.#probing = undefined;
      });
    }, this.#parts.everyMs);
    this.#timer.unref();
  }

  async onApplicationShutdown(): Promise<void> {
    clearInterval(this.#timer);
    this.#ended.abort();
    await this.#probing;
  }

  /** Probes every share once, all at the same time. */
  async probe(): Promise<void> {
    await Promise.all(this.#shares.map((share) => this.#probe(share)));
  }

  async #probe(share: Pick<Share, 'name' | 'region' | 'stat'>): Promise<void> {
    const { name, region } = share;
    const { health, logger } = this.#parts;
    let failure: unknown;
    try {
      await share.stat(PROBED_PATH, AbortSignal.any([this.#ended.signal, AbortSignal.timeout(PROBE_MAX_MS)]));
    } catch (error) {
      if (this.#ended.signal.aborted) return;
      if (!(error instanceof ShareError) || !ANSWERED.has(error.code)) failure = error;
    }
    const change = health.probed(name, failure === undefined);
    if (change === 'down') logger.warn({ share: name, region, error: failure }, 'a share does not answer: nodes are not given it until it does');
    if (change === 'up') logger.info({ share: name, region }, 'a share answers again: nodes are given it');
  }
}
