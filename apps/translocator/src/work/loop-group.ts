import type { BeforeApplicationShutdown, OnApplicationBootstrap, OnApplicationShutdown } from '@nestjs/common';

import type { ClaimLoop } from '#claims';

/** Loops that run while the service runs, and are given a grace time to finish when it stops: the same time for all groups of a process. */
export class LoopGroup implements OnApplicationBootstrap, BeforeApplicationShutdown, OnApplicationShutdown {
  readonly #loops: readonly Pick<ClaimLoop<unknown>, 'start' | 'stop'>[];
  readonly #graceMs: number;
  #stopping: Promise<unknown> | undefined;

  constructor(loops: readonly Pick<ClaimLoop<unknown>, 'start' | 'stop'>[], graceMs: number) {
    this.#loops = loops;
    this.#graceMs = graceMs;
  }

  onApplicationBootstrap(): void {
    for (const loop of this.#loops) loop.start();
  }

  /** Begins to stop and returns: every group claims nothing more from here on, and none waits for another. */
  beforeApplicationShutdown(): void {
    this.#stopping = Promise.all(this.#loops.map((loop) => loop.stop(this.#graceMs)));
  }

  async onApplicationShutdown(): Promise<void> {
    await this.#stopping;
  }
}
