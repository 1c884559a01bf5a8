import type { Clock } from '#clock';

/** What a {@link BatchFlushing} needs. */
export interface BatchFlushingOptions<Batch> {
  readonly clock: Clock;
  /** How long is collected before it is written. */
  readonly everyMs: number;
  /** Closes what was collected so far as one batch under an id of its own; undefined when that is nothing. */
  readonly close: () => Batch | undefined;
  /** Writes a batch. @returns false when it is not known that it was written: it is offered again, before any other. */
  readonly write: (batch: Batch) => Promise<boolean>;
}

/**
 * Writes what is collected in memory every few seconds, in batches, one after the other. A batch that could not be written, or of which that is not known, is offered again as it is until it is
 * written, so nothing is doubled; what is collected meanwhile is its collector's to bound.
 */
export class BatchFlushing<Batch> {
  readonly #options: BatchFlushingOptions<Batch>;
  readonly #stopping = new AbortController();
  #pending: Batch | undefined;
  #flushing: Promise<boolean> | undefined;
  #loop: Promise<void> | undefined;

  constructor(options: BatchFlushingOptions<Batch>) {
    this.#options = options;
  }

  /** Starts the rhythm. Repeating it changes nothing. */
  start(): void {
    this.#loop ??= this.#flushForever();
  }

  /** Writes what was collected so far; calls at the same time share one attempt. @returns false when something is still waiting. */
  flush(): Promise<boolean> {
    this.#flushing ??= this.#flush().finally(() => {
      this.#flushing = undefined;
    });
    return this.#flushing;
  }

  /** Ends the rhythm and writes what is left, with one attempt. @returns false when that failed: then what is left is lost. */
  async stop(): Promise<boolean> {
    this.#stopping.abort();
    await this.#loop;
    await this.#flushing;
    return this.flush();
  }

  /** First the batch that waits for its answer, then what has been collected since. */
  async #flush(): Promise<boolean> {
    if (this.#pending !== undefined && !(await this.#offer(this.#pending))) return false;
    this.#pending = this.#options.close();
    return this.#pending === undefined || this.#offer(this.#pending);
  }

  async #offer(batch: Batch): Promise<boolean> {
    if (!(await this.#options.write(batch))) return false;
    this.#pending = undefined;
    return true;
  }

  async #flushForever(): Promise<void> {
    const { clock, everyMs } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        await clock.sleep(everyMs, signal);
      } catch (error) {
        if (signal.aborted) return;
        throw error;
      }
      await this.flush();
    }
  }
}
