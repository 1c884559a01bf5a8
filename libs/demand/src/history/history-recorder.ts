import { randomUUID } from 'node:crypto';

import type { Clock } from '#clock';

import { BATCH_COUNTS_MAX, demandKeyText } from '../demand-store.js';
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
  readonly #stopping = new AbortController();
  #totals = new Map<string, DemandKey & { pulls: number }>();
  #lines: ToldPull[] = [];
  #pending: HistoryBatch | undefined;
  #loop: Promise<void> | undefined;
  #losses = { pulls: 0, lines: 0 };

  constructor(options: HistoryRecorderOptions) {
    this.#options = options;
  }

  /** What had to be let go of since the recorder was made. */
  get losses(): { readonly pulls: number; readonly lines: number } {
    return this.#losses;
  }

  /** Records one pull that was counted. */
  record({ region, repository, image, at, clientHash }: Observation): void {
    const key = { region, repository, image };
    const text = demandKeyText(key);
    const total = this.#totals.get(text);
    if (total !== undefined) total.pulls += 1;
    else if (this.#totals.size < BATCH_COUNTS_MAX) this.#totals.set(text, { ...key, pulls: 1 });
    else this.#losses.pulls += 1;
    if (!this.#options.tell) return;
    if (this.#lines.length < HISTORY_LINES_MAX) this.#lines.push({ ...key, at, client: clientHash ?? 'unknown' });
    else this.#losses.lines += 1;
  }

  /** Starts writing every `flushEveryMs`. Repeating it changes nothing. */
  start(): void {
    this.#loop ??= this.#flushForever();
  }

  /** Ends the rhythm and writes what is left, with one attempt. @returns false when that failed: then what is left is lost. */
  async stop(): Promise<boolean> {
    this.#stopping.abort();
    await this.#loop;
    return this.flush();
  }

  /** Writes what was recorded so far. @returns false when something is still waiting, because the history failed. */
  async flush(): Promise<boolean> {
    const { clock } = this.#options;
    if (this.#pending !== undefined && !(await this.#offer(this.#pending))) return false;
    if (this.#totals.size === 0 && this.#lines.length === 0) return true;
    this.#pending = { batchId: randomUUID(), closedAt: clock.now(), totals: [...this.#totals.values()], lines: this.#lines };
    this.#totals = new Map();
    this.#lines = [];
    return this.#offer(this.#pending);
  }

  async #offer(batch: HistoryBatch): Promise<boolean> {
    const { history, clock, onFailure } = this.#options;
    try {
      await history.keep(batch, clock.now());
    } catch (error) {
      onFailure(error);
      return false;
    }
    this.#pending = undefined;
    return true;
  }

  async #flushForever(): Promise<void> {
    const { clock, flushEveryMs } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        await clock.sleep(flushEveryMs, signal);
      } catch (error) {
        if (signal.aborted) return;
        throw error;
      }
      await this.flush();
    }
  }
}
