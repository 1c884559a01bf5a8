import type { Dispatcher } from 'undici';
import { z } from 'zod';

import { type Clock, after } from '#clock';
import { SECOND_MS } from '#quantities';

import { RegistryError } from '../registry-error.js';
import { type Challenge, parseChallenges } from './challenge.js';
import { SMALL_BODY_BYTES_MAX } from './registry-limits.js';
import { type Answer, type Ask, errorOf, readBounded, send } from './send.js';

/** What we may show a registry: nothing, or a name and a password, which also buy tokens. */
export type RegistryCredentials = { readonly kind: 'anonymous' } | { readonly kind: 'basic'; readonly username: string; readonly password: string };

/** What {@link RegistryAccess} needs. */
export interface RegistryAccessOptions {
  readonly dispatcher: Dispatcher;
  readonly clock: Clock;
  /** The registry's own address; nothing of ours is shown to others, but for token services that it names. */
  readonly registry: URL;
  readonly credentials: RegistryCredentials;
}

interface Token {
  readonly value: string;
  readonly usableUntil: Date;
}

/** A token is not used in its last seconds: it must still be good when the registry reads it. */
const TOKEN_MARGIN_MS = 10 * SECOND_MS;
/** What a token holds when its service does not say (Docker's token specification), and the most that is believed. */
const TOKEN_LIFE_DEFAULT_S = 60;
const TOKEN_LIFE_MAX_S = 24 * 3600;
/** Tokens kept at a time, one for each repository in use; the oldest goes. */
const TOKENS_MAX = 5000;

const tokenSchema = z.object({
  token: z.string().max(65_536).nullish(),
  access_token: z.string().max(65_536).nullish(),
  expires_in: z.number().positive().max(1e9).nullish(),
});

/**
 * Sends requests to one registry with the authority it asks for: none, Basic, or a Bearer token by Docker's token flow
 * (distribution's docs/spec/auth/token.md). The scheme is learnt from the first challenge; a token is kept for each scope
 * until shortly before its end and asked for once, however many requests wait for it.
 */
export class RegistryAccess {
  readonly #options: RegistryAccessOptions;
  readonly #tokens = new Map<string, Token>();
  readonly #underWay = new Map<string, Promise<Token>>();
  #challenge: Challenge | undefined;

  constructor(options: RegistryAccessOptions) {
    this.#options = options;
  }

  /** Sends `ask` with the right to pull from `repository`. @throws {RegistryError} also `UNAUTHORIZED` when no token is to be had. */
  async send(ask: Ask, repository: string): Promise<Answer> {
    const scope = `repository:${repository}:pull`;
    const shown = await this.#authorization(scope, ask.signal);
    const answer = await this.#sendWith(shown, ask);
    // A store to which the registry redirected must not send us, and our password, to a token service of its own.
    if (answer.status !== 401 || answer.url.origin !== this.#options.registry.origin) return answer;
    const challenge = this.#chosenChallenge(answer);
    if (challenge === undefined) return answer;
    this.#challenge = challenge;
    // What was refused is not shown again: a token may have been revoked before its time.
    if (shown !== undefined && this.#tokens.get(scope)?.value === shown.slice('Bearer '.length)) this.#tokens.delete(scope);
    const anew = await this.#authorization(scope, ask.signal).catch((error: unknown) => {
      answer.body.destroy();
      throw error;
    });
    if (anew === undefined || anew === shown) return answer;
    await answer.body.dump();
    return this.#sendWith(anew, ask);
  }

  #sendWith(authorization: string | undefined, ask: Ask): Promise<Answer> {
    const headers = authorization === undefined ? ask.headers : { ...ask.headers, authorization };
    return send(this.#options.dispatcher, { ...ask, headers });
  }

  #chosenChallenge(answer: Answer): Challenge | undefined {
    const challenges = parseChallenges([answer.headers['www-authenticate'] ?? []].flat().join(', '));
    return challenges.find(({ scheme }) => scheme === 'bearer') ?? challenges.find(({ scheme }) => scheme === 'basic');
  }

  async #authorization(scope: string, signal: AbortSignal | undefined): Promise<string | undefined> {
    if (this.#challenge === undefined) return undefined;
    if (this.#challenge.scheme === 'basic') return this.#basic();
    const token = await orAborted(this.#token(this.#challenge, scope), signal);
    return `Bearer ${token.value}`;
  }

  #basic(): string | undefined {
    const { credentials } = this.#options;
    return credentials.kind === 'basic' ? `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64')}` : undefined;
  }

  #token(challenge: Challenge, scope: string): Promise<Token> {
    const known = this.#tokens.get(scope);
    if (known !== undefined && known.usableUntil > this.#options.clock.now()) return Promise.resolve(known);
    let asking = this.#underWay.get(scope);
    if (asking === undefined) {
      asking = this.#askToken(challenge, scope).finally(() => this.#underWay.delete(scope));
      this.#underWay.set(scope, asking);
    }
    return asking;
  }

  async #askToken(challenge: Challenge, scope: string): Promise<Token> {
    const { dispatcher, clock } = this.#options;
    const basic = this.#basic();
    const ask: Ask = { method: 'GET', url: this.#tokenUrl(challenge, scope), headers: basic === undefined ? {} : { authorization: basic } };
    const answer = await send(dispatcher, ask);
    if (answer.status !== 200) throw await errorOf(ask, answer, { missing: 'UNAUTHORIZED', clock });
    const token = readToken(await readBounded(ask, answer, SMALL_BODY_BYTES_MAX), clock.now());
    this.#tokens.delete(scope);
    this.#tokens.set(scope, token);
    const [oldest] = this.#tokens.keys();
    if (this.#tokens.size > TOKENS_MAX && oldest !== undefined) this.#tokens.delete(oldest);
    return token;
  }

  /** A registry on https must not send our password over http. */
  #tokenUrl({ parameters }: Challenge, scope: string): URL {
    const realm = parameters['realm'] ?? '';
    const url = URL.canParse(realm) ? new URL(realm) : undefined;
    const allowed = url?.protocol === 'https:' || (url?.protocol === 'http:' && this.#options.registry.protocol === 'http:');
    if (url === undefined || !allowed) throw new RegistryError('REGISTRY_PROTOCOL', `${this.#options.registry.origin} names no usable token service`);
    if (parameters['service'] !== undefined) url.searchParams.set('service', parameters['service']);
    url.searchParams.set('scope', scope);
    return url;
  }
}

function readToken(body: Buffer, now: Date): Token {
  let parsed: z.infer<typeof tokenSchema>;
  try {
    parsed = tokenSchema.parse(JSON.parse(body.toString()));
  } catch (cause) {
    throw new RegistryError('REGISTRY_PROTOCOL', 'the token service answered no token', { cause });
  }
  const value = parsed.token || parsed.access_token;
  if (!value) throw new RegistryError('REGISTRY_PROTOCOL', 'the token service answered no token');
  const lifeMs = Math.min(parsed.expires_in ?? TOKEN_LIFE_DEFAULT_S, TOKEN_LIFE_MAX_S) * SECOND_MS;
  return { value, usableUntil: after(now, Math.max(lifeMs / 2, lifeMs - TOKEN_MARGIN_MS)) };
}

/** `promise`, unless `signal` aborts first; the promise itself goes on, for others wait for it too. */
async function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  signal.throwIfAborted();
  let stop: () => void = () => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
