import { createHmac } from 'node:crypto';

import { Agent, request } from 'undici';

import { type Clock, parseRetryAfterMs } from '#clock';
import { type OutwardEvent, toCloudEvent, WebhookRefused, WebhookSender } from '#events';
import { SECOND_MS } from '#quantities';

/** How a webhook is reached. */
export interface WebhookAddress {
  readonly url: string;
  /** Signs what is sent; without it nothing is signed. */
  readonly secret?: string | undefined;
}

/** A webhook that takes longer has not taken the event. Less than a claim on its telling holds. */
const SEND_MAX_MS = 10 * SECOND_MS;

/**
 * Sends an event as a CloudEvent in the structured mode of the HTTP binding, signed as Standard Webhooks has it: `webhook-id`, `webhook-timestamp`, and `webhook-signature: v1,BASE64` of the HMAC-SHA256
 * over `id.timestamp.body`. Any 2xx takes it; redirects are not followed, and what is answered is not read.
 */
export class HttpWebhookSender extends WebhookSender {
  readonly #addresses: ReadonlyMap<string, WebhookAddress>;
  readonly #clock: Clock;
  readonly #agent = new Agent({ headersTimeout: SEND_MAX_MS, bodyTimeout: SEND_MAX_MS, connect: { timeout: SEND_MAX_MS }, connections: 2 });

  /** @param addresses by the webhook's name. */
  constructor(addresses: ReadonlyMap<string, WebhookAddress>, clock: Clock) {
    super();
    this.#addresses = addresses;
    this.#clock = clock;
  }

  async send(webhook: string, event: OutwardEvent, signal?: AbortSignal): Promise<void> {
    const address = this.#addresses.get(webhook);
    if (address === undefined) throw new WebhookRefused(`there is no webhook ${webhook}`);
    const body = JSON.stringify(toCloudEvent(event));
    const within = AbortSignal.timeout(SEND_MAX_MS);
    const answer = await request(address.url, {
      method: 'POST',
      headers: { 'content-type': 'application/cloudevents+json; charset=utf-8', ...this.#signed(event.id, body, address.secret) },
      body,
      dispatcher: this.#agent,
      signal: signal === undefined ? within : AbortSignal.any([signal, within]),
    });
    answer.body.on('error', () => undefined).destroy();
    if (answer.statusCode >= 200 && answer.statusCode < 300) return;
    const asked = answer.headers['retry-after'];
    throw new WebhookRefused(`it answered ${answer.statusCode}`, parseRetryAfterMs(typeof asked === 'string' ? asked : undefined, this.#clock.now()));
  }

  /** Ends the connections. */
  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  #signed(id: string, body: string, secret: string | undefined): Record<string, string> {
    const timestamp = String(Math.floor(this.#clock.now().getTime() / SECOND_MS));
    const named = { 'webhook-id': id, 'webhook-timestamp': timestamp };
    if (secret === undefined) return named;
    return { ...named, 'webhook-signature': `v1,${createHmac('sha256', secret).update(`${id}.${timestamp}.${body}`).digest('base64')}` };
  }
}
