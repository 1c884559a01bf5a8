import type { Clock } from '#clock';
import type { Change, ChangeFeed, FeedPosition } from '#database';

/** Changes read at once. */
const BATCH_MAX = 1000;

/** What a {@link FeedFollower} needs. */
export interface FeedFollowerOptions {
  readonly feed: Pick<ChangeFeed, 'end' | 'readAfter'>;
  readonly clock: Clock;
  /** How often the feed is looked at, in milliseconds. */
  readonly everyMs: number;
  /** Hears of every batch; `gap` when some changes were lost and anything may have changed. */
  readonly onChanges: (changes: readonly Change[], gap: boolean) => void;
  readonly onFailure: (error: unknown) => void;
}

/** Watches the change feed from now on, for whoever acts on changes that any process made. What happened while it was not watching is not told. */
export class FeedFollower {
  readonly #options: FeedFollowerOptions;
  readonly #stopping = new AbortController();
  #position: FeedPosition | undefined;
  #following: Promise<void> | undefined;

  constructor(options: FeedFollowerOptions) {
    this.#options = options;
  }

  /** Begins to watch. Repeating it changes nothing. */
  start(): void {
    this.#following ??= this.#followForever();
  }

  /** Stops watching, after the look that is under way. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#following;
  }

  /** Looks once, to the end of the feed. */
  async look(): Promise<void> {
    const { feed, onChanges } = this.#options;
    this.#position ??= await feed.end();
    for (;;) {
      const batch = await feed.readAfter(this.#position, BATCH_MAX);
      this.#position = batch.gap ? await feed.end() : batch.position;
      if (batch.changes.length > 0 || batch.gap) onChanges(batch.changes, batch.gap);
      if (batch.gap || batch.changes.length < BATCH_MAX) return;
    }
  }

  async #followForever(): Promise<void> {
    const { clock, everyMs, onFailure } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        await this.look();
        await clock.sleep(everyMs, signal);
      } catch (error) {
        if (signal.aborted) return;
        onFailure(error);
        await clock.sleep(everyMs, signal).catch((reason: unknown) => {
          if (!signal.aborted) throw reason;
        });
      }
    }
  }
}
