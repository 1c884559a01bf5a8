import { WriteFence } from '#claims';

import { turnLost } from '../placement-error.js';
import { type PlannerToken, PlannerTurn } from '../planner-turn.js';

/** The planners' turn in memory: for tests and a single process. */
export class MemoryPlannerTurn extends PlannerTurn {
  #fence = 0;
  #held: PlannerToken | undefined;

  async acquire(owner: string, now: Date, leaseMs: number): Promise<PlannerToken | undefined> {
    if (this.#held !== undefined && this.#held.expiresAt > now) return undefined;
    this.#fence += 1;
    this.#held = { fence: String(this.#fence), owner, expiresAt: new Date(now.getTime() + leaseMs) };
    return this.#held;
  }

  async renew(token: PlannerToken, now: Date, leaseMs: number): Promise<PlannerToken | undefined> {
    if (this.#held?.fence !== token.fence) return undefined;
    this.#held = { ...this.#held, expiresAt: new Date(now.getTime() + leaseMs) };
    return this.#held;
  }

  fence(token: PlannerToken): WriteFence {
    const holds = (): boolean => this.#held?.fence === token.fence;
    return new (class extends WriteFence {
      async hold(): Promise<void> {
        if (!holds()) throw turnLost(token.fence);
      }
    })();
  }

  async release(token: PlannerToken): Promise<boolean> {
    if (this.#held?.fence !== token.fence) return false;
    this.#held = undefined;
    return true;
  }
}
