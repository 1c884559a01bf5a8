import { Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';

/** How often the loop is looked at: a turn that is late by less than this is not seen. */
export const LOOK_EVERY_MS = 20;
/** For how long a late turn is held against the loop: load comes in waves, and answers should not flap with each. */
export const LOAD_KEPT_MS = 500;

/** Knows whether this process's event loop keeps up: every so often it asks for a turn, and sees how late it gets it. */
@Injectable()
export class LoopLoad implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #lateMaxMs: number;
  #looks: NodeJS.Timeout | undefined;
  #dueAtMs = 0;
  #loadedUntilMs = Number.NEGATIVE_INFINITY;

  /** @param lateMaxMs turns that are later than this, in milliseconds, mean load. */
  constructor(lateMaxMs: number) {
    this.#lateMaxMs = lateMaxMs;
  }

  /** Whether a turn was too late within the last {@link LOAD_KEPT_MS}, or is by now. */
  get isLoaded(): boolean {
    if (this.#looks === undefined) return false;
    const nowMs = performance.now();
    return nowMs < this.#loadedUntilMs || nowMs - this.#dueAtMs > this.#lateMaxMs;
  }

  onApplicationBootstrap(): void {
    this.#dueAtMs = performance.now() + LOOK_EVERY_MS;
    this.#looks ??= setInterval(() => {
      const nowMs = performance.now();
      if (nowMs - this.#dueAtMs > this.#lateMaxMs) this.#loadedUntilMs = nowMs + LOAD_KEPT_MS;
      this.#dueAtMs = nowMs + LOOK_EVERY_MS;
    }, LOOK_EVERY_MS).unref();
  }

  onApplicationShutdown(): void {
    clearInterval(this.#looks);
    this.#looks = undefined;
  }
}
