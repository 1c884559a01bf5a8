import { type Clock, jitteredWaitMs, type RetryPolicy } from '#clock';

/** What {@link Repeating} needs. */
export interface RepeatingOptions {
  readonly clock: Clock;
  /** Rest after a step that succeeded. */
  readonly restMs: number;
  /** Rest after steps that failed in a row; its `triesMax` is not looked at. */
  readonly backoff: RetryPolicy;
  readonly step: () => Promise<void>;
  /** Hears of every step that failed. */
  readonly onFailure: (error: unknown) => void;
}

/** Does a step over and over, one at a time, until it is stopped. A nudge ends the rest; a failure lengthens it. */
export class Repeating {
  readonly #options: RepeatingOptions;
  #running: Promise<void> | undefined;
  #wake: (() => void) | undefined;
  #nudged = false;
  #stopped = false;

  constructor(options: RepeatingOptions) {
    this.#options = options;
  }

  /** Begins. Repeating it changes nothing. */
  start(): void {
    this.#running ??= this.#run();
  }

  /** Has the next step begin at once, also when one is running now. */
  nudge(): void {
    this.#nudged = true;
    this.#wake?.();
  }

  /** Lets the step that is running end, and does none after it. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#wake?.();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { restMs, backoff, step, onFailure } = this.#options;
    let failures = 0;
    while (!this.#stopped) {
      this.#nudged = false;
      try {
        await step();
        failures = 0;
      } catch (error) {
        failures += 1;
        onFailure(error);
      }
      await this.#rest(failures === 0 ? restMs : backoff.firstWaitMs / 2 + jitteredWaitMs(backoff, failures, Math.random()));
    }
  }

  async #rest(ms: number): Promise<void> {
    if (this.#nudged || this.#stopped) return;
    const resting = new AbortController();
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    await Promise.race([woken, this.#options.clock.sleep(ms, resting.signal).catch(() => undefined)]);
    this.#wake = undefined;
    resting.abort();
  }
}
