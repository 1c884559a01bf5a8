import type { Clock } from '#clock';
import { SECOND_MS } from '#quantities';

/**
 * A bucket that holds one call's bytes: within any span of time it lets through at most the rate times the span, and one call. Those who wait are let
 * through in the order in which they came. Of this process alone.
 */
export class ByteRate {
  readonly #bytesPerSecond: number;
  /** How long what was let through so far still takes to pass at the allowed rate, as of `#seenAtMs`. */
  #busyMs = 0;
  #seenAtMs = 0;

  /** @param bytesPerSecond > 0; undefined or infinite: no bound. */
  constructor(bytesPerSecond: number | undefined) {
    this.#bytesPerSecond = bytesPerSecond ?? Number.POSITIVE_INFINITY;
  }

  /**
   * Counts `bytes`, and says how long to wait before they may move. No wait is longer than the bytes let through before justify: a clock that steps back
   * pays nothing off, and adds nothing.
   */
  waitMsFor(bytes: number, now: Date): number {
    if (!Number.isFinite(this.#bytesPerSecond)) return 0;
    const passedMs = Math.max(0, now.getTime() - this.#seenAtMs);
    const waitMs = Math.max(0, this.#busyMs - passedMs);
    this.#seenAtMs = now.getTime();
    this.#busyMs = waitMs + (bytes / this.#bytesPerSecond) * SECOND_MS;
    return waitMs;
  }

  /** Waits until `bytes` may move, and counts them. @throws the signal's reason; the bytes count all the same. */
  async take(bytes: number, clock: Clock, signal?: AbortSignal): Promise<void> {
    const waitMs = this.waitMsFor(bytes, clock.now());
    if (waitMs > 0) await clock.sleep(waitMs, signal);
  }
}
