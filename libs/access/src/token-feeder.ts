import type { Clock } from '#clock';

import type { ServiceTokenStore, TokenReading } from './service-token-store.js';
import type { TokenBook } from './token-book.js';
import type { TokenSnapshot } from './token-snapshot.js';

/**
 * How often the store's version is looked at: what was revoked anywhere opens nothing in any process that reaches the database within this, and the time of two
 * short queries. Not by the change feed, which a long transaction holds back.
 */
export const TOKEN_LOOK_EVERY_MS = 250;
/** How often uses are written: the exactness of `lastUsedAt`. */
export const TOKEN_USES_EVERY_MS = 60_000;

/** How often the snapshot is written while nothing changes, so that it says how fresh it is; at once when something does. */
export const TOKEN_SNAPSHOT_EVERY_MS = 60_000;

/** What a {@link TokenFeeder} is made with. */
export interface TokenFeederOptions {
  readonly store: ServiceTokenStore;
  readonly book: TokenBook;
  readonly clock: Clock;
  /** Default {@link TOKEN_LOOK_EVERY_MS}. */
  readonly everyMs?: number;
  /** Where tokens are kept for a start without the store, and how old they may be then, in milliseconds. Absent: nowhere. */
  readonly snapshot?: { readonly kept: TokenSnapshot; readonly ageMaxMs: number } | undefined;
  /** Hears once whenever looking begins to fail. */
  readonly onFailure: (error: unknown) => void;
}

/** Keeps a token book like its store: looks at the version, reads the tokens when it is another one, and writes uses now and then. */
export class TokenFeeder {
  readonly #options: TokenFeederOptions;
  readonly #stopping = new AbortController();
  #reading: TokenReading | undefined;
  #lookedAtMs: number | undefined;
  #usesAtMs: number | undefined;
  #failing = false;
  #saved: { readonly reading: TokenReading; readonly atMs: number } | undefined;
  #lastLook: Promise<void> = Promise.resolve();
  #running: Promise<void> | undefined;

  constructor(options: TokenFeederOptions) {
    this.#options = options;
  }

  /** When the book last agreed with the store, in milliseconds since the epoch; undefined before the first time. */
  get lookedAtMs(): number | undefined {
    return this.#lookedAtMs;
  }

  /** Looks once. What was done to the store before this call is in the book when it returns. @throws what the store throws; the book stays as it was. */
  look(): Promise<void> {
    // One after another, so that no older reading replaces a newer one.
    const looked = this.#lastLook.catch(() => undefined).then(() => this.#lookOnce());
    this.#lastLook = looked;
    return looked;
  }

  async #lookOnce(): Promise<void> {
    const { store, book, clock } = this.#options;
    const version = await store.version();
    if (version !== this.#reading?.version) {
      this.#reading = await store.read();
      book.replace(this.#reading);
    }
    this.#lookedAtMs = clock.now().getTime();
  }

  /** Fills the book for the first time: from the store or, when that cannot be reached, from the snapshot, where it is not too old. Never throws. */
  async fill(): Promise<void> {
    const { snapshot, book, clock } = this.#options;
    await this.#attempt(() => this.look());
    if (this.#reading !== undefined || snapshot === undefined) return;
    const saved = await snapshot.kept.load();
    if (saved === undefined || clock.now().getTime() - saved.at.getTime() > snapshot.ageMaxMs) return;
    book.replace(saved);
    this.#lookedAtMs = saved.at.getTime();
  }

  /** Begins to look, over and over. Repeating it changes nothing. */
  start(): void {
    this.#running ??= this.#lookForever();
  }

  /** Stops after the look that is under way, and writes the uses that are left. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    await this.#attempt(() => this.#writeUses());
  }

  async #lookForever(): Promise<void> {
    const { clock, everyMs = TOKEN_LOOK_EVERY_MS } = this.#options;
    const { signal } = this.#stopping;
    this.#usesAtMs = clock.now().getTime();
    while (!signal.aborted) {
      await this.#attempt(async () => {
        await this.look();
        await this.#save();
        if (clock.now().getTime() - (this.#usesAtMs ?? 0) >= TOKEN_USES_EVERY_MS) await this.#writeUses();
      });
      await clock.sleep(everyMs, signal).catch((reason: unknown) => {
        if (!signal.aborted) throw reason;
      });
    }
  }

  async #save(): Promise<void> {
    const { snapshot, clock } = this.#options;
    const [reading, nowMs] = [this.#reading, clock.now().getTime()];
    if (snapshot === undefined || reading === undefined || (reading === this.#saved?.reading && nowMs - this.#saved.atMs < TOKEN_SNAPSHOT_EVERY_MS)) return;
    // Noted first: a disk that refuses is asked once a minute.
    this.#saved = { reading, atMs: nowMs };
    await snapshot.kept.save({ tokens: reading.tokens, at: new Date(nowMs) });
  }

  async #writeUses(): Promise<void> {
    this.#usesAtMs = this.#options.clock.now().getTime();
    const uses = this.#options.book.takeUses();
    if (uses.size > 0) await this.#options.store.noteUses(uses);
  }

  async #attempt(step: () => Promise<void>): Promise<void> {
    try {
      await step();
      this.#failing = false;
    } catch (error) {
      if (!this.#failing) this.#options.onFailure(error);
      this.#failing = true;
    }
  }
}
