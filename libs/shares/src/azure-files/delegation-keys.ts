import type { UserDelegationKey } from '@azure/storage-file-share';

import { after, type Clock } from '#clock';
import { DAY_MS, MINUTE_MS } from '#quantities';

/** How long a user delegation key holds: the service gives at most seven days. */
const KEY_LIFE_MS = 6 * DAY_MS;
/** A key holds from a little before it was asked for, so that a service whose clock is behind takes what it signs. */
const KEY_EARLIER_MS = 15 * MINUTE_MS;
/** After a failed renewal, how long until the next one: what there is holds for days. */
const RENEWAL_PAUSE_MS = MINUTE_MS;

/** Asks the service for a key. */
export type FetchDelegationKey = (startsOn: Date, expiresOn: Date) => Promise<UserDelegationKey>;

/**
 * The user delegation key of one account: fetched once for all who need it, and renewed when half its life is over, while the old one still serves. A
 * key is as good as the identity that asked for it, and never leaves this process.
 */
export class DelegationKeys {
  readonly #fetch: FetchDelegationKey;
  readonly #clock: Clock;
  #key: UserDelegationKey | undefined;
  #fetching: Promise<UserDelegationKey> | undefined;
  #notBeforeMs = Number.NEGATIVE_INFINITY;

  constructor(fetch: FetchDelegationKey, clock: Clock) {
    this.#fetch = fetch;
    this.#clock = clock;
  }

  /** The key, unless it is over or there was none yet; returns at once. */
  get current(): UserDelegationKey | undefined {
    return this.#key !== undefined && this.#key.signedExpiresOn > this.#clock.now() ? this.#key : undefined;
  }

  /** Fetches a key where there is none, and renews one of which half is over. @throws what fetching throws, unless the old key still serves. */
  async renew(): Promise<void> {
    const { current } = this;
    const now = this.#clock.now();
    if (current !== undefined && (after(now, KEY_LIFE_MS / 2) < current.signedExpiresOn || now.getTime() < this.#notBeforeMs)) return;
    try {
      await (this.#fetching ??= this.#fetchOne(now).finally(() => (this.#fetching = undefined)));
    } catch (error) {
      this.#notBeforeMs = this.#clock.now().getTime() + RENEWAL_PAUSE_MS;
      if (this.current === undefined) throw error;
    }
  }

  async #fetchOne(now: Date): Promise<UserDelegationKey> {
    this.#key = await this.#fetch(after(now, -KEY_EARLIER_MS), after(now, KEY_LIFE_MS));
    return this.#key;
  }
}
