import type { Clock } from './clock.js';

/** How often and how patiently a failed call is tried again. */
export interface RetryPolicy {
  /** Tries in all, the first one included; at least 1. */
  readonly triesMax: number;
  /** Upper bound of the first wait, in milliseconds; it doubles with every try. */
  readonly firstWaitMs: number;
  /** Upper bound of any wait that we choose ourselves, in milliseconds. */
  readonly waitMaxMs: number;
  /** Upper bound of a wait that the other side asks for (`Retry-After`), in milliseconds; a longer one is not waited for: the call fails. */
  readonly askedWaitMaxMs: number;
  /** No try begins later than this after the first one, in milliseconds, whatever is left of the tries; default: no bound. */
  readonly totalMaxMs?: number;
}

/** What the border knows of a failure: whether to try again, and how long the other side asked to wait. */
export interface RetryVerdict {
  readonly retry: boolean;
  /** Milliseconds that the other side asked for; undefined when it did not. */
  readonly askedWaitMs?: number | undefined;
}

/** What {@link retrying} needs besides the call. */
export interface RetryContext {
  readonly clock: Clock;
  readonly policy: RetryPolicy;
  /** Turns a failure into a verdict; called once for each failed try. */
  readonly judge: (error: unknown) => RetryVerdict;
  /** Ends waiting and trying; its reason is thrown. */
  readonly signal?: AbortSignal | undefined;
  /** A number in [0, 1); `Math.random` unless a test says otherwise. */
  readonly random?: () => number;
}

/**
 * Calls `call` until it succeeds, its failure is final, or the policy is used up. Waits use full jitter: a uniform
 * draw below a bound that doubles with every try, so that many clients do not return at the same instant.
 * @throws the last failure of `call`, or the signal's reason.
 */
export async function retrying<T>(context: RetryContext, call: (tryNumber: number) => Promise<T>): Promise<T> {
  const { clock, policy, judge, signal, random = Math.random } = context;
  const startedAtMs = clock.now().getTime();
  for (let tryNumber = 1; ; tryNumber += 1) {
    signal?.throwIfAborted();
    try {
      return await call(tryNumber);
    } catch (error) {
      signal?.throwIfAborted();
      const verdict = judge(error);
      const asked = verdict.askedWaitMs ?? 0;
      if (!verdict.retry || tryNumber >= policy.triesMax || asked > policy.askedWaitMaxMs) throw error;
      const waitMs = Math.max(asked, jitteredWaitMs(policy, tryNumber, random()));
      if (clock.now().getTime() + waitMs - startedAtMs > (policy.totalMaxMs ?? Number.POSITIVE_INFINITY)) throw error;
      await clock.sleep(waitMs, signal);
    }
  }
}

/** The wait after try `tryNumber` (from 1) for a uniform draw in [0, 1), in milliseconds. */
export function jitteredWaitMs(policy: RetryPolicy, tryNumber: number, draw: number): number {
  const bound = Math.min(policy.waitMaxMs, policy.firstWaitMs * 2 ** Math.min(tryNumber - 1, 40));
  return Math.floor(bound * draw);
}

/**
 * Reads a `Retry-After` header (RFC 9110 §10.2.3): seconds, or an HTTP date.
 * @returns milliseconds from `now`, never negative; undefined when the header is absent or unreadable.
 */
export function parseRetryAfterMs(header: string | null | undefined, now: Date): number | undefined {
  if (header === null || header === undefined || header.trim() === '') return undefined;
  if (/^\d+$/.test(header.trim())) return Number(header.trim()) * 1000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now.getTime());
}
