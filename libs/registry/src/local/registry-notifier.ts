import { randomUUID } from 'node:crypto';

import { request } from 'undici';

import type { Exchange } from './registry-exchange.js';

/** Where a {@link LocalRegistry} tells what happens. */
export interface NotificationEndpoint {
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What happened to what; the rest of an event's record is filled in. */
export interface Happening {
  readonly action: 'push' | 'pull' | 'mount' | 'delete';
  readonly target: Readonly<Record<string, unknown>>;
}

/** Notifications that wait for an endpoint; the oldest go beyond it. */
const WAITING_MAX = 10_000;
/** How often one notification is sent until its endpoint takes it. */
const TRIES_MAX = 10;
const TRY_WAIT_MS = 200;
const ANSWER_MAX_MS = 10_000;

/** Sends events as the CNCF distribution registry does: one after the other to each endpoint, again until they are taken, from memory. */
export class RegistryNotifier {
  readonly #queues: { readonly endpoint: NotificationEndpoint; readonly waiting: string[]; running: Promise<void> | undefined }[];
  readonly #stop = new AbortController();
  /** Notifications that no try could deliver, or that were too many to wait. */
  droppedCount = 0;

  constructor(endpoints: readonly NotificationEndpoint[]) {
    this.#queues = endpoints.map((endpoint) => ({ endpoint, waiting: [], running: undefined }));
  }

  /** Queues one event for every endpoint. */
  tell(exchange: Exchange, { action, target }: Happening): void {
    if (this.#queues.length === 0) return;
    const { request: asked, url, repository, method } = exchange;
    const event = {
      id: randomUUID(),
      timestamp: new Date().toISOString(),
      action,
      target: { ...target, repository },
      request: {
        id: randomUUID(),
        addr: `${asked.socket.remoteAddress}:${asked.socket.remotePort}`,
        host: url.host,
        method,
        useragent: asked.headers['user-agent'] ?? '',
      },
      actor: {},
      source: { addr: url.host, instanceID: 'local-registry' },
    };
    for (const queue of this.#queues) {
      queue.waiting.push(JSON.stringify({ events: [event] }));
      if (queue.waiting.length > WAITING_MAX) {
        queue.waiting.shift();
        this.droppedCount += 1;
      }
      queue.running ??= this.#drain(queue).finally(() => {
        queue.running = undefined;
      });
    }
  }

  /** Waits until everything told so far has been taken or given up. */
  async settled(): Promise<void> {
    while (this.#queues.some((queue) => queue.running !== undefined)) await Promise.all(this.#queues.flatMap((queue) => queue.running ?? []));
  }

  /** Gives up what waits. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.settled();
  }

  async #drain(queue: { readonly endpoint: NotificationEndpoint; readonly waiting: string[] }): Promise<void> {
    for (let body = queue.waiting.shift(); body !== undefined; body = queue.waiting.shift()) {
      let taken = false;
      for (let tries = 0; !taken && tries < TRIES_MAX && !this.#stop.signal.aborted; tries += 1) {
        if (tries > 0) await new Promise((resolve) => setTimeout(resolve, TRY_WAIT_MS));
        taken = await this.#post(queue.endpoint, body);
      }
      if (!taken) this.droppedCount += 1;
    }
  }

  async #post({ url, headers }: NotificationEndpoint, body: string): Promise<boolean> {
    try {
      const answer = await request(url, {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/vnd.docker.distribution.events.v2+json' },
        body,
        signal: AbortSignal.any([this.#stop.signal, AbortSignal.timeout(ANSWER_MAX_MS)]),
      });
      await answer.body.dump();
      return answer.statusCode < 400;
    } catch {
      // Whatever it was, the endpoint did not take it: it is sent again.
      return false;
    }
  }
}
