import type { OnApplicationBootstrap, OnApplicationShutdown } from '@nestjs/common';

import { MINUTE_MS } from '#quantities';
import type { Share } from '#shares';
import type { Logger } from '#telemetry';

/** How often it is looked whether what grants are signed with is half over: it holds for days. */
const LOOK_EVERY_MS = 5 * MINUTE_MS;

/** Renews what the shares sign grants with, in every role: lookups hand mounts out, and may be asked for none for days. */
export class GrantRenewal implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #shares: readonly Share[];
  readonly #logger: Logger;
  #timer: NodeJS.Timeout | undefined;

  constructor(shares: Iterable<Share>, logger: Logger) {
    this.#shares = [...shares];
    this.#logger = logger;
  }

  onApplicationBootstrap(): void {
    this.#timer = setInterval(() => void this.renew(), LOOK_EVERY_MS);
    this.#timer.unref();
  }

  onApplicationShutdown(): void {
    clearInterval(this.#timer);
  }

  /** Looks at all shares once. A share that cannot renew is told to the log; mounts of it are without https when what it has is over. */
  async renew(): Promise<void> {
    const renewals = this.#shares.map((share) =>
      share.renewGrants().catch((error: unknown) => this.#logger.error({ error, share: share.name }, 'there is nothing to sign grants with: nodes get no https mounts of this share')),
    );
    await Promise.all(renewals);
  }
}
