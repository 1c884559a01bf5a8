import type { RegionName } from '#regions';

import type { Pin } from './pin.js';

/** Pins that may exist at a time, so that a plan can always read them all. Creations at the same instant may exceed it by their number. */
export const PINS_MAX = 10_000;
/** Pins on one page. */
export const PIN_PAGE_MAX = 1000;

/** Where a page ended: the last pin's place in the order of listing. */
export interface PinCursor {
  readonly createdAt: Date;
  readonly id: string;
}

/** Which pins to list. Filters narrow together. */
export interface PinQuery {
  readonly repository?: string;
  /** Pins that name this region. */
  readonly region?: RegionName;
  /** Pins that hold at this instant. */
  readonly activeAt?: Date;
  /** Only what follows; from the page before. */
  readonly after?: PinCursor;
  /** From 1 to {@link PIN_PAGE_MAX}. */
  readonly limit: number;
}

/** Some pins, the oldest first. */
export interface PinPage {
  readonly pins: readonly Pin[];
  /** Present when there may be more. */
  readonly next?: PinCursor;
}

/**
 * Keeps operators' pins. They are few, change rarely, and are read whole by every plan.
 * A pin is made once under the id that its client chose, may be read and listed, and goes by deletion or after its expiry.
 */
export abstract class PinStore {
  /**
   * Stores a pin, checked by `checkPin`. Repeating it is harmless: the same id with the same content gives the first pin back.
   * @returns the stored pin, and whether this call stored it.
   * @throws {PinError} `PIN_INVALID`, `PIN_CONFLICT` when the id is taken by a pin that says something else, `PINS_TOO_MANY`.
   */
  abstract create(pin: Pin): Promise<{ readonly pin: Pin; readonly created: boolean }>;

  /** The pin, expired or not. */
  abstract get(id: string): Promise<Pin | undefined>;

  /** Pins by filters, in the order of their creation and then their id; one indexed query a page. */
  abstract list(query: PinQuery): Promise<PinPage>;

  /** Deletes a pin. @returns false when there was none, as after a repeated deletion. */
  abstract delete(id: string): Promise<boolean>;

  /** Deletes up to `limit` pins that expired before `before`, the oldest expiry first. @returns how many went. */
  abstract pruneExpired(before: Date, limit: number): Promise<number>;
}

/** Every pin that holds at `now`, page by page; at most about {@link PINS_MAX}. */
export async function listActivePins(store: PinStore, now: Date): Promise<Pin[]> {
  const pins: Pin[] = [];
  let after: PinCursor | undefined;
  do {
    const page = await store.list({ activeAt: now, limit: PIN_PAGE_MAX, ...(after === undefined ? {} : { after }) });
    pins.push(...page.pins);
    after = page.next;
  } while (after !== undefined);
  return pins;
}
