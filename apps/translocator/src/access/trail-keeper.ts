import { randomUUID } from 'node:crypto';

import type { FastifyRequest } from 'fastify';

import { TRAIL_PATH_LENGTH_MAX, trailBodyOf, TrailStore } from '#access';
import type { Clock } from '#clock';
import type { Logger } from '#telemetry';

import { callerOf } from '../http/callers.js';

/** Writes the trail of calls that change something: an entry before the call is carried out, and its status before it is answered. */
export class TrailKeeper {
  readonly #store: TrailStore;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #begun = new WeakMap<FastifyRequest, string>();

  constructor(store: TrailStore, clock: Clock, logger: Logger) {
    this.#store = store;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Writes who asks for what. @throws what the store throws: then the call must not be carried out. */
  async begin(request: FastifyRequest): Promise<void> {
    const { actor, name } = callerOf(request);
    const body = trailBodyOf(request.body);
    const id = randomUUID();
    await this.#store.begin({
      id, actor, actorName: name,
      at: this.#clock.now(),
      address: request.ip,
      method: request.method,
      path: (request.url.split('?')[0] ?? '').slice(0, TRAIL_PATH_LENGTH_MAX),
      ...(body === undefined ? {} : { body }),
    });
    this.#begun.set(request, id);
  }

  /** Writes what came of a request that has an entry. Never throws: the call has been carried out, and its caller must hear of it. */
  async end(request: FastifyRequest, status: number): Promise<void> {
    const id = this.#begun.get(request);
    if (id === undefined) return;
    this.#begun.delete(request);
    try {
      await this.#store.end(id, status);
    } catch (error) {
      this.#logger.error({ error, entry: id, status }, 'the outcome of a change could not be written to the trail');
    }
  }
}
