import type { X509Certificate } from 'node:crypto';

import type { Clock } from '#clock';
import { MINUTE_MS, SECOND_MS } from '#quantities';

import { parseVerificationKeys, type VerificationKey, type VerificationKeys } from './verification-key.js';

/** How old keys may be before they are read again; answers do not wait for that. A key that was withdrawn is believed for this long. */
export const KEYS_FRESH_MS = 10 * MINUTE_MS;
/** How often keys are read again at most, whatever asks for it: a stranger may name a new key in every request. */
export const KEYS_READ_EVERY_MIN_MS = 15 * SECOND_MS;

/** How long a pull waits for keys that are being read: whoever has them may be away, and then the registry can still be asked. */
export const KEYS_WAIT_MAX_MS = 20;

/** Where keys come from: the text of a JWK set or of PEM blocks, as it is now. */
export type KeyText = () => Promise<string>;

/** What {@link TokenKeys} are made with. */
export interface TokenKeysOptions {
  readonly sources: readonly KeyText[];
  readonly clock: Clock;
  /** Hears of every reading that failed: the last good keys of that source stay. */
  readonly onFailure: (error: unknown) => void;
}

/** The keys of all sources together, kept in memory: read when they are first needed, again now and then, and when a token names one that is not known. */
export class TokenKeys {
  readonly #options: TokenKeysOptions;
  readonly #bySource: (VerificationKeys | undefined)[];
  #text: (string | undefined)[] = [];
  readonly #failing = new Set<number>();
  #generation = 0;
  #readAtMs: number | undefined;
  #reading: Promise<void> | undefined;
  #first: Promise<void> | undefined;
  #isRead = false;

  constructor(options: TokenKeysOptions) {
    this.#options = options;
    this.#bySource = options.sources.map(() => undefined);
  }

  /** Another number after every change of the keys: what was found out by older ones has to be found out again. */
  get generation(): number {
    return this.#generation;
  }

  /** Whether these are all keys as far as anybody can know: every source has been read, its last reading did not fail, and none is under way. Otherwise a key that is not known may be a new one. */
  get settled(): boolean {
    return this.#reading === undefined && this.#failing.size === 0 && this.#bySource.every((keys) => keys !== undefined);
  }

  /** The roots of chains. */
  get roots(): readonly X509Certificate[] {
    return this.#bySource.flatMap((keys) => keys?.roots ?? []);
  }

  /** Keys that a `kid` means; all of them without one. */
  find(kid: string | undefined): readonly VerificationKey[] {
    const keys = this.#bySource.flatMap((each) => each?.keys ?? []);
    return kid === undefined ? keys : keys.filter((key) => key.ids.has(kid));
  }

  /** Reads the keys when that is due. Only the very first reading is waited for, and not for long: later ones go on behind the answers, whether they succeed or not. */
  async refresh(): Promise<void> {
    if (this.#first === undefined) {
      this.#first = this.#read();
      void this.#first.then(() => (this.#isRead = true));
    }
    if (!this.#isRead) await noLonger(this.#first);
    const ageMs = this.#options.clock.now().getTime() - (this.#readAtMs ?? 0);
    // A clock that was set back makes nothing fresh.
    if (ageMs < 0 || ageMs >= (this.settled ? KEYS_FRESH_MS : KEYS_READ_EVERY_MIN_MS)) void this.#read();
  }

  /** Reads the keys again because one is missing, unless that was done a moment ago, and waits for it no longer than {@link KEYS_WAIT_MAX_MS}. @returns false when it was not done. */
  async readAgain(): Promise<boolean> {
    const nowMs = this.#options.clock.now().getTime();
    if (this.#reading === undefined && this.#readAtMs !== undefined && nowMs - this.#readAtMs < KEYS_READ_EVERY_MIN_MS) return false;
    await noLonger(this.#read());
    return true;
  }

  #read(): Promise<void> {
    this.#reading ??= this.#readAll().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #readAll(): Promise<void> {
    this.#readAtMs = this.#options.clock.now().getTime();
    await Promise.all(this.#options.sources.map(async (source, place) => {
      try {
        const text = await source();
        this.#failing.delete(place);
        if (text === this.#text[place]) return;
        this.#bySource[place] = await parseVerificationKeys(text);
        this.#text[place] = text;
        this.#generation += 1;
      } catch (error) {
        this.#failing.add(place);
        this.#options.onFailure(error);
      }
    }));
  }
}

async function noLonger(reading: Promise<void>): Promise<void> {
  const { promise: enough, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, KEYS_WAIT_MAX_MS);
  await Promise.race([reading, enough]);
  clearTimeout(timer);
}
