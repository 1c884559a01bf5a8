import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

import type { FailureBuckets } from '#access';
import type { Clock } from '#clock';
import { KiB, SECOND_MS } from '#quantities';
import { answerHeadersToPass, type RegistryRelay, requestHeadersToPass, type TokenService, type TokenServiceFinder } from '#registry';

import type { ClientView } from '../http/client-view.js';
import { HttpProblem } from '../http/http-problem.js';
import { tooManyFailures } from '../http/service-gate.js';
import { passAnswer } from './client-answer.js';

/** The longest form: a token of an identity provider with many groups has some tens of kibibytes. */
export const TOKEN_FORM_BYTES_MAX = 128 * KiB;
/** The longest query. */
export const TOKEN_QUERY_LENGTH_MAX = 8192;
/** How long a token service may take to begin its answer. */
export const TOKEN_ANSWER_MAX_MS = 15 * SECOND_MS;
/** Requests for tokens that are passed on at the same time. */
export const TOKEN_REQUESTS_MAX = 128;
/** What a form says that it is. */
export const TOKEN_FORM = 'application/x-www-form-urlencoded';

/** What the routes of the token service are made of. */
export interface TokenRouteParts {
  readonly relay: RegistryRelay;
  readonly finder: TokenServiceFinder;
  readonly view: ClientView;
  readonly failures: Pick<FailureBuckets, 'failed' | 'waitMs'>;
  readonly clock: Clock;
}

/**
 * `/oauth2/token` and `/oauth2/exchange`: what a client shows and gets passes through to the registry's token service as it is, and is nowhere kept or logged. Failures are
 * counted for each address, or this service would be a way to guess passwords under its own address.
 */
export class TokenRoutes {
  readonly #parts: TokenRouteParts;
  #openCount = 0;

  constructor(parts: TokenRouteParts) {
    this.#parts = parts;
  }

  /** Adds the routes, before the server listens. */
  register(instance: FastifyInstance): void {
    void instance.register((scope, _options, done) => {
      scope.removeAllContentTypeParsers();
      scope.addContentTypeParser(TOKEN_FORM, { parseAs: 'buffer', bodyLimit: TOKEN_FORM_BYTES_MAX }, (_request, body, parsed) => parsed(null, body));
      scope.route({ method: ['GET', 'POST'], url: '/oauth2/token', exposeHeadRoute: false, handler: (request, reply) => this.#answer(request, reply, ({ token }) => token) });
      scope.route({ method: 'POST', url: '/oauth2/exchange', handler: (request, reply) => this.#answer(request, reply, ({ exchange }) => exchange) });
      done();
    });
  }

  async #answer(request: FastifyRequest, reply: FastifyReply, choose: (service: TokenService) => URL | undefined): Promise<void> {
    const { failures, clock } = this.#parts;
    const waitMs = failures.waitMs(request.ip, clock.now().getTime());
    if (waitMs > 0) throw tooManyFailures(waitMs);
    if (this.#openCount >= TOKEN_REQUESTS_MAX) {
      throw new HttpProblem(503, { code: 'TOOMANYREQUESTS', title: 'Too many requests', detail: `${TOKEN_REQUESTS_MAX} requests for tokens are being passed on already` });
    }
    this.#openCount += 1;
    try {
      const service = await this.#parts.finder.find();
      const to = service === undefined ? undefined : choose(service);
      if (to === undefined) throw new HttpProblem(404, { code: 'UNSUPPORTED', title: 'Not found', detail: `the registry names no token service that answers ${request.url.split('?')[0]}` });
      await this.#pass(request, reply, to);
    } finally {
      this.#openCount -= 1;
    }
  }

  async #pass(request: FastifyRequest, reply: FastifyReply, to: URL): Promise<void> {
    const { relay, view, failures, clock } = this.#parts;
    const form = Buffer.isBuffer(request.body) ? request.body : null;
    const query = (request.raw.url ?? '').split('?').slice(1).join('?');
    if (query.length > TOKEN_QUERY_LENGTH_MAX || !/^[\x21-\x7e]*$/.test(query)) {
      throw new HttpProblem(400, { code: 'REQUEST_INVALID', title: 'The request is not valid', detail: `the query must have at most ${TOKEN_QUERY_LENGTH_MAX} characters, all of them printable ASCII` });
    }
    const headers = requestHeadersToPass(request.headers, view.callerOf(request));
    if (request.method === 'POST') headers['content-length'] = String(form?.length ?? 0);
    const own = to.search.slice(1);
    const search = [own, query].filter((part) => part !== '').join('&');
    const gone = new AbortController();
    const tooLate = setTimeout(() => gone.abort(new Error('the token service took too long')), TOKEN_ANSWER_MAX_MS);
    reply.raw.once('close', () => gone.abort(new Error('the client went away')));
    try {
      const relayed = await relay
        .send({ method: request.method as 'GET' | 'POST', to, path: `${to.pathname}${search === '' ? '' : `?${search}`}`, headers, body: form, signal: gone.signal })
        .catch((cause: unknown) => {
          if (!gone.signal.aborted) throw cause;
          throw new HttpProblem(503, { code: 'UNAVAILABLE', title: 'Not available now', detail: 'the token service of the registry did not answer in time' });
        });
      clearTimeout(tooLate);
      if (relayed.status === 401 || relayed.status === 403) failures.failed(request.ip, clock.now().getTime());
      await passAnswer(request, reply, { relayed, headers: { 'cache-control': 'no-store', ...answerHeadersToPass(relayed.headers) } });
    } finally {
      clearTimeout(tooLate);
    }
  }
}
