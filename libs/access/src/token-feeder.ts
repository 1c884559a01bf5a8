import type { Clock } from '#clock';

import type { ServiceTokenStore } from './service-token-store.js';
import type { TokenBook } from './token-book.js';

/**
 * How often the store's version is looked at: what was revoked anywhere opens nothing in any process that reaches the database within this, and the time of two
 * short queries. Not by the change feed, which a long transaction holds back.
 */
export const TOKEN_LOOK_EVERY_MS = 250;
/** How often uses are written: the exactness of `lastUsedAt`. */
export const TOKEN_USES_EVERY_MS = 60_000;

/** What a {@link TokenFeeder} is made with. */
export interface TokenFeederOptions {
  readonly store: ServiceTokenStore;
  readonly book: TokenBook;
  readonly clock: Clock;
  /** Default {@link TOKEN_LOOK_EVERY_MS}. */
  readonly everyMs?: number;
  /** Hears once whenever looking begins to fail. */
  readonly onFailure: (error: unknown) => void;
}

/** Keeps a token book like its store: looks at the version, reads the tokens when it is another one, and writes uses now and then. */
export class TokenFeeder {
  readonly #options: TokenFeederOptions;
  readonly #stopping = new AbortController();
  #version: string | undefined;
  #lookedAtMs: number | undefined;
  #usesAtMs: number | undefined;
  #failing = false;
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
    if (version !== this.#version) {
      const reading = await store.read();
      book.replace(reading);
      this.#version = reading.version;
    }
    this.#lookedAtMs = clock.now().getTime();
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
        if (clock.now().getTime() - (this.#usesAtMs ?? 0) >= TOKEN_USES_EVERY_MS) await this.#writeUses();
      });
      await clock.sleep(everyMs, signal).catch((reason: unknown) => {
        if (!signal.aborted) throw reason;
      });
    }
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
