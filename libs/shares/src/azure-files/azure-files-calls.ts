import { type Clock, type RetryPolicy, retrying } from '#clock';
import { MINUTE_MS, SECOND_MS } from '#quantities';

import type { WindowBounds } from '../adaptive-window.js';
import { ShareError } from '../share-error.js';
import { shareErrorOf } from './azure-files-error.js';
import { CallGate } from './call-gate.js';

/**
 * Full jitter from 0.25 s to 20 s; asked waits are honoured up to a minute. Six tries ride out a throttled share, not an outage; and no try begins later
 * than five minutes after the first, for whoever waits holds a claim.
 */
const RETRY: RetryPolicy = { triesMax: 6, firstWaitMs: 250, waitMaxMs: 20 * SECOND_MS, askedWaitMaxMs: MINUTE_MS, totalMaxMs: 5 * MINUTE_MS };
/** One try of one call: 4 MiB at 100 KiB/s take 40 s. */
const TRY_TIMEOUT_MS = MINUTE_MS;
/** Calls under way on one share: 16 × 4 MiB carry 200 MiB/s at 0.3 s a call, 64 of them 800 MiB/s, about what one file may be read with. */
const SHARE_CALLS: WindowBounds = { min: 2, start: 16, max: 64 };
/** Calls under way on all shares of one account. */
export const ACCOUNT_CALLS: WindowBounds = { min: 4, start: 64, max: 256 };

/** What one call is about. */
export interface CallSubject {
  /** For errors: of the file or folder; empty for the share itself. */
  readonly path: string;
  /** Whether it moves about a piece of bytes. */
  readonly bulk?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Makes the calls to one share: bounded, timed, tried again while that may help, their failures turned. Calls must bear being made twice. */
export class AzureFilesCalls {
  readonly #share: string;
  readonly #accountGate: CallGate;
  readonly #shareGate: CallGate;
  readonly #clock: Clock;

  constructor(share: string, accountGate: CallGate, clock: Clock) {
    this.#share = share;
    this.#accountGate = accountGate;
    this.#shareGate = new CallGate(SHARE_CALLS, clock);
    this.#clock = clock;
  }

  /** Calls that may be under way on this share now. */
  get width(): number {
    return this.#shareGate.width;
  }

  /** @throws {ShareError}; the signal's reason. */
  make<T>({ path, bulk = false, signal }: CallSubject, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const attempt = async (): Promise<T> => {
      const timeout = AbortSignal.timeout(TRY_TIMEOUT_MS);
      try {
        return await call(signal === undefined ? timeout : AbortSignal.any([signal, timeout]));
      } catch (error) {
        signal?.throwIfAborted();
        throw shareErrorOf(error, { share: this.#share, path, now: this.#clock.now() });
      }
    };
    const ofAccount = { bulk: false, isThrottling: throttlesAccount, signal };
    const ofShare = { bulk, isThrottling: throttles, signal };
    return retrying({ clock: this.#clock, policy: RETRY, judge, signal }, () => this.#shareGate.run(() => this.#accountGate.run(attempt, ofAccount), ofShare));
  }
}

/** A mismatch of what we sent is tried again too: the bytes are still here. */
function judge(error: unknown): { readonly retry: boolean; readonly askedWaitMs?: number | undefined } {
  if (!(error instanceof ShareError)) return { retry: false };
  const asked = error.details['retryAfterMs'];
  const retry = error.transient || error.details['azureCode'] === 'Md5Mismatch';
  return { retry, askedWaitMs: typeof asked === 'number' ? asked : undefined };
}

/** Refused for being too many, or given up by the service for having waited too long within it. A busy source makes the target send fewer copies too. */
function throttles(error: unknown): boolean {
  if (!(error instanceof ShareError)) return false;
  const { azureCode, sourceCode } = error.details;
  return error.code === 'SHARE_BUSY' || azureCode === 'OperationTimedOut' || (error.transient && sourceCode !== undefined);
}

function throttlesAccount(error: unknown): boolean {
  return throttles(error) && (error as ShareError).details['limitOf'] === 'account';
}
