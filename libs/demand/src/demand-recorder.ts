import type { Clock } from '#clock';
import { SECOND_MS } from '#quantities';

import { BatchFlushing } from './batch-flushing.js';
import type { PullVerdict } from './client-limits.js';
import type { DemandBatch, DemandStore, MergeOutcome } from './demand-store.js';
import type { Observation } from './observation.js';
import type { ObservationBuffer } from './observation-buffer.js';

/** How often what was observed is merged where nothing else is configured. */
export const FLUSH_EVERY_DEFAULT_MS = 5 * SECOND_MS;

/** What a {@link DemandRecorder} needs. */
export interface DemandRecorderOptions {
  readonly buffer: ObservationBuffer;
  readonly store: DemandStore;
  readonly clock: Clock;
  /** How long pulls are collected before they are merged. */
  readonly flushEveryMs: number;
  /** Hears of every pull that was counted. */
  readonly onCounted?: (observation: Observation) => void;
  /** Hears of every attempt to merge a batch: its outcome, or the error that keeps it for the next attempt. */
  readonly onFlush?: (flush: { readonly batch: DemandBatch; readonly outcome: MergeOutcome } | { readonly batch: DemandBatch; readonly error: unknown }) => void;
}

/**
 * Carries observed pulls to the store. Observing never waits; merging happens every few seconds. A batch that could not be merged, or of which that
 * is not known, is offered again under its own id until the store has answered, so nothing is doubled; meanwhile the buffer goes on counting up to its
 * bound, so nothing is lost before that. The death of the process loses what was not merged yet: at most one interval while the database answers.
 */
export class DemandRecorder {
  readonly #options: DemandRecorderOptions;
  readonly #flushing: BatchFlushing<DemandBatch>;

  constructor(options: DemandRecorderOptions) {
    const { buffer, clock, flushEveryMs: everyMs } = options;
    this.#options = options;
    this.#flushing = new BatchFlushing({ clock, everyMs, close: () => buffer.drain(clock.now()), write: (batch) => this.#merge(batch) });
  }

  /** Counts one pull. */
  observe(observation: Observation): PullVerdict {
    const { buffer, clock, onCounted } = this.#options;
    const outcome = buffer.observe(observation, clock.now());
    if (outcome === 'counted') onCounted?.(observation);
    return outcome;
  }

  /** Starts merging every `flushEveryMs`. Repeating it changes nothing. */
  start(): void {
    this.#flushing.start();
  }

  /**
   * Merges what has been observed so far; calls at the same time share one attempt.
   * @returns false when something is still waiting to be merged, because the store failed.
   */
  flush(): Promise<boolean> {
    return this.#flushing.flush();
  }

  /** Ends the rhythm and merges what is left, with one attempt. @returns false when that failed: then what is left is lost. */
  stop(): Promise<boolean> {
    return this.#flushing.stop();
  }

  async #merge(batch: DemandBatch): Promise<boolean> {
    const { store, clock, onFlush } = this.#options;
    let outcome: MergeOutcome;
    try {
      outcome = await store.merge(batch, clock.now());
    } catch (error) {
      onFlush?.({ batch, error });
      return false;
    }
    onFlush?.({ batch, outcome });
    return true;
  }
}
