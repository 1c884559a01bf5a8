import type { Socket } from 'node:net';

import { type AccessScope, type AccessVerdict, type Caller, covers, FailureBuckets, type RefusalReason, TokenBook } from '#access';
import type { Clock } from '#clock';
import type { Metrics } from '#telemetry';

import { HttpProblem } from './http-problem.js';

/** Finds the caller that a connection's client certificate stands for; undefined where there is none, or one that means nobody here. */
export type CertificateCallers = (socket: Socket) => { readonly caller: Caller; readonly allows: (scope: AccessScope) => boolean } | undefined;

/** What a {@link ServiceGate} is made with. */
export interface ServiceGateOptions {
  readonly book: TokenBook;
  readonly failures: FailureBuckets;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** Absent: certificates open nothing. */
  readonly certificates?: CertificateCallers | undefined;
}

/** Where a request comes from: its address behind trusted proxies, and its connection. */
export interface RequestSource {
  readonly address: string;
  readonly socket: Socket;
}

/** What opens the routes of a scope, for people. */
const OPENERS: Readonly<Record<AccessScope, string>> = {
  lookup: 'the service token, or one with the scope lookup',
  rewrite: 'the service token, or one with the scope rewrite',
  leases: 'the service token, or one with the scope leases',
  notify: 'the notification token, or a service token with the scope notify',
  'admin:read': 'the admin token, or a service token with the scope admin:read',
  'admin:write': 'the admin token, or a service token with the scope admin:write',
};

/**
 * Who may use the routes of registries and operators, decided from memory. A good token is always let in. Failures are counted for each address:
 * one that fails too often is told to wait (429), and nothing else about its tokens. A request without any header is asked for one, and is no failure.
 */
export class ServiceGate {
  readonly #options: ServiceGateOptions;
  /** Verdicts of clients that have no token, made once. */
  readonly #refusals = new Map<string, HttpProblem>();

  constructor(options: ServiceGateOptions) {
    this.#options = options;
  }

  /** The caller, or what to answer instead. Synchronous; for a good token it costs one digest. */
  check(authorization: string | undefined, scope: AccessScope, from: RequestSource): Caller | HttpProblem {
    const verdict: AccessVerdict = this.#options.book.check(authorization, scope);
    if (verdict.kind === 'allowed') return verdict.caller;
    if (authorization === undefined) {
      const known = this.#options.certificates?.(from.socket);
      if (known?.allows(scope) === true) return known.caller;
      if (known !== undefined) return this.#refusal('scope', scope);
      return this.#refusal('missing', scope);
    }
    this.#options.metrics.authFailures.inc({ kind: 'service', reason: verdict.reason });
    if (verdict.reason === 'scope') return this.#refusal('scope', scope);
    const waitMs = this.#options.failures.failed(from.address, this.#options.clock.now().getTime());
    return waitMs === 0 ? this.#refusal(verdict.reason, scope) : tooManyFailures(waitMs);
  }

  #refusal(reason: RefusalReason, scope: AccessScope): HttpProblem {
    const key = `${reason} ${scope}`;
    const made = this.#refusals.get(key) ?? refusalOf(reason, scope);
    this.#refusals.set(key, made);
    return made;
  }
}

/** What a caller is answered whose token is for other repositories or regions; undefined when it covers what is asked. */
export function uncovered(caller: Caller, about: { readonly repository?: string | undefined; readonly region?: string | undefined }): HttpProblem | undefined {
  if (covers(caller, about)) return undefined;
  return new HttpProblem(403, { code: 'DENIED', title: 'Not allowed', detail: `the token is for other repositories or regions than ${about.repository ?? 'any'} in ${about.region ?? 'any'}` });
}

/** What an address is answered that failed too often. */
export function tooManyFailures(waitMs: number): HttpProblem {
  const seconds = String(Math.ceil(waitMs / 1000));
  return new HttpProblem(429, {
    code: 'TOO_MANY_FAILURES',
    title: 'Too many failed authentications',
    detail: `this address has shown too many tokens that are not good; it may try again in ${seconds} s`,
    headers: { 'retry-after': seconds },
  });
}

function refusalOf(reason: RefusalReason, scope: AccessScope): HttpProblem {
  const opener = OPENERS[scope];
  const realm = 'Bearer realm="translocator"';
  if (reason === 'scope') {
    const headers = { 'www-authenticate': `${realm}, error="insufficient_scope", scope="${scope}"` };
    return new HttpProblem(403, { code: 'DENIED', title: 'Not allowed', detail: `the token is good, and not for this: the route takes ${opener}`, headers });
  }
  const shown = reason === 'unknown' || reason === 'expired';
  return new HttpProblem(401, {
    code: 'UNAUTHORIZED',
    title: 'Authentication required',
    detail: `this route takes ${opener}, as Authorization: Bearer${reason === 'expired' ? '; the one that was shown has expired' : ''}`,
    headers: { 'www-authenticate': shown ? `${realm}, error="invalid_token"` : realm },
  });
}
