import { setImmediate as otherWork } from 'node:timers/promises';

/** Entries worked on between two turns of everything else that the process does: a few milliseconds. */
export const STEPS_BETWEEN_TURNS = 4096;

/**
 * Shares the event loop: long work counts its steps, and gives everything else that the process does its turn when it is due. Asking costs nothing, waiting a
 * turn does: `if (turns.isDue()) await turns.others();`
 */
export class Turns {
  #steps = 0;

  /** Counts a step, or as many as were done at once. @returns true when others are to have their turn. */
  isDue(steps = 1): boolean {
    this.#steps += steps;
    return this.#steps >= STEPS_BETWEEN_TURNS;
  }

  /** Lets everything else that waits for the event loop run. */
  async others(): Promise<void> {
    this.#steps = 0;
    await otherWork();
  }
}
