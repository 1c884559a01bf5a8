import type { X509Certificate } from 'node:crypto';

import type { Clock } from '#clock';
import { MINUTE_MS, SECOND_MS } from '#quantities';

import { parseVerificationKeys, type VerificationKey, type VerificationKeys } from './verification-key.js';

/** How old keys may be before they are read again; answers do not wait for that. A key that was withdrawn is believed for this long. */
export const KEYS_FRESH_MS = 10 * MINUTE_MS;
/** How often keys are read again at most, whatever asks for it: a stranger may name a new key in every request. */
export const KEYS_READ_EVERY_MIN_MS = 15 * SECOND_MS;

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
  #generation = 0;
  #readAtMs: number | undefined;
  #reading: Promise<void> | undefined;
  #first: Promise<void> | undefined;

  constructor(options: TokenKeysOptions) {
    this.#options = options;
    this.#bySource = options.sources.map(() => undefined);
  }

  /** Another number after every change of the keys: what was found out by older ones has to be found out again. */
  get generation(): number {
    return this.#generation;
  }

  /** False until every source has been read once: then a key that is not known may be one of a source that is not known yet. */
  get complete(): boolean {
    return this.#bySource.every((keys) => keys !== undefined);
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

  /** Reads the keys when that is due. Only the very first reading is waited for: later ones go on behind the answers, whether they succeed or not. */
  async refresh(): Promise<void> {
    this.#first ??= this.#read();
    await this.#first;
    const ageMs = this.#options.clock.now().getTime() - (this.#readAtMs ?? 0);
    // A clock that was set back makes nothing fresh.
    if (ageMs < 0 || ageMs >= (this.complete ? KEYS_FRESH_MS : KEYS_READ_EVERY_MIN_MS)) void this.#read();
  }

  /** Reads the keys again because one is missing, unless that was done a moment ago. @returns false when it was not done. */
  async readAgain(): Promise<boolean> {
    const nowMs = this.#options.clock.now().getTime();
    if (this.#reading === undefined && this.#readAtMs !== undefined && nowMs - this.#readAtMs < KEYS_READ_EVERY_MIN_MS) return false;
    await this.#read();
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
        if (text === this.#text[place]) return;
        this.#bySource[place] = await parseVerificationKeys(text);
        this.#text[place] = text;
        this.#generation += 1;
      } catch (error) {
        this.#options.onFailure(error);
      }
    }));
  }
}
