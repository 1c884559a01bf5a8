import { createHash } from 'node:crypto';

import { bearerOf, type FailureBuckets } from '#access';
import type { Clock } from '#clock';
import { formatReference, type Reference } from '#oci';
import { MINUTE_MS, SECOND_MS } from '#quantities';
import type { ProbeAnswer, RegistryClient, TokenVerifier } from '#registry';

import { RegistryPace } from './registry-pace.js';

/** How long the registry's word on a caller is taken for the same question. */
export const ANSWER_KEPT_MS = MINUTE_MS;
/** How long a refusal is: someone who has just been given the right should not wait. */
export const REFUSAL_KEPT_MS = 2 * SECOND_MS;
/** Words that are remembered; the oldest go. */
const KEPT_MAX = 50_000;

/**
 * What a caller may do: as the registry or its token says; that the registry could not be asked in time; or that an address has shown too many bad credentials and
 * has to wait. A challenge with `insufficient` is for a good token that is not for this repository.
 */
export type PullRight = ProbeAnswer | 'unavailable' | { readonly challenge: string; readonly insufficient: true } | { readonly waitMs: number };

/** How tokens are verified here, without asking the registry. */
export interface TokenTerms {
  readonly verifier: Pick<TokenVerifier, 'verify'>;
  /** Where clients get tokens: the `realm` of challenges. */
  readonly realm: string;
  /** The registry's name for itself: the `service` of challenges. */
  readonly service: string;
}

/** What a {@link PullAuthority} may have besides a registry and a clock. */
export interface PullAuthorityOptions {
  /** Absent: the registry is asked about every token. */
  readonly tokens?: TokenTerms | undefined;
  /** Absent: nobody is slowed down. */
  readonly failures?: Pick<FailureBuckets, 'failed' | 'waitMs'> | undefined;
  /** Hears of every credential that was refused, and why. */
  readonly onRefused?: ((reason: string) => void) | undefined;
  /** How long a pull waits for the registry's word at least, in milliseconds, however quick the registry usually is. Absent: as long as the registry client does. */
  readonly patienceMinMs?: number | undefined;
}

/**
 * Finds out whether a caller may pull an image. A token that the registry's keys have signed speaks for itself: it names the repositories that its holder may pull from. For all
 * others, and for callers without any, the registry is asked with the caller's own authority, and its word is remembered for a minute at most, never beyond the time that a token names for itself.
 */
export class PullAuthority {
  readonly #registry: Pick<RegistryClient, 'probe'>;
  readonly #clock: Clock;
  readonly #options: PullAuthorityOptions;
  readonly #kept = new Map<string, { readonly right: PullRight; readonly untilMs: number }>();
  readonly #asking = new Map<string, Promise<PullRight>>();
  readonly #pace = new RegistryPace();

  constructor(registry: Pick<RegistryClient, 'probe'>, clock: Clock, options: PullAuthorityOptions = {}) {
    this.#registry = registry;
    this.#clock = clock;
    this.#options = options;
  }

  /** Whether the caller with this Authorization header, at this address, may pull. Never throws, and waits no longer than `KEYS_WAIT_MAX_MS` for the registry's keys, and for the registry as {@link PullAuthorityOptions.patienceMinMs} says. */
  async rightTo(repository: string, reference: Reference, authorization: string | undefined, address = ''): Promise<PullRight> {
    const token = bearerOf(authorization);
    let endsAtMs = token === undefined ? Number.POSITIVE_INFINITY : endOf(token);
    if (token !== undefined && this.#options.tokens !== undefined) {
      const right = await this.#rightByToken(this.#options.tokens, repository, token, address);
      if (right === 'time-doubtful') endsAtMs = Number.POSITIVE_INFINITY;
      else if (right !== undefined) return right;
    }
    const question = createHash('sha256').update(JSON.stringify([repository, formatReference(reference), authorization ?? null])).digest('base64');
    const kept = this.#kept.get(question);
    if (kept !== undefined && this.#clock.now().getTime() < kept.untilMs) return kept.right;
    let asking = this.#asking.get(question);
    if (asking === undefined) {
      // Guesses are not passed on without end: the registry would slow down this service, and with it everybody.
      const waitMs = authorization === undefined ? 0 : (this.#options.failures?.waitMs(address, this.#clock.now().getTime()) ?? 0);
      if (waitMs > 0) return { waitMs };
      asking = this.#ask(repository, reference, authorization).then((right) => {
        this.#keep(question, right, endsAtMs);
        if (authorization !== undefined && (right === 'denied' || typeof right === 'object')) this.#failed('registry', address);
        return right;
      }).finally(() => this.#asking.delete(question));
      this.#asking.set(question, asking);
    }
    return this.#whilePatient(asking);
  }

  /** The registry's word, or `unavailable` when it takes much longer than usual: it is waited for without the caller then, and remembered for the next time. */
  async #whilePatient(asking: Promise<PullRight>): Promise<PullRight> {
    const { patienceMinMs = Number.POSITIVE_INFINITY } = this.#options;
    const patienceMs = Math.max(patienceMinMs, this.#pace.patienceMs);
    if (patienceMs === Number.POSITIVE_INFINITY) return asking;
    const { promise: tooLong, resolve } = Promise.withResolvers<PullRight>();
    const timer = setTimeout(() => resolve('unavailable'), patienceMs);
    try {
      return await Promise.race([asking, tooLong]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** @returns undefined when the token does not tell, and the registry has to; so it has to when the token's times and the clock here differ, and then its end by this clock means nothing. */
  async #rightByToken({ verifier, realm, service }: TokenTerms, repository: string, token: string, address: string): Promise<PullRight | 'time-doubtful' | undefined> {
    const verdict = await verifier.verify(token);
    if (verdict.kind === 'time-doubtful') return 'time-doubtful';
    if (verdict.kind === 'opaque' || verdict.kind === 'keys-unavailable') return undefined;
    if (verdict.kind === 'good' && verdict.pulls.has(repository)) return 'allowed';
    const challenge = `Bearer realm="${realm}",service="${service}",scope="repository:${repository}:pull"`;
    if (verdict.kind === 'good') return { challenge: `${challenge},error="insufficient_scope"`, insufficient: true };
    const waitMs = this.#failed(verdict.reason, address);
    return waitMs > 0 ? { waitMs } : { challenge: `${challenge},error="invalid_token"` };
  }

  #failed(reason: string, address: string): number {
    this.#options.onRefused?.(reason);
    return this.#options.failures?.failed(address, this.#clock.now().getTime()) ?? 0;
  }

  async #ask(repository: string, reference: Reference, authorization: string | undefined): Promise<PullRight> {
    const startedAt = performance.now();
    try {
      const right = await this.#registry.probe(repository, reference, authorization);
      this.#pace.took(performance.now() - startedAt);
      return right;
    } catch {
      // Whatever kept the registry from answering, the caller is answered: with blobs, which need the registry's own consent.
      return 'unavailable';
    }
  }

  #keep(question: string, right: PullRight, endsAtMs: number): void {
    this.#kept.delete(question);
    if (right === 'unavailable') return;
    const nowMs = this.#clock.now().getTime();
    const untilMs = nowMs + (right === 'allowed' ? ANSWER_KEPT_MS : REFUSAL_KEPT_MS);
    this.#kept.set(question, { right, untilMs: Math.min(untilMs, Math.max(nowMs, endsAtMs)) });
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > KEPT_MAX && oldest !== undefined) this.#kept.delete(oldest);
  }
}

/** When a token ends by its own word, which nobody has verified: good enough to ask the registry sooner. */
function endOf(token: string): number {
  try {
    const { exp } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { exp?: unknown };
    return typeof exp === 'number' && Number.isFinite(exp) ? exp * SECOND_MS : Number.POSITIVE_INFINITY;
  } catch {
    // Most tokens of registries say nothing of themselves.
    return Number.POSITIVE_INFINITY;
  }
}
