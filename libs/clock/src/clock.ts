import { setTimeout as delay } from 'node:timers/promises';

/** What time it is, and how to wait. Deciding code takes `now` as an argument instead. */
export abstract class Clock {
  /** This instant, in whole milliseconds since the epoch. */
  abstract now(): Date;

  /**
   * Waits `ms` milliseconds.
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
      await delay(ms, undefined, signal === undefined ? {} : { signal });
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
