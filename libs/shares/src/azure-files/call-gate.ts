import type { Clock } from '#clock';

import { AdaptiveWindow, type WindowBounds } from '../adaptive-window.js';

/** How a call through a gate is to be understood. */
export interface GatedCall {
  /** Whether it moves about a piece of bytes. */
  readonly bulk: boolean;
  /** Whether a failure means that too much is asked of the other side. */
  readonly isThrottling: (error: unknown) => boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Lets as many calls run at a time as the other side bears, which it finds out; the others wait in order. The SDK's own connections have no bound. */
export class CallGate {
  readonly #window: AdaptiveWindow;
  readonly #clock: Clock;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(bounds: WindowBounds, clock: Clock) {
    this.#window = new AdaptiveWindow(bounds);
    this.#clock = clock;
  }

  /** Calls that may run at a time now. */
  get width(): number {
    return this.#window.size;
  }

  /** Runs `call` when there is room. @throws the signal's reason when it aborts while waiting, and whatever `call` throws. */
  async run<T>(call: () => Promise<T>, { bulk, isThrottling, signal }: GatedCall): Promise<T> {
    signal?.throwIfAborted();
    if (this.#running >= this.#window.size || this.#waiting.length > 0) await this.#turn(signal);
    else this.#running += 1;
    const begun = { startedAtMs: this.#clock.now().getTime(), windowFull: this.#running >= this.#window.size, bulk };
    try {
      const answer = await call();
      this.#window.served({ ...begun, endedAtMs: this.#clock.now().getTime() });
      return answer;
    } catch (error) {
      if (isThrottling(error)) this.#window.throttled({ ...begun, endedAtMs: this.#clock.now().getTime() });
      throw error;
    } finally {
      this.#running -= 1;
      this.#letIn();
    }
  }

  #letIn(): void {
    while (this.#running < this.#window.size) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#running += 1;
      next();
    }
  }

  #turn(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const start = (): void => {
        signal?.removeEventListener('abort', leave);
        resolve();
      };
      const leave = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(start), 1);
        reject(signal?.reason);
      };
      signal?.addEventListener('abort', leave, { once: true });
      this.#waiting.push(start);
    });
  }
}
