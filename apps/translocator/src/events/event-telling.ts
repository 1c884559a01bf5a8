import { randomUUID } from 'node:crypto';

import type { OnApplicationBootstrap, OnApplicationShutdown } from '@nestjs/common';

import type { Clock } from '#clock';
import type { Config } from '#config';
import { type DeliveryStore, type EventStore, type Telling, type Webhook, WebhookTeller } from '#events';
import { SECOND_MS } from '#quantities';
import type { Logger, Metrics } from '#telemetry';

import { HttpWebhookSender } from './http-webhook-sender.js';

/** How often it is looked for events to tell. */
const LOOK_EVERY_MS = SECOND_MS;

/** What {@link EventTelling} is made with. */
export interface EventTellingOptions {
  readonly webhooks: Config['events']['webhooks'];
  /** By the webhook's name. */
  readonly secrets: Readonly<Record<string, string>>;
  readonly events: EventStore;
  readonly deliveries: DeliveryStore;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

/** Tells webhooks what happens while the service runs; of several processes one at a time tells each of them. */
export class EventTelling implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #options: EventTellingOptions;
  readonly #sender: HttpWebhookSender;
  readonly #stopping = new AbortController();
  #loops: Promise<unknown> = Promise.resolve();

  constructor(options: EventTellingOptions) {
    const { webhooks, secrets, clock } = options;
    this.#options = options;
    this.#sender = new HttpWebhookSender(new Map(webhooks.map(({ name, url }) => [name, { url, secret: secrets[name] }])), clock);
  }

  onApplicationBootstrap(): void {
    this.#loops = Promise.all(this.#options.webhooks.map((webhook) => this.#tellForever(webhook)));
  }

  async onApplicationShutdown(): Promise<void> {
    this.#stopping.abort(new Error('the service stops'));
    await this.#loops;
    await this.#sender.close();
  }

  async #tellForever(webhook: Webhook): Promise<void> {
    const { events, deliveries, clock, logger } = this.#options;
    const { signal } = this.#stopping;
    const teller = new WebhookTeller({ webhook, events, deliveries, sender: this.#sender, clock, owner: randomUUID(), onTelling: (telling) => this.#heard(webhook.name, telling) });
    while (!signal.aborted) {
      try {
        await teller.tell(signal);
      } catch (error) {
        if (!signal.aborted) logger.warn({ error, webhook: webhook.name }, 'events could not be read for a webhook; it is tried again');
      }
      // Ends early, and with an error, only when the service stops.
      await clock.sleep(LOOK_EVERY_MS, signal).catch((error: unknown) => {
        if (!signal.aborted) throw error;
      });
    }
  }

  #heard(webhook: string, telling: Telling): void {
    const { metrics, logger } = this.#options;
    metrics.webhookEvents.inc({ webhook, outcome: telling.outcome });
    const { id, type } = telling.event;
    if (telling.outcome === 'failed') logger.warn({ webhook, event: id, type, error: telling.error, waitMs: telling.waitMs }, 'a webhook did not take an event; it is told again');
    else if (telling.outcome === 'given-up') logger.error({ webhook, event: id, type }, 'an event was given up: the webhook did not take it in all attempts');
  }
}
