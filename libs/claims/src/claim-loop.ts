import { type Clock, jitteredWaitMs, type RetryPolicy } from '#clock';
import { describeError } from '#errors';

import type { Claimed, ClaimSource } from './claim.js';

/** What became of one piece of work, for logs and metrics. */
export type WorkOutcome = 'settled' | 'postponed' | 'released' | 'lost';

/** What a {@link ClaimLoop} needs. */
export interface ClaimLoopOptions<Item> {
  /** Names the loop in logs and metrics: `copy`, `expand`. */
  readonly name: string;
  readonly owner: string;
  readonly source: ClaimSource<Item>;
  /** Does one piece of work and settles it in its store. Throwing postpones it; `signal` aborts at shutdown or when the claim is lost. */
  readonly work: (claimed: Claimed<Item>, signal: AbortSignal) => Promise<void>;
  readonly clock: Clock;
  /** Pieces of work at the same time; from 1. */
  readonly concurrency: number;
  /** How long a claim holds without renewal; it is renewed after a third of it. */
  readonly leaseMs: number;
  /** How long an idle loop waits before it looks again, unless it is nudged. */
  readonly pollMs: number;
  /** How long failed work waits, by its attempt. Its `triesMax` is not looked at: stored work is never dropped by the loop. */
  readonly backoff: RetryPolicy;
  /** Hears of every piece of work that ended, and of every failure to claim or renew. */
  readonly onEnd?: (end: { readonly item?: Item; readonly outcome: WorkOutcome; readonly seconds: number; readonly error?: unknown }) => void;
}

interface Running {
  readonly claimId: string;
  readonly abort: AbortController;
  readonly done: Promise<void>;
}

const LOST = Symbol('claim lost');
const STOPPED = Symbol('loop stopped');

/**
 * Claims work of one kind, runs it with bounded concurrency, keeps its claims alive, and gives back what fails.
 * Stopping lets running work finish for a while, then aborts it and releases its claims, so that another worker goes on at once.
 */
export class ClaimLoop<Item> {
  readonly #options: ClaimLoopOptions<Item>;
  readonly #running = new Map<string, Running>();
  readonly #stopping = new AbortController();
  readonly #ended = new AbortController();
  #wake: (() => void) | undefined;
  #nudged = false;
  #loops: Promise<unknown> | undefined;

  constructor(options: ClaimLoopOptions<Item>) {
    this.#options = options;
  }

  /** How many pieces of work are running. */
  get runningCount(): number {
    return this.#running.size;
  }

  /** Starts claiming. Repeating it changes nothing. */
  start(): void {
    this.#loops ??= Promise.all([this.#claimForever(), this.#renewForever()]);
  }

  /** Looks for work at once instead of at the next poll. */
  nudge(): void {
    this.#nudged = true;
    this.#wake?.();
  }

  /** Stops claiming, waits up to `graceMs` for running work, then aborts what is left and waits until it has been given back. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping.abort(STOPPED);
    this.#wake?.();
    const all = Promise.all([...this.#running.values()].map((running) => running.done));
    const graceEnds = new AbortController();
    await Promise.race([all, slept(this.#options.clock, graceMs, graceEnds.signal)]);
    graceEnds.abort();
    for (const running of this.#running.values()) running.abort.abort(STOPPED);
    await all;
    this.#ended.abort();
    await this.#loops;
  }

  async #claimForever(): Promise<void> {
    const { source, owner, clock, concurrency, leaseMs } = this.#options;
    while (!this.#stopping.signal.aborted) {
      this.#nudged = false;
      let claimedCount = 0;
      const limit = concurrency - this.#running.size;
      if (limit > 0) {
        try {
          const claimed = await source.claim({ owner, limit, now: clock.now(), leaseMs });
          claimedCount = claimed.length;
          for (const each of claimed) this.#begin(each);
        } catch (error) {
          this.#options.onEnd?.({ outcome: 'lost', seconds: 0, error });
        }
      }
      if (claimedCount === 0 || this.#running.size >= concurrency) await this.#rest();
    }
  }

  /** Waits for the poll interval, a nudge, the end of some work, or the stop. */
  async #rest(): Promise<void> {
    if (this.#nudged && this.#running.size < this.#options.concurrency) return;
    const resting = new AbortController();
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    if (!this.#stopping.signal.aborted) {
      await Promise.race([woken, slept(this.#options.clock, this.#options.pollMs, resting.signal)]);
    }
    this.#wake = undefined;
    resting.abort();
  }

  #begin(claimed: Claimed<Item>): void {
    const abort = new AbortController();
    const done = this.#run(claimed, abort).finally(() => {
      this.#running.delete(claimed.claim.id);
      this.#wake?.();
    });
    this.#running.set(claimed.claim.id, { claimId: claimed.claim.id, abort, done });
  }

  async #run(claimed: Claimed<Item>, abort: AbortController): Promise<void> {
    const { clock, work, onEnd } = this.#options;
    const startedAt = clock.now().getTime();
    const end = (outcome: WorkOutcome, error?: unknown): void =>
      onEnd?.({ item: claimed.item, outcome, seconds: (clock.now().getTime() - startedAt) / 1000, ...(error === undefined ? {} : { error }) });
    try {
      await work(claimed, abort.signal);
      end('settled');
    } catch (error) {
      try {
        end(await this.#giveBack(claimed, abort.signal.reason, error), error);
      } catch (giveBackError) {
        // The database did not take it back; the claim runs out by itself and another worker goes on.
        end('lost', giveBackError);
      }
    }
  }

  async #giveBack(claimed: Claimed<Item>, abortReason: unknown, error: unknown): Promise<WorkOutcome> {
    const { source, backoff, clock } = this.#options;
    if (abortReason === LOST) return 'lost';
    if (abortReason === STOPPED) return (await source.release(claimed.claim.id)) ? 'released' : 'lost';
    const waitMs = backoff.firstWaitMs / 2 + jitteredWaitMs(backoff, claimed.claim.attempt, Math.random());
    return (await source.postpone(claimed.claim.id, { now: clock.now(), waitMs, reason: describeError(error) })) ? 'postponed' : 'lost';
  }

  /** Until the last work has ended, also while the loop is stopping: work that may still finish must not lose its claim meanwhile. */
  async #renewForever(): Promise<void> {
    const { source, clock, leaseMs } = this.#options;
    while (await slept(clock, leaseMs / 3, this.#ended.signal)) {
      const held = [...this.#running.keys()];
      if (held.length === 0) continue;
      try {
        const kept = await source.renew(held, clock.now(), leaseMs);
        for (const id of held) if (!kept.has(id)) this.#running.get(id)?.abort.abort(LOST);
      } catch (error) {
        // Work goes on: the claim may still be renewed in time, and settling is fenced by its id.
        this.#options.onEnd?.({ outcome: 'lost', seconds: 0, error });
      }
    }
  }
}

/** Waits; false when `signal` ended the wait. */
async function slept(clock: Clock, ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    await clock.sleep(ms, signal);
    return true;
  } catch (error) {
    if (signal.aborted) return false;
    throw error;
  }
}
