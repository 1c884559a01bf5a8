import { type Clock, after } from '#clock';
import { MINUTE_MS, SECOND_MS } from '#quantities';

import { RegistryError } from '../registry-error.js';
import { parseChallenges } from './challenge.js';
import type { RegistryRelay } from './registry-relay.js';

/** How long it is taken for granted where a registry's tokens come from, or that it has none. */
export const TOKEN_SERVICE_KEPT_MS = 5 * MINUTE_MS;
/** How long the registry may take to say so. */
const FIND_MAX_MS = 5 * SECOND_MS;

/** Where a registry's tokens come from. */
export interface TokenService {
  /** Answers `GET` with Basic, and `POST` of forms. */
  readonly token: URL;
  /** Exchanges an identity provider's token for a refresh token, where there is such a thing: beside `token`. */
  readonly exchange: URL | undefined;
}

/** Finds a registry's token service by the challenge that its `/v2/` answers (distribution's docs/spec/auth/token.md). */
export class TokenServiceFinder {
  readonly #relay: RegistryRelay;
  readonly #clock: Clock;
  #found: { readonly service: TokenService | undefined; readonly until: Date } | undefined;
  #finding: Promise<TokenService | undefined> | undefined;

  constructor(relay: RegistryRelay, clock: Clock) {
    this.#relay = relay;
    this.#clock = clock;
  }

  /**
   * The token service; undefined when the registry names none. What was found is kept for {@link TOKEN_SERVICE_KEPT_MS}, a failure is not.
   * @throws {RegistryError} `REGISTRY_UNAVAILABLE` when the registry does not answer; `REGISTRY_PROTOCOL` when passwords would leave https.
   */
  find(): Promise<TokenService | undefined> {
    if (this.#found !== undefined && this.#found.until > this.#clock.now()) return Promise.resolve(this.#found.service);
    this.#finding ??= this.#ask().finally(() => (this.#finding = undefined));
    return this.#finding;
  }

  async #ask(): Promise<TokenService | undefined> {
    const tooLate = AbortSignal.timeout(FIND_MAX_MS);
    const answer = await this.#relay.send({ method: 'GET', path: '/v2/', headers: {}, body: null, signal: tooLate }).catch((cause: unknown) => {
      if (!tooLate.aborted) throw cause;
      throw new RegistryError('REGISTRY_UNAVAILABLE', `${this.#relay.url.origin} did not say within ${FIND_MAX_MS} ms where its tokens come from`, { cause, transient: true });
    });
    await answer.body.dump();
    if (answer.status >= 500 || answer.status === 429) throw new RegistryError('REGISTRY_UNAVAILABLE', `${this.#relay.url.origin} answered ${answer.status}`, { transient: true });
    const challenges = parseChallenges([answer.headers['www-authenticate'] ?? []].flat().join(', '));
    const realm = challenges.find(({ scheme }) => scheme === 'bearer')?.parameters['realm'];
    const service = realm === undefined ? undefined : serviceAt(realm, this.#relay.url);
    this.#found = { service, until: after(this.#clock.now(), TOKEN_SERVICE_KEPT_MS) };
    return service;
  }
}

/** A registry on https must not have passwords sent over http. */
function serviceAt(realm: string, registry: URL): TokenService {
  const token = URL.canParse(realm) ? new URL(realm) : undefined;
  const allowed = token?.protocol === 'https:' || (token?.protocol === 'http:' && registry.protocol === 'http:');
  if (token === undefined || !allowed) throw new RegistryError('REGISTRY_PROTOCOL', `${registry.origin} names no usable token service`);
  const exchange = token.pathname.endsWith('/oauth2/token') ? new URL(token) : undefined;
  if (exchange !== undefined) exchange.pathname = token.pathname.replace(/token$/, 'exchange');
  return { token, exchange };
}
