import { once } from 'node:events';
import type { ServerResponse } from 'node:http';

import type { OnApplicationShutdown } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';

import type { Clock } from '#clock';
import { type EventPosition, type EventStore, type EventType, type OutwardEvent, positionText, toCloudEvent } from '#events';
import { SECOND_MS } from '#quantities';
import type { Logger, Metrics } from '#telemetry';

import { HttpProblem } from '../http/http-problem.js';

/** Listeners at a time: each asks the database once a second. */
export const LISTENERS_MAX = 50;
/** How often a listener is looked after. */
const LOOK_EVERY_MS = SECOND_MS;
/** How often a listener hears something, so that proxies and it know that the connection lives. */
const HEARTBEAT_MS = 15 * SECOND_MS;
/** A listener that does not read for so long is cut. */
const SLOW_MAX_MS = 30 * SECOND_MS;
const BATCH = 100;

/** What a listener wants to hear. */
export interface ListenerWish {
  /** From when on; undefined: from now on. */
  readonly from: EventPosition | undefined;
  readonly types: readonly EventType[] | undefined;
}

/** Streams of server-sent events, to listeners of which there are not too many. */
export class EventStreams implements OnApplicationShutdown {
  readonly #events: EventStore;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #stopping = new AbortController();
  readonly #listeners = new Set<Promise<void>>();

  constructor(events: EventStore, clock: Clock, { metrics, logger }: { readonly metrics: Metrics; readonly logger: Logger }) {
    this.#events = events;
    this.#clock = clock;
    this.#logger = logger;
    metrics.beforeScrape(async () => metrics.eventListeners.set(this.#listeners.size));
  }

  /**
   * Streams until the client goes, is too slow, or the service stops.
   * @throws {HttpProblem} when there are {@link LISTENERS_MAX} already.
   */
  async serve(request: FastifyRequest, reply: FastifyReply, wish: ListenerWish): Promise<void> {
    if (this.#listeners.size >= LISTENERS_MAX) {
      throw new HttpProblem(503, { code: 'TOO_MANY_LISTENERS', title: 'Too many listeners', detail: `${LISTENERS_MAX} listeners are there already`, headers: { 'retry-after': '10' } });
    }
    const from = wish.from ?? (await this.#events.end());
    reply.hijack();
    // A stream has no end that anybody waits for.
    request.raw.socket.setTimeout(0);
    const { raw } = reply;
    raw.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' });
    const listening = this.#stream(raw, { ...wish, from }).catch((error: unknown) => {
      if (!raw.destroyed) this.#logger.warn({ error }, 'a stream of events ended early');
    }).finally(() => {
      this.#listeners.delete(listening);
      raw.destroy();
    });
    this.#listeners.add(listening);
  }

  async onApplicationShutdown(): Promise<void> {
    this.#stopping.abort(new Error('the service stops'));
    await Promise.all(this.#listeners);
  }

  async #stream(raw: ServerResponse, { from, types }: ListenerWish & { readonly from: EventPosition }): Promise<void> {
    const gone = new AbortController();
    raw.once('close', () => gone.abort(new Error('the listener is gone')));
    const signal = AbortSignal.any([gone.signal, this.#stopping.signal]);
    let position = from;
    let saidAtMs = 0;
    while (!signal.aborted) {
      const events = await this.#events.after(position, { types, limit: BATCH });
      const nowMs = performance.now();
      const text = events.length > 0 ? events.map(messageOf).join('') : nowMs - saidAtMs >= HEARTBEAT_MS ? ': nothing new\n\n' : '';
      if (text !== '') {
        await write(raw, text, signal);
        saidAtMs = nowMs;
      }
      position = events.at(-1)?.position ?? position;
      if (events.length < BATCH) await this.#clock.sleep(LOOK_EVERY_MS, signal).catch(() => signal.throwIfAborted());
    }
    raw.end();
  }
}

function messageOf(event: OutwardEvent): string {
  return `id: ${positionText(event.position)}\nevent: ${event.type}\ndata: ${JSON.stringify(toCloudEvent(event))}\n\n`;
}

/** @throws when the listener does not read in time. */
async function write(raw: ServerResponse, text: string, signal: AbortSignal): Promise<void> {
  if (raw.write(text)) return;
  await once(raw, 'drain', { signal: AbortSignal.any([signal, AbortSignal.timeout(SLOW_MAX_MS)]) });
}
