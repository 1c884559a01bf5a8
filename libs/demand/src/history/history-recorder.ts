import { randomUUID } from 'node:crypto';

import type { Clock } from '#clock';

import { BatchFlushing } from '../batch-flushing.js';
import { DemandKeyMap } from '../demand-key-map.js';
import { BATCH_COUNTS_MAX } from '../demand-store.js';
import type { DemandKey, Observation } from '../observation.js';
import { HISTORY_LINES_MAX, type HistoryBatch, type PullHistory, type ToldPull } from './pull-history.js';

/** What a {@link HistoryRecorder} needs. */
export interface HistoryRecorderOptions {
  readonly history: PullHistory;
  readonly clock: Clock;
  /** How long pulls are collected before they are written. */
  readonly flushEveryMs: number;
  /** Whether pulls are told one by one, and not only counted. */
  readonly tell: boolean;
  /** Hears of every attempt that failed; the batch is kept for the next one. */
  readonly onFailure: (error: unknown) => void;
}

/**
 * Carries counted pulls to the history. Recording never waits. A batch of which it is not known whether it was kept is offered again under its own id. Bounded: images beyond `BATCH_COUNTS_MAX`
 * are not counted, pulls beyond {@link HISTORY_LINES_MAX} not told, until the next batch; how many of each is in {@link losses}.
 */
export class HistoryRecorder {
  readonly #options: HistoryRecorderOptions;
  readonly #flushing: BatchFlushing<HistoryBatch>;
  #totals = new DemandKeyMap<DemandKey & { pulls: number }>();
  #lines: ToldPull[] = [];
  #losses = { pulls: 0, lines: 0 };

  constructor(options: HistoryRecorderOptions) {
    const { clock, flushEveryMs: everyMs } = options;
    this.#options = options;
    this.#flushing = new BatchFlushing({ clock, everyMs, close: () => this.#close(), write: (batch) => this.#keep(batch) });
  }

  /** What had to be let go of since the recorder was made. */
  get losses(): { readonly pulls: number; readonly lines: number } {
    return this.#losses;
  }

  /** Records one pull that was counted. */
  record({ region, repository, image, at, clientHash }: Observation): void {
    const key = { region, repository, image };
    const total = this.#totals.get(key);
    if (total !== undefined) total.pulls += 1;
    else if (this.#totals.size < BATCH_COUNTS_MAX) this.#totals.add(key, { region, repository, image, pulls: 1 });
    else this.#losses.pulls += 1;
    if (!this.#options.tell) return;
    if (this.#lines.length < HISTORY_LINES_MAX) this.#lines.push({ ...key, at, client: clientHash ?? 'unknown' });
    else this.#losses.lines += 1;
  }

  /** Starts writing every `flushEveryMs`. Repeating it changes nothing. */
  start(): void {
    this.#flushing.start();
  }

  /** Ends the rhythm and writes what is left, with one attempt. @returns false when that failed: then what is left is lost. */
  stop(): Promise<boolean> {
    return this.#flushing.stop();
  }

  /** Writes what was recorded so far; calls at the same time share one attempt. @returns false when something is still waiting, because the history failed. */
  flush(): Promise<boolean> {
    return this.#flushing.flush();
  }

  #close(): HistoryBatch | undefined {
    if (this.#totals.size === 0 && this.#lines.length === 0) return undefined;
    const batch = { batchId: randomUUID(), closedAt: this.#options.clock.now(), totals: this.#totals.values(), lines: this.#lines };
    this.#totals = new DemandKeyMap();
    this.#lines = [];
    return batch;
  }

  async #keep(batch: HistoryBatch): Promise<boolean> {
    const { history, clock, onFailure } = this.#options;
    try {
      await history.keep(batch, clock.now());
    } catch (error) {
      onFailure(error);
      return false;
    }
    return true;
  }
}
