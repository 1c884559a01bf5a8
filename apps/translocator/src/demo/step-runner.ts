import { setTimeout as delay } from 'node:timers/promises';

import { describeError } from '#errors';

/** One step as it went. `detail` says what was seen, or why it did not hold. */
export interface StepResult {
  readonly name: string;
  readonly ok: boolean;
  readonly skipped: boolean;
  readonly seconds: number;
  readonly detail: string;
}

/** Thrown by a step that cannot be taken on this machine. */
export class StepSkipped extends Error {}

/** Runs steps one after the other. After the first that does not hold the others are not reached, and say so. */
export class StepRunner {
  readonly results: StepResult[] = [];
  readonly #onResult: (result: StepResult) => void;
  #failed = false;

  constructor(onResult: (result: StepResult) => void) {
    this.#onResult = onResult;
  }

  /** True while every step held. */
  get holds(): boolean {
    return !this.#failed;
  }

  /** Takes one step; `step` answers what was seen, and throws when it does not hold. */
  async step(name: string, step: () => Promise<string>): Promise<void> {
    const startedAt = performance.now();
    const end = (outcome: Pick<StepResult, 'ok' | 'skipped' | 'detail'>): void => {
      const result = { name, ...outcome, seconds: Math.round(performance.now() - startedAt) / 1000 };
      this.results.push(result);
      this.#onResult(result);
    };
    if (this.#failed) return end({ ok: false, skipped: false, detail: 'not reached: an earlier step did not hold' });
    try {
      end({ ok: true, skipped: false, detail: await step() });
    } catch (error) {
      if (error instanceof StepSkipped) return end({ ok: false, skipped: true, detail: error.message });
      this.#failed = true;
      end({ ok: false, skipped: false, detail: describeError(error) });
    }
  }
}

/** How often a condition is looked at. */
const LOOK_EVERY_MS = 100;
/** How long any condition may take to come true; a whole demo is a matter of seconds. */
const WAIT_MAX_MS = 120_000;

/** Waits until `look` answers something. @throws when it does not in time, naming `what` was waited for. */
export async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  const endsAt = performance.now() + WAIT_MAX_MS;
  for (;;) {
    const seen = await look();
    if (seen !== undefined) return seen;
    if (performance.now() > endsAt) throw new Error(`${what} did not happen within ${WAIT_MAX_MS / 1000} s`);
    await delay(LOOK_EVERY_MS);
  }
}

/** @throws with `message` unless `condition` holds. */
export function require(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(message);
}
