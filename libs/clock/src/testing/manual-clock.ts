import { Clock } from '../clock.js';

interface Sleeper {
  wakesAt: number;
  readonly wake: () => void;
}

/**
 * A clock that stands still until a test moves it. Sleepers wake, in order of their time, when it is moved past them; as with the machine's clock, they
 * sleep as long as they were told, whatever is set back meanwhile.
 */
export class ManualClock extends Clock {
  #nowMs: number;
  #sleepers: Sleeper[] = [];

  constructor(start: Date | string = '2026-01-01T00:00:00.000Z') {
    super();
    this.#nowMs = new Date(start).getTime();
  }

  now(): Date {
    return new Date(this.#nowMs);
  }

  /** How many sleeps are under way. */
  get sleeperCount(): number {
    return this.#sleepers.length;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason);
      const sleeper = { wakesAt: this.#nowMs + ms, wake: resolve };
      this.#sleepers.push(sleeper);
      signal?.addEventListener('abort', () => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper);
        reject(signal.reason);
      }, { once: true });
    });
  }

  /** Sets the clock back by `ms`, as an operator or a time server may. Nobody wakes, or sleeps any longer. */
  stepBack(ms: number): void {
    this.#nowMs -= ms;
    for (const sleeper of this.#sleepers) sleeper.wakesAt -= ms;
  }

  /** Moves time forward by `ms` and wakes every sleeper whose time has come. */
  async advance(ms: number): Promise<void> {
    this.#nowMs += ms;
    const due = this.#sleepers.filter((sleeper) => sleeper.wakesAt <= this.#nowMs).toSorted((a, b) => a.wakesAt - b.wakesAt);
    this.#sleepers = this.#sleepers.filter((sleeper) => !due.includes(sleeper));
    for (const sleeper of due) {
      sleeper.wake();
      await Promise.resolve();
    }
  }
}
