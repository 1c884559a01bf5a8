import type { Clock } from '#clock';
import { DAY_MS, MiB } from '#quantities';
import { ByteRate } from '#shares';

import type { LinkLedger, LinkName } from './link-ledger.js';
import { ReplicationError } from './replication-error.js';

/** What copies over one link may take; absent means unlimited. */
export interface LinkLimits {
  /** Of this process: several workers share a link's throughput by configuration. > 0. */
  readonly bytesPerSecond?: number;
  /** Of all workers together, from midnight to midnight UTC. */
  readonly bytesPerDay?: number;
}

/** What is reserved of a day at once: a database write for each of these many bytes, and what a crash may leave unused. */
const RESERVED_AT_ONCE_BYTES = 64 * MiB;

/**
 * Keeps copies within what their links may carry (I6): bytes per second by making them wait, bytes per day by refusing. Whoever is refused
 * has to come back the next day. Retried pieces count again: they travel again. What one share may give and take, whatever the link, is bounded
 * by its driver.
 */
export class LinkBudget {
  readonly #limitsOf: (link: LinkName) => LinkLimits;
  readonly #ledger: LinkLedger;
  readonly #clock: Clock;
  readonly #meters = new Map<string, LinkMeter>();

  constructor(limitsOf: (link: LinkName) => LinkLimits, ledger: LinkLedger, clock: Clock) {
    this.#limitsOf = limitsOf;
    this.#ledger = ledger;
    this.#clock = clock;
  }

  /**
   * Waits until `bytes` may travel over `link`, and counts them.
   * @throws {ReplicationError} `LINK_BUDGET_USED` when the day's bytes do not suffice; the signal's reason.
   */
  async take(link: LinkName, bytes: number, signal: AbortSignal): Promise<void> {
    const key = `${link.from} ${link.to}`;
    let meter = this.#meters.get(key);
    if (meter === undefined) {
      meter = new LinkMeter(link, this.#limitsOf(link), this.#ledger);
      this.#meters.set(key, meter);
    }
    const waitMs = meter.waitMsFor(bytes, this.#clock.now());
    if (waitMs > 0) await this.#clock.sleep(waitMs, signal);
    await meter.spend(bytes, this.#clock.now());
  }
}

class LinkMeter {
  readonly #link: LinkName;
  readonly #limits: LinkLimits;
  readonly #ledger: LinkLedger;
  readonly #rate: ByteRate;
  #day = '';
  #reservedBytes = 0;
  /** Reservations of one link stand in line, so that one write serves all who wait for it. */
  #turn: Promise<void> = Promise.resolve();

  constructor(link: LinkName, limits: LinkLimits, ledger: LinkLedger) {
    this.#link = link;
    this.#limits = limits;
    this.#rate = new ByteRate(limits.bytesPerSecond);
    this.#ledger = ledger;
  }

  waitMsFor(bytes: number, now: Date): number {
    return this.#rate.waitMsFor(bytes, now);
  }

  spend(bytes: number, now: Date): Promise<void> {
    const limit = this.#limits.bytesPerDay;
    if (limit === undefined) return Promise.resolve();
    const mine = this.#turn.then(() => this.#spendOfDay(bytes, limit, now));
    this.#turn = mine.catch(() => undefined);
    return mine;
  }

  async #spendOfDay(bytes: number, limit: number, now: Date): Promise<void> {
    const day = now.toISOString().slice(0, 10);
    if (day !== this.#day) {
      this.#day = day;
      this.#reservedBytes = 0;
    }
    if (this.#reservedBytes < bytes) {
      const missing = Math.max(RESERVED_AT_ONCE_BYTES, bytes - this.#reservedBytes);
      this.#reservedBytes += await this.#ledger.reserve(this.#link, day, missing, limit);
    }
    if (this.#reservedBytes < bytes) {
      const retryAt = nextDay(now);
      const { from, to } = this.#link;
      throw new ReplicationError('LINK_BUDGET_USED', `the ${limit} bytes of ${day} from ${from} to ${to} are used up; more at ${retryAt.toISOString()}`, {
        transient: true,
        details: { from, to, day, limitBytes: limit, retryAt },
      });
    }
    this.#reservedBytes -= bytes;
  }
}

/** The next midnight in UTC. */
export function nextDay(now: Date): Date {
  return new Date((Math.floor(now.getTime() / DAY_MS) + 1) * DAY_MS);
}
