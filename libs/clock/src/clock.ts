import { setTimeout as delay } from 'node:timers/promises';

/** What time it is, and how to wait. Deciding code takes `now` as an argument instead. */
export abstract class Clock {
  /** This instant, in whole milliseconds since the epoch. */
  abstract now(): Date;

  /**
   * Waits `ms` milliseconds, at least one.
   * @throws the signal's reason as soon as `signal` aborts.
   */
  abstract sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** The machine's clock. */
export class SystemClock extends Clock {
  now(): Date {
    return new Date();
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    try {
      // No timer is shorter than a millisecond. Asked for one that is, Node takes a way that it seldom takes, in what makes the timers of all connections: the engine gives up what it has compiled of that.
      await delay(Math.max(1, ms), undefined, signal === undefined ? {} : { signal });
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    }
  }
}

/** `instant` moved by `ms` milliseconds (negative: earlier). */
export function after(instant: Date, ms: number): Date {
  return new Date(instant.getTime() + ms);
}
