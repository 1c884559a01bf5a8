import type { OnApplicationBootstrap, OnApplicationShutdown } from '@nestjs/common';

import type { ClaimLoop } from '#claims';

/** Loops that run while the service runs, and are given a grace time to finish when it stops. */
export class LoopGroup implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #loops: readonly Pick<ClaimLoop<unknown>, 'start' | 'stop'>[];
  readonly #graceMs: number;

  constructor(loops: readonly Pick<ClaimLoop<unknown>, 'start' | 'stop'>[], graceMs: number) {
    this.#loops = loops;
    this.#graceMs = graceMs;
  }

  onApplicationBootstrap(): void {
    for (const loop of this.#loops) loop.start();
  }

  async onApplicationShutdown(): Promise<void> {
    await Promise.all(this.#loops.map((loop) => loop.stop(this.#graceMs)));
  }
}
