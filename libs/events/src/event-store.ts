import type { EventPosition, EventType, Happening, OutwardEvent } from './outward-event.js';

/** Events in one answer, at most. */
export const EVENTS_AT_ONCE_MAX = 1000;
/** Events that are kept, at most; the oldest go first. */
export const EVENTS_MAX = 1_000_000;

/** Which events to read. */
export interface EventQuery {
  /** Only these types; default all. */
  readonly types?: readonly EventType[] | undefined;
  /** From 1 to {@link EVENTS_AT_ONCE_MAX}. */
  readonly limit: number;
}

/**
 * Keeps what happened. Most events are written by the transactions that make them true; a transaction that is undone leaves none. They are told in an order that every reader sees alike, each as
 * soon as no older transaction is running: none appears before one that was told.
 */
export abstract class EventStore {
  /** Writes an event that no table tells of. */
  abstract append(happening: Happening): Promise<void>;

  /** Events after a position, the oldest first. Those before it that were pruned are passed over. */
  abstract after(position: EventPosition, query: EventQuery): Promise<readonly OutwardEvent[]>;

  /** Events before a position, the newest first; without a position from the newest on. */
  abstract before(position: EventPosition | undefined, query: EventQuery): Promise<readonly OutwardEvent[]>;

  /** The end: everything told so far stands before it, everything to come after it. */
  abstract end(): Promise<EventPosition>;

  /** Forgets events of before an instant and those beyond the newest `keepMax`, at most `limit`. @returns how many. */
  abstract prune(of: { readonly before: Date; readonly keepMax: number; readonly limit: number }): Promise<number>;
}

/** How far a webhook has been told. */
export interface Delivery {
  readonly position: EventPosition;
  /** Failed attempts to tell it the next event. */
  readonly attempts: number;
}

/** Keeps how far each webhook has been told, and who tells it: one process at a time, by leases on the database's clock. */
export abstract class DeliveryStore {
  /**
   * Takes the telling of a webhook over, when nobody else has it and its wait is over. A webhook that is new begins at the end.
   * @returns undefined when somebody has it, or it is to be waited for.
   */
  abstract claim(webhook: string, owner: string, leaseMs: number): Promise<Delivery | undefined>;

  /** Everything up to a position has been told. @returns false when the claim was lost: nothing more may be told. */
  abstract told(webhook: string, owner: string, of: { readonly position: EventPosition; readonly leaseMs: number }): Promise<boolean>;

  /** Telling the next event failed: it is tried again after a wait. Gives the claim back. */
  abstract postpone(webhook: string, owner: string, of: { readonly waitMs: number; readonly error: string }): Promise<void>;

  /** Gives the claim back. */
  abstract release(webhook: string, owner: string): Promise<void>;

  /** How far each webhook is, for operators. */
  abstract list(): Promise<readonly (Delivery & { readonly webhook: string; readonly notBefore: Date | undefined; readonly lastError: string | undefined })[]>;
}
