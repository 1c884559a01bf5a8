import { hash } from 'node:crypto';

import { decodeProtectedHeader, errors, type JWTPayload, jwtVerify } from 'jose';

import type { Clock } from '#clock';
import { MINUTE_MS, SECOND_MS } from '#quantities';

import { leafKeyOf } from './certificate-chain.js';
import { KEYS_WAIT_MAX_MS, type TokenKeys } from './token-keys.js';
import { type VerificationKey, verificationKey } from './verification-key.js';

/** Verified tokens that are remembered; the one that was not shown for longest goes. Some 300 bytes each. */
export const VERIFIED_TOKENS_MAX = 50_000;
/** The longest token that is looked at: ACR's have some 2,000 characters. */
export const TOKEN_LENGTH_MAX = 16_384;
/** Readings that a token whose key is missing waits for, both together: one that was under way, and one that began after the token came. */
const KEYS_TURNS_MAX = 2;
/** Keys that one token without a `kid` is tried against. */
const TRIED_KEYS_MAX = 16;
/** Rights in one token that are looked at: a client asks for one image at a time. */
const RIGHTS_MAX = 100;

/** How far off its time a token may be, beyond the leeway, for this process's own clock to be doubted: more than clocks of servers are ever wrong by. */
export const CLOCK_WRONG_MAX_MS = 15 * MINUTE_MS;

/** Why a token is not good. */
export type TokenRefusal = 'malformed' | 'algorithm' | 'key-unknown' | 'signature' | 'expired' | 'not-yet' | 'audience' | 'issuer';

/** What became of a token. */
export type TokenVerdict =
  | { readonly kind: 'good'; readonly pulls: ReadonlySet<string> }
  | { readonly kind: 'refused'; readonly reason: TokenRefusal }
  /** It is no signed token: only whoever gave it can say what it is worth. */
  | { readonly kind: 'opaque' }
  /** It names a key that is not known, while some keys could not be read. */
  | { readonly kind: 'keys-unavailable' }
  /** All of it is good but its time, and that by no more than {@link CLOCK_WRONG_MAX_MS}: it may be this process's clock that is wrong, and whoever gave it knows. */
  | { readonly kind: 'time-doubtful' };

/** What a {@link TokenVerifier} is made with. */
export interface TokenVerifierOptions {
  readonly keys: TokenKeys;
  readonly clock: Clock;
  /** The registry's name for itself: a token must be for it. */
  readonly audience: string;
  /** Who gives tokens; absent: whoever has one of the keys. */
  readonly issuer?: string | undefined;
  /** By how much clocks may differ, in milliseconds. */
  readonly leewayMs: number;
  /** Default {@link VERIFIED_TOKENS_MAX}. */
  readonly rememberedMax?: number;
}

interface Verified {
  readonly verdict: TokenVerdict & { readonly kind: 'good' };
  readonly untilMs: number;
  readonly generation: number;
}

/**
 * Verifies the bearer tokens that a registry's token service signs (distribution's docs/spec/auth/jwt.md): a JWS by one of the configured keys, for this audience, within its time,
 * with the repositories that it may pull from. A verdict that is good is remembered by the token's digest until the token ends or the keys change.
 */
export class TokenVerifier {
  readonly #options: TokenVerifierOptions;
  readonly #verified = new Map<string, Verified>();

  constructor(options: TokenVerifierOptions) {
    this.#options = options;
  }

  /** Verified tokens that are remembered. */
  get size(): number {
    return this.#verified.size;
  }

  /** What a token is worth. Never throws; waits for keys only when they were never read, or when the token may be signed with one that is not known, and no longer than {@link KEYS_WAIT_MAX_MS} for each. */
  async verify(text: string): Promise<TokenVerdict> {
    if (text.length > TOKEN_LENGTH_MAX) return refused('malformed');
    const { keys, clock } = this.#options;
    const { readings } = keys;
    const name = hash('sha256', text, 'base64');
    const remembered = this.#verified.get(name);
    await keys.refresh();
    if (remembered !== undefined && remembered.generation === keys.generation && clock.now().getTime() < remembered.untilMs) {
      this.#verified.delete(name);
      this.#verified.set(name, remembered);
      return remembered.verdict;
    }
    this.#verified.delete(name);
    const header = headerOf(text);
    if (header === undefined) return { kind: 'opaque' };
    const generation = keys.generation;
    let verdict = await this.#verdictBy(text, header);
    const patience = performance.now() + KEYS_WAIT_MAX_MS;
    for (let turn = 0; turn < KEYS_TURNS_MAX && isKeyMissing(verdict, header); turn += 1) {
      if (!(await keys.readAgain(readings, Math.max(0, patience - performance.now())))) break;
      verdict = await this.#verdictBy(text, header);
    }
    if (isKeyMissing(verdict, header) && !keys.settled) return { kind: 'keys-unavailable' };
    if (!('untilMs' in verdict)) return verdict;
    const good = { kind: 'good', pulls: verdict.pulls } as const;
    this.#remember(name, { verdict: good, untilMs: verdict.untilMs, generation });
    return good;
  }

  async #verdictBy(text: string, header: Header): Promise<Exclude<TokenVerdict, { kind: 'good' }> | { readonly kind: 'good'; readonly pulls: ReadonlySet<string>; readonly untilMs: number }> {
    if (!ALGORITHMS.has(header.alg)) return refused('algorithm');
    const candidates = await this.#candidates(header);
    if (candidates.length === 0) return refused('key-unknown');
    const able = candidates.filter(({ algorithms }) => algorithms.includes(header.alg));
    if (able.length === 0) return refused('algorithm');
    let reason: TokenRefusal = 'signature';
    for (const { key, algorithms } of able.slice(0, TRIED_KEYS_MAX)) {
      try {
        const { payload } = await jwtVerify(text, key, { ...this.#terms(), algorithms: [...algorithms] });
        return { kind: 'good', pulls: pullsOf(payload), untilMs: (payload.exp ?? 0) * 1000 + this.#options.leewayMs };
      } catch (error) {
        if (this.#isDoubtful(error)) return { kind: 'time-doubtful' };
        reason = refusalOf(error);
        // Whose signature it is has been found out, or never will be.
        if (reason !== 'signature') break;
      }
    }
    return refused(reason);
  }

  #terms(): Parameters<typeof jwtVerify>[2] & object {
    const { audience, issuer, leewayMs, clock } = this.#options;
    return { audience, ...(issuer === undefined ? {} : { issuer }), clockTolerance: leewayMs / 1000, currentDate: clock.now(), requiredClaims: ['exp'] };
  }

  /** Whether a token was refused for its time alone, and by so little that it may be the clock here. Signature, audience and issuer have been looked at by then. */
  #isDoubtful(error: unknown): boolean {
    const { clock, leewayMs } = this.#options;
    const instant = error instanceof errors.JWTExpired ? error.payload.exp : error instanceof errors.JWTClaimValidationFailed && error.claim === 'nbf' && error.reason === 'check_failed' ? error.payload.nbf : undefined;
    return instant !== undefined && Math.abs(clock.now().getTime() - instant * SECOND_MS) <= leewayMs + CLOCK_WRONG_MAX_MS;
  }

  /** Keys that may have signed it. What a token brings itself is believed only as far as it leads to a configured key. */
  async #candidates({ kid, x5c, jwk }: Header): Promise<readonly VerificationKey[]> {
    const { keys, clock } = this.#options;
    if (x5c !== undefined) {
      const leaf = leafKeyOf(x5c, keys.roots, clock.now());
      return leaf === undefined ? [] : verificationKey(leaf);
    }
    if (jwk !== undefined) return keys.find(undefined).filter(({ key }) => isSameKey(key, jwk));
    return keys.find(kid);
  }

  #remember(name: string, verified: Verified): void {
    this.#verified.set(name, verified);
    const [oldest] = this.#verified.keys();
    if (this.#verified.size > (this.#options.rememberedMax ?? VERIFIED_TOKENS_MAX) && oldest !== undefined) this.#verified.delete(oldest);
  }
}

/** Whether a token may be signed with a key that is not known. One that names none is tried against all that are. */
function isKeyMissing(verdict: TokenVerdict, { kid, x5c, jwk }: Header): boolean {
  if (verdict.kind !== 'refused') return false;
  return verdict.reason === 'key-unknown' || (verdict.reason === 'signature' && kid === undefined && x5c === undefined && jwk === undefined);
}

/** Signatures with public keys only: `none` and every HMAC are not among them. */
const ALGORITHMS: ReadonlySet<string> = new Set(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']);

interface Header {
  readonly alg: string;
  readonly kid: string | undefined;
  readonly x5c: unknown;
  readonly jwk: unknown;
}

/** The header of a compact JWS; undefined for every other text. */
function headerOf(text: string): Header | undefined {
  if (!/^[\w-]+\.[\w-]+\.[\w-]*$/.test(text)) return undefined;
  try {
    const { alg, kid, x5c, jwk } = decodeProtectedHeader(text);
    return typeof alg === 'string' ? { alg, kid: typeof kid === 'string' ? kid : undefined, x5c, jwk } : undefined;
  } catch {
    // Three words with points between them, and no token: whoever gave it may know.
    return undefined;
  }
}

function isSameKey(known: VerificationKey['key'], jwk: unknown): boolean {
  const own = known.export({ format: 'jwk' });
  return typeof jwk === 'object' && jwk !== null && (['kty', 'n', 'e', 'crv', 'x', 'y'] as const).every((member) => own[member] === (jwk as Record<string, unknown>)[member]);
}

/** The repositories from which a token's `access` claim lets its holder pull. Entries that are not as they should be give nothing. */
function pullsOf({ access }: JWTPayload): ReadonlySet<string> {
  const pulls = new Set<string>();
  for (const entry of Array.isArray(access) ? (access as unknown[]).slice(0, RIGHTS_MAX) : []) {
    const { type, name, actions } = (entry ?? {}) as { type?: unknown; name?: unknown; actions?: unknown };
    if (type !== 'repository' || typeof name !== 'string' || !Array.isArray(actions)) continue;
    if (actions.includes('pull') || actions.includes('*')) pulls.add(name);
  }
  return pulls;
}

function refused(reason: TokenRefusal): { readonly kind: 'refused'; readonly reason: TokenRefusal } {
  return { kind: 'refused', reason };
}

function refusalOf(error: unknown): TokenRefusal {
  if (error instanceof errors.JWTExpired) return 'expired';
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'signature';
  if (error instanceof errors.JOSEAlgNotAllowed || error instanceof errors.JOSENotSupported) return 'algorithm';
  if (error instanceof errors.JWTClaimValidationFailed) {
    const ofClaim: Readonly<Record<string, TokenRefusal>> = { aud: 'audience', iss: 'issuer', nbf: 'not-yet' };
    return ofClaim[error.claim] ?? 'malformed';
  }
  return 'malformed';
}
