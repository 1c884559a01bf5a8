import type { Clock } from '#clock';
import { SECOND_MS } from '#quantities';

/** What a bucket may have saved up, as the time it takes to fill: short, so that a link is never faster than it is. */
const SAVED_MS = 20;

/**
 * Lets so many units through per second, in the order in which they are asked for. A caller waits until its own last unit is through, as the last
 * byte of a transfer over a link arrives when all before it have.
 */
export class TokenBucket {
  readonly #perSecond: number;
  readonly #clock: Clock;
  /** When everything taken so far is through. */
  #freeAt = Number.NEGATIVE_INFINITY;

  /** @param perSecond more than 0 */
  constructor(perSecond: number, clock: Clock) {
    this.#perSecond = perSecond;
    this.#clock = clock;
  }

  /** Takes `count` units; returns when they are through. */
  async take(count: number): Promise<void> {
    const now = this.#clock.now().getTime();
    this.#freeAt = Math.max(this.#freeAt, now - SAVED_MS) + (count * SECOND_MS) / this.#perSecond;
    const wait = this.#freeAt - now;
    if (wait > 0) await this.#clock.sleep(wait);
  }

  /** Takes a unit if that needs no wait; false where it would. */
  tryTake(savedMax: number): boolean {
    const now = this.#clock.now().getTime();
    const from = Math.max(this.#freeAt, now - (savedMax * SECOND_MS) / this.#perSecond);
    if (from + SECOND_MS / this.#perSecond > now) return false;
    this.#freeAt = from + SECOND_MS / this.#perSecond;
    return true;
  }
}
