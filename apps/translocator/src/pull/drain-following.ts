import type { OnApplicationBootstrap, OnApplicationShutdown } from '@nestjs/common';

import type { ShareHealth } from '#mounts';
import { SECOND_MS } from '#quantities';
import type { ShareDrains } from '#replication';
import type { Logger } from '#telemetry';

/** It is never looked more often than this which shares are drained: a small table, once for each process. */
export const DRAINS_LOOK_MIN_MS = SECOND_MS / 4;

/** What {@link DrainFollowing} is made with. */
export interface DrainFollowingParts {
  readonly drains: Pick<ShareDrains, 'list'>;
  readonly health: Pick<ShareHealth, 'withhold'>;
  readonly everyMs: number;
  readonly logger: Logger;
}

/**
 * Has nodes be given no share that is drained, also where its replicas are still ready because they are the last ones. What was known last holds while the database is away; a process that has never
 * reached it goes by the states of replicas alone.
 */
export class DrainFollowing implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #parts: DrainFollowingParts;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #isFailing = false;

  constructor(parts: DrainFollowingParts) {
    this.#parts = parts;
  }

  onApplicationBootstrap(): void {
    this.#lookOnce();
    this.#timer = setInterval(() => this.#lookOnce(), this.#parts.everyMs);
    this.#timer.unref();
  }

  async onApplicationShutdown(): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking;
  }

  /** Looks which shares are drained. Never throws: what was known before holds. */
  async look(): Promise<void> {
    const { drains, health, logger } = this.#parts;
    try {
      health.withhold((await drains.list()).map(({ share }) => share));
      this.#isFailing = false;
    } catch (error) {
      if (!this.#isFailing) logger.warn({ error }, 'it could not be looked which regions are drained; what was known before holds');
      this.#isFailing = true;
    }
  }

  #lookOnce(): void {
    this.#looking ??= this.look().finally(() => {
      this.#looking = undefined;
    });
  }
}
