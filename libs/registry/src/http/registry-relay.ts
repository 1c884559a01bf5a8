import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';

import { Agent, type Dispatcher } from 'undici';

import { MINUTE_MS, SECOND_MS } from '#quantities';

import { RegistryError } from '../registry-error.js';
import { parseRegistryUrl } from './registry-url.js';
import type { HeaderFields } from './relayed-headers.js';

/** How long what is passed on may stand still, and how much of it there may be. */
export interface RelayLimits {
  /** To open a connection, TLS included. */
  readonly connectMaxMs: number;
  /** From the end of a request to the answer's headers: a registry may compute the digest of a whole upload meanwhile. */
  readonly headersMaxMs: number;
  /** Between two chunks of an answer. */
  readonly idleBodyMaxMs: number;
  /** Connections to one host. */
  readonly connectionsMax: number;
  /** For how long a host to which no connection could be opened is taken to be away by those who would rather go elsewhere. */
  readonly awayKeptMs: number;
  /** The same for a host that was silent: finding that out anew takes a client much longer. */
  readonly silentKeptMs: number;
}

/** Patient with a registry that works, and quick to say that it is away. */
export const DEFAULT_RELAY_LIMITS: RelayLimits = {
  connectMaxMs: 3 * SECOND_MS,
  headersMaxMs: 5 * MINUTE_MS,
  idleBodyMaxMs: 2 * MINUTE_MS,
  connectionsMax: 256,
  awayKeptMs: SECOND_MS,
  silentKeptMs: 10 * SECOND_MS,
};

/** A request as it goes on. */
export interface RelayedRequest {
  readonly method: Dispatcher.HttpMethod;
  /** Where to; absent: the registry. Only the origin and, with the registry, the path in front of `/v2/` count. */
  readonly to?: URL;
  /** Path and query, beginning with a slash. */
  readonly path: string;
  readonly headers: HeaderFields;
  /** Read at the pace at which the registry takes it. Destroyed when the registry answers without reading all of it. */
  readonly body: Readable | Buffer | null;
  readonly signal: AbortSignal;
  /** For a client that can go elsewhere: fails at once while the host is known to be away, and when the answer's headers, or the next part of its body, take longer. */
  readonly impatience?: { readonly headersMaxMs: number; readonly idleBodyMaxMs: number };
}

/** The registry's answer, redirects included: they are the client's to follow. */
export interface RelayedAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Must be read or destroyed; read at the client's pace. */
  readonly body: Readable & { dump(): Promise<void> };
}

/** Methods that may be sent again when a connection that was kept open turned out to be closed. */
const REPEATABLE: ReadonlySet<string> = new Set(['GET', 'HEAD']);

/**
 * Passes single requests on to a registry, or to its token service, and their answers back: nothing is added, followed, decoded or kept. Connections are its own; `close` ends
 * them.
 */
export class RegistryRelay {
  readonly url: URL;
  readonly #limits: RelayLimits;
  readonly #dispatcher: Dispatcher;
  readonly #awayUntil = new Map<string, number>();

  /** @throws {RegistryError} `REGISTRY_PROTOCOL` when the URL is not http or https, or holds a password. */
  constructor(options: { readonly url: string; readonly limits?: Partial<RelayLimits> }) {
    this.url = parseRegistryUrl(options.url);
    this.#limits = { ...DEFAULT_RELAY_LIMITS, ...options.limits };
    const { connectMaxMs, headersMaxMs, idleBodyMaxMs, connectionsMax } = this.#limits;
    this.#dispatcher = new Agent({ connect: { timeout: connectMaxMs }, headersTimeout: headersMaxMs, bodyTimeout: idleBodyMaxMs, connections: connectionsMax, pipelining: 1 });
  }

  /** Sends a request. @throws {RegistryError} `REGISTRY_UNAVAILABLE` (transient) when no answer comes, and whatever `signal` was aborted with. */
  async send(request: RelayedRequest): Promise<RelayedAnswer> {
    const origin = (request.to ?? this.url).origin;
    if (request.impatience !== undefined && performance.now() < (this.#awayUntil.get(origin) ?? 0)) throw this.#unavailable(request, new Error('it was away a moment ago'));
    const { impatience, method, headers, body, signal } = request;
    const patience = impatience === undefined ? {} : { headersTimeout: impatience.headersMaxMs, bodyTimeout: impatience.idleBodyMaxMs };
    const path = request.to === undefined ? `${this.url.pathname}${request.path.slice(1)}` : request.path;
    for (let again = REPEATABLE.has(request.method); ; again = false) {
      try {
        const answer = await this.#dispatcher.request({ origin, path, method, headers, body, signal, ...patience });
        // Whoever reads the body hears of its failure; one that is left unread must not end the process.
        answer.body.on('error', () => undefined);
        return { status: answer.statusCode, headers: answer.headers, body: answer.body };
      } catch (cause) {
        signal.throwIfAborted();
        if (again && isClosedBefore(cause)) continue;
        const keptMs = isAway(cause) ? this.#limits.awayKeptMs : codeOf(cause) === 'UND_ERR_HEADERS_TIMEOUT' ? this.#limits.silentKeptMs : 0;
        if (keptMs > 0) this.#awayUntil.set(origin, performance.now() + keptMs);
        throw this.#unavailable(request, cause);
      }
    }
  }

  /** Ends all connections; what is under way fails. */
  async close(): Promise<void> {
    await this.#dispatcher.destroy();
  }

  #unavailable({ method, to, path }: RelayedRequest, cause: unknown): RegistryError {
    const reason = cause instanceof Error ? cause.message : String(cause);
    // The query may hold a signature.
    return new RegistryError('REGISTRY_UNAVAILABLE', `${method} ${(to ?? this.url).origin}${path.split('?')[0]} got no answer: ${reason}`, { cause, transient: true });
  }
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown } | null)?.code;
}

function isClosedBefore(error: unknown): boolean {
  return codeOf(error) === 'UND_ERR_SOCKET' || codeOf(error) === 'ECONNRESET';
}

function isAway(error: unknown): boolean {
  return ['ECONNREFUSED', 'UND_ERR_CONNECT_TIMEOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'EAI_AGAIN'].includes(String(codeOf(error)));
}
