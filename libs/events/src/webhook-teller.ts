import { type Clock, jitteredWaitMs, type RetryPolicy } from '#clock';
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '#quantities';

import type { DeliveryStore, EventStore } from './event-store.js';
import type { EventType, OutwardEvent } from './outward-event.js';

/** Somebody who wants to be told. */
export interface Webhook {
  /** Unique; what its progress is kept under. */
  readonly name: string;
  /** Default all. */
  readonly types?: readonly EventType[] | undefined;
}

/** Carries one event to a webhook. */
export abstract class WebhookSender {
  /** Returns when the event was taken. @throws {WebhookRefused} or anything else when it was not. */
  abstract send(webhook: string, event: OutwardEvent, signal?: AbortSignal): Promise<void>;
}

/** A webhook did not take an event. */
export class WebhookRefused extends Error {
  override readonly name = 'WebhookRefused';

  /** @param retryAfterMs what it asked to be left alone for. */
  constructor(message: string, readonly retryAfterMs?: number) {
    super(message);
  }
}

/** What came of one event, or of a look for some. */
export type Telling =
  | { readonly outcome: 'told' | 'given-up'; readonly event: OutwardEvent }
  | { readonly outcome: 'failed'; readonly event: OutwardEvent; readonly error: unknown; readonly waitMs: number };

/** What a {@link WebhookTeller} is made with. */
export interface WebhookTellerOptions {
  readonly webhook: Webhook;
  readonly events: EventStore;
  readonly deliveries: DeliveryStore;
  readonly sender: WebhookSender;
  readonly clock: Clock;
  /** A UUID, new with every process. */
  readonly owner: string;
  readonly onTelling?: (telling: Telling) => void;
  /** In [0, 1); `Math.random` unless a test says otherwise. */
  readonly random?: () => number;
}

/** Attempts for one event: at the longest waits, some hours. Then it is given up, so that the next are told. */
export const ATTEMPTS_MAX = 100;
/** How long a process has the telling of a webhook to itself; longer than one sending takes. */
export const TELLING_LEASE_MS = MINUTE_MS;
/** Events that are read at a time. */
const BATCH = 100;
/** How long after an event has failed it is tried again: up to a second, doubled with every attempt. */
const WAITS: RetryPolicy = { triesMax: ATTEMPTS_MAX, firstWaitMs: SECOND_MS, waitMaxMs: 5 * MINUTE_MS, askedWaitMaxMs: HOUR_MS };
/** No wait is shorter: a webhook that refuses at once must not be asked in a circle. */
const WAIT_MIN_MS = 200;

/**
 * Tells one webhook what happened, event by event in their order, the next only when the one before was taken or given up. A process that dies between the sending and the note of it has the event told again, by
 * whoever goes on: each is told at least once, under the same id.
 */
export class WebhookTeller {
  readonly #options: WebhookTellerOptions;

  constructor(options: WebhookTellerOptions) {
    this.#options = options;
  }

  /**
   * Tells everything there is.
   * @returns `idle` when all was told, `waiting` when the webhook does not take the next event or another process tells it.
   */
  async tell(signal?: AbortSignal): Promise<'idle' | 'waiting'> {
    const { webhook, deliveries, owner } = this.#options;
    const claimed = await deliveries.claim(webhook.name, owner, TELLING_LEASE_MS);
    if (claimed === undefined) return 'waiting';
    let { position, attempts } = claimed;
    for (;;) {
      // Taken before the look: what is not of this webhook's types is passed over with it.
      const end = await this.#options.events.end();
      const events = await this.#options.events.after(position, { types: webhook.types, limit: BATCH });
      for (const event of events) {
        if (signal?.aborted === true) return this.#release('waiting');
        if (!(await this.#tellOne(event, attempts, signal))) return 'waiting';
        attempts = 0;
        position = event.position;
        if (!(await deliveries.told(webhook.name, owner, { position, leaseMs: TELLING_LEASE_MS }))) return 'waiting';
      }
      if (events.length === BATCH) continue;
      if (isBefore(position, end)) await deliveries.told(webhook.name, owner, { position: end, leaseMs: TELLING_LEASE_MS });
      return this.#release('idle');
    }
  }

  /** @returns false when it was not taken, and is to be tried again. */
  async #tellOne(event: OutwardEvent, attempts: number, signal: AbortSignal | undefined): Promise<boolean> {
    const { webhook, deliveries, sender, owner, onTelling, random = Math.random } = this.#options;
    if (attempts >= ATTEMPTS_MAX) {
      onTelling?.({ outcome: 'given-up', event });
      return true;
    }
    try {
      await sender.send(webhook.name, event, signal);
    } catch (error) {
      if (signal?.aborted === true) {
        await deliveries.release(webhook.name, owner);
        return false;
      }
      const asked = error instanceof WebhookRefused ? Math.min(error.retryAfterMs ?? 0, WAITS.askedWaitMaxMs) : 0;
      const waitMs = Math.max(asked, WAIT_MIN_MS, jitteredWaitMs(WAITS, attempts + 1, random()));
      await deliveries.postpone(webhook.name, owner, { waitMs, error: error instanceof Error ? error.message : String(error) });
      onTelling?.({ outcome: 'failed', event, error, waitMs });
      return false;
    }
    onTelling?.({ outcome: 'told', event });
    return true;
  }

  async #release<Outcome>(outcome: Outcome): Promise<Outcome> {
    await this.#options.deliveries.release(this.#options.webhook.name, this.#options.owner);
    return outcome;
  }
}

function isBefore(a: { readonly transaction: string; readonly sequence: string }, b: typeof a): boolean {
  const [one, other] = [BigInt(a.transaction), BigInt(b.transaction)];
  return one < other || (one === other && BigInt(a.sequence) < BigInt(b.sequence));
}
