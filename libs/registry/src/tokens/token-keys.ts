import type { X509Certificate } from 'node:crypto';

import type { Clock } from '#clock';
import { MINUTE_MS, SECOND_MS } from '#quantities';

import { parseVerificationKeys, type VerificationKey, type VerificationKeys } from './verification-key.js';

/** How old keys may be before they are read again; answers do not wait for that. A key that was withdrawn is believed for this long. */
export const KEYS_FRESH_MS = 10 * MINUTE_MS;
/** How long after a reading that failed, or did not find all sources, keys are read again. */
export const KEYS_READ_EVERY_MIN_MS = 15 * SECOND_MS;
/** How often keys are read because a token names one that is not known, at most: a rotation is seen within this time, and a stranger may name a new key in every request. */
export const KEYS_MISSED_EVERY_MIN_MS = 2 * SECOND_MS;

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
  /** When keys were last read because one was missing. */
  #missedAtMs: number | undefined;
  #readings = 0;
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

  /** How many readings have begun. */
  get readings(): number {
    return this.#readings;
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
    if (!this.#isWithin(this.settled ? KEYS_FRESH_MS : KEYS_READ_EVERY_MIN_MS, this.#readAtMs)) void this.#read();
  }

  /**
   * Reads the keys again because one is missing that a token names, which came when there were `seen` {@link readings}: unless that was done within {@link KEYS_MISSED_EVERY_MIN_MS}, for this token or
   * another. However short a time ago keys were read for another reason, they may have changed since. A reading that is under way is waited for first, and may have begun too early: whoever misses the
   * key still calls again. Waits no longer than `waitMaxMs`. @returns false when there is nothing new to look at.
   */
  async readAgain(seen: number, waitMaxMs = KEYS_WAIT_MAX_MS): Promise<boolean> {
    if (this.#reading !== undefined) {
      await noLonger(this.#reading, waitMaxMs);
      return true;
    }
    // What was read after the token had come has all that the token can be signed with.
    if (this.#readings > seen) return true;
    const waitsFor = [this.#missedAtMs, this.#failing.size > 0 ? this.#readAtMs : undefined];
    if (waitsFor.some((atMs) => this.#isWithin(KEYS_MISSED_EVERY_MIN_MS, atMs))) return false;
    this.#missedAtMs = this.#options.clock.now().getTime();
    await noLonger(this.#read(), waitMaxMs);
    return true;
  }

  /** Whether something was less than `ms` ago; a clock that was set back makes nothing recent. */
  #isWithin(ms: number, atMs: number | undefined): boolean {
    const ageMs = this.#options.clock.now().getTime() - (atMs ?? Number.NEGATIVE_INFINITY);
    return ageMs >= 0 && ageMs < ms;
  }

  #read(): Promise<void> {
    this.#reading ??= this.#readAll().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #readAll(): Promise<void> {
    this.#readings += 1;
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

async function noLonger(reading: Promise<void>, waitMaxMs = KEYS_WAIT_MAX_MS): Promise<void> {
  const { promise: enough, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, waitMaxMs);
  await Promise.race([reading, enough]);
  clearTimeout(timer);
}
