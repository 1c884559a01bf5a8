import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

import type { Clock } from '#clock';
import type { Config } from '#config';
import type { PullObserver } from '#mounts';
import { isDigest, manifestKindOf } from '#oci';
import { MINUTE_MS, SECOND_MS } from '#quantities';
import type { RegionMap } from '#regions';
import { addressesForClient, answerHeadersToPass, eventsOfExchange, type HeaderFields, isAttributesList, type RegistryRelay, RELAYED_PATH_LENGTH_MAX, type RelayedAnswer, requestHeadersToPass } from '#registry';
import type { Logger, Metrics } from '#telemetry';

import type { ClientView } from '../http/client-view.js';
import { clientOf } from '../pull/pull-telemetry.js';
import { type AskedPath, readAskedPath } from './asked-path.js';
import { answerEmpty, answerErrors, passAnswer } from './client-answer.js';
import type { KeptLayers } from './keeping/kept-layers.js';
import type { NoticedChanges } from './noticed-changes.js';
import type { RemovedRepositories } from './removed-repositories.js';
import { bodyToPass, hasBody } from './request-body.js';

/** How long a connection may stand still, in either direction, while something is passed on: a registry may compute the digest of a whole upload. */
const STILL_MAX_MS = 5 * MINUTE_MS;
/** The same for a client that knows other registries, and goes on to them when its connection is cut. */
const NAMESPACE_STILL_MAX_MS = 10 * SECOND_MS;
/** Between two looks at whether everything has been passed on, when the service stops. */
const FINISH_LOOK_MS = 50;
/** What is told of a path that registries and this service might read differently. */
const PATH_RULE = `the path must have no empty or dot segments, no escaped slashes and only characters of URLs, together with its query at most ${RELAYED_PATH_LENGTH_MAX} of them; ns may name one registry`;
/** What is told with a refusal besides its reason. */
const REFUSAL_HEADERS: Readonly<Record<number, HeaderFields>> = { 405: { allow: 'GET, HEAD' }, 503: { 'retry-after': '1' } };
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;

/** What the routes of the registry are made of. */
export interface RegistryRouteParts {
  readonly relay: RegistryRelay;
  readonly view: ClientView;
  readonly gateway: Config['gateway'];
  readonly changes: NoticedChanges;
  /** Notices the end of a whole repository. */
  readonly removals: Pick<RemovedRepositories, 'notice'>;
  /** Where layers that pass are kept, if they are. */
  readonly kept: Pick<KeptLayers, 'offer'> | undefined;
  readonly observer: PullObserver;
  readonly regions: RegionMap;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

/**
 * `/v2/`, and of `/acr/v1/` lists and deletions: what passes through to the registry, with the caller's own authority and nothing of ours. Without `gateway.enabled` only what clients of Teleport
 * need: the base and manifests, to be read. `/acr/v1/` is passed on in any case, for a proxy in front sends all of it here.
 */
export class RegistryRoutes {
  readonly #parts: RegistryRouteParts;
  #openCount = 0;

  constructor(parts: RegistryRouteParts) {
    this.#parts = parts;
    parts.metrics.beforeScrape(async () => parts.metrics.gatewayOpen.set(this.#openCount));
  }

  /** Adds the routes, before the server listens. */
  register(instance: FastifyInstance): void {
    void instance.register((scope, _options, done) => {
      // Bodies are not read here: they are passed on.
      scope.removeAllContentTypeParsers();
      scope.addContentTypeParser('*', (_request, payload, parsed) => parsed(null, payload));
      for (const url of ['/v2', '/v2/*']) {
        scope.route({ method: [...METHODS], url, exposeHeadRoute: false, handler: (request, reply) => this.#answer(request, reply) });
      }
      scope.route({ method: 'DELETE', url: '/acr/v1/*', handler: (request, reply) => this.#answer(request, reply) });
      done();
    });
    // The router cannot tell a list from a repository's attributes, which are answered here: a repository's name has any number of slashes. Before the body is read, which is passed on.
    instance.addHook('onRequest', async (request, reply) => {
      if (request.is404 || !isAttributesList(request.url.split('?', 1)[0] ?? '')) return undefined;
      await this.#answer(request, reply);
      return reply;
    });
  }

  /** Waits until nothing is being passed on any more, for `maxMs` at most. */
  async finish(maxMs: number): Promise<void> {
    const endsAt = performance.now() + maxMs;
    while (this.#openCount > 0 && performance.now() < endsAt) await delay(FINISH_LOOK_MS);
  }

  async #answer(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const { gateway, view, metrics } = this.#parts;
    const asked = readAskedPath(request.raw.url ?? '');
    const refused = (status: number, code: string, message: string): void => {
      metrics.gatewayRequests.inc({ part: asked?.part ?? 'other', status: String(status) });
      answerErrors(request, reply, { status, code, message, headers: REFUSAL_HEADERS[status] ?? {} });
    };
    if (asked === undefined) return refused(400, 'NAME_INVALID', PATH_RULE);
    if (asked.namespace !== undefined && !view.serves(asked.namespace)) return refused(404, 'NAME_UNKNOWN', `this service does not stand in front of ${asked.namespace.slice(0, 255)}`);
    const isOpen = gateway.enabled || asked.part === 'attributes';
    if (!isOpen && !isForTeleport(asked)) return refused(404, 'UNSUPPORTED', 'this service passes on manifests only; with gateway.enabled it passes on everything');
    if (!isOpen && !isReading(request)) return refused(405, 'UNSUPPORTED', 'this service passes on GET and HEAD only; with gateway.enabled it passes on everything');
    if (isReading(request) && hasBody(request.raw)) return refused(400, 'UNSUPPORTED', `${request.method} takes no body`);
    if (this.#openCount >= gateway.concurrent) return refused(503, 'TOOMANYREQUESTS', `${gateway.concurrent} requests are being passed on already`);
    this.#openCount += 1;
    try {
      await this.#pass(request, reply, asked);
    } finally {
      this.#openCount -= 1;
    }
  }

  async #pass(request: FastifyRequest, reply: FastifyReply, asked: AskedPath): Promise<void> {
    const { relay, view, metrics, logger } = this.#parts;
    request.raw.socket.setTimeout(STILL_MAX_MS);
    const gone = new AbortController();
    reply.raw.once('close', () => {
      if (!reply.raw.writableFinished) gone.abort(new Error('the client went away'));
    });
    let relayed: RelayedAnswer;
    try {
      relayed = await this.#send(request, asked, gone.signal);
    } catch (error) {
      metrics.gatewayRequests.inc({ part: asked.part, status: gone.signal.aborted && reply.raw.destroyed ? 'gone' : '503' });
      if (reply.raw.destroyed) return void reply.hijack();
      logger.warn({ error, method: request.method, part: asked.part }, 'the registry could not be reached for a client');
      return this.#away(request, reply, asked);
    }
    if (asked.namespace !== undefined && relayed.status >= 500) {
      await relayed.body.dump();
      metrics.gatewayRequests.inc({ part: asked.part, status: '503' });
      return this.#away(request, reply, asked);
    }
    metrics.gatewayRequests.inc({ part: asked.part, status: String(relayed.status) });
    await this.#notice(request, asked, relayed);
    const headers = addressesForClient(answerHeadersToPass(relayed.headers), { registry: relay.url, caller: view.callerOf(request), realm: view.realmFor(request) });
    const taker = this.#parts.kept?.offer(request, asked, relayed);
    const whole = await passAnswer(request, reply, {
      relayed,
      headers: { ...headers, ...(asked.namespace === undefined ? {} : { 'oci-namespace': asked.namespace }) },
      onPart: taker === undefined ? undefined : (part) => taker.take(part),
    });
    void taker?.end(whole);
  }

  /** Sends a request on, and waits for the answer's headers: for a client that knows other hosts not longer than `gateway.namespaceAnswerMax`. */
  #send(request: FastifyRequest, asked: AskedPath, signal: AbortSignal): Promise<RelayedAnswer> {
    const { relay, view, gateway } = this.#parts;
    const headers = requestHeadersToPass(request.headers, view.callerOf(request));
    const withBody = hasBody(request.raw);
    // Without a body these methods say so, or some registries would wait for one.
    if (!withBody && request.method !== 'GET' && request.method !== 'HEAD') headers['content-length'] = '0';
    // A push goes to one registry only; a pull can go on to another.
    const impatience = asked.namespace === undefined || withBody ? {} : { impatience: { headersMaxMs: gateway.namespaceAnswerMax, idleBodyMaxMs: NAMESPACE_STILL_MAX_MS } };
    return relay.send({
      method: request.method as (typeof METHODS)[number],
      path: `${asked.path}${asked.query}`,
      headers,
      body: withBody ? bodyToPass(request.raw) : null,
      signal,
      ...impatience,
    });
  }

  #away(request: FastifyRequest, reply: FastifyReply, asked: AskedPath): void {
    if (asked.namespace !== undefined) return answerEmpty(reply, 503);
    answerErrors(request, reply, { status: 503, code: 'UNAVAILABLE', message: 'the registry behind this service does not answer', headers: { 'retry-after': '1' } });
  }

  async #notice(request: FastifyRequest, { manifest, removable }: AskedPath, { status, headers }: RelayedAnswer): Promise<void> {
    const { changes, removals, clock, observer, regions, gateway } = this.#parts;
    const at = clock.now();
    const from = { address: request.ip, ...(request.headers['user-agent'] === undefined ? {} : { userAgent: request.headers['user-agent'] }) };
    if (removable !== undefined && request.method === 'DELETE') return removals.notice(removable, { status, at, from });
    if (manifest === undefined) return;
    const digest = headers['docker-content-digest'];
    const told = { method: request.method, status, ...manifest, digest: typeof digest === 'string' ? digest : undefined, mediaType: request.headers['content-type'], tags: [headers['oci-tag'] ?? []].flat() };
    await changes.notice(eventsOfExchange(told, { at, newId: randomUUID, from }));
    const named = request.headers['x-teleport-region'];
    const region = typeof named === 'string' ? named.trim() : gateway.region;
    const pulled = request.method === 'GET' && status === 200 && typeof digest === 'string' && isDigest(digest) && manifestKindOf(headers['content-type'] ?? '') === 'image';
    if (pulled && region !== undefined && regions.has(region)) {
      observer.observed({ region, repository: manifest.repository, image: digest, client: clientOf(request), at });
    }
  }
}

function isForTeleport({ part }: AskedPath): boolean {
  return part === 'base' || part === 'manifests';
}

function isReading({ method }: FastifyRequest): boolean {
  return method === 'GET' || method === 'HEAD';
}
