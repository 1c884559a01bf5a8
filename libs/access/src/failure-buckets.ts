import { isIPv6 } from 'node:net';

import { SECOND_MS } from '#quantities';

/** Failed authentications that an address may have in a row before it is slowed down: a fleet behind one address that was given a wrong token still hears that it is wrong. */
export const FAILURES_BURST = 100;
/** How fast the right to fail comes back, in failures a second. */
export const FAILURES_PER_SECOND = 2;
/** Addresses that are remembered; the one that failed longest ago goes. About 100 bytes each. */
export const FAILING_ADDRESSES_MAX = 20_000;

interface Bucket {
  tokens: number;
  filledAtMs: number;
}

/**
 * How often each address may still fail to authenticate: a token bucket for each, in bounded memory. Only failures are counted, and only failures are slowed down:
 * whoever shares an address with an attacker and shows a good token is let in as always. A whole IPv6 /64 counts as one address, because its owner has all of it.
 */
export class FailureBuckets {
  readonly #buckets = new Map<string, Bucket>();

  /** How many addresses are remembered. */
  get size(): number {
    return this.#buckets.size;
  }

  /** Counts a failure. @returns 0 when it may be answered as what it is; otherwise how long the address has to wait, in milliseconds. */
  failed(address: string, nowMs: number): number {
    const key = networkOf(address);
    const bucket = this.#filled(key, nowMs);
    // Behind the others: the map's order is that of the last failures.
    this.#buckets.delete(key);
    this.#buckets.set(key, bucket);
    if (this.#buckets.size > FAILING_ADDRESSES_MAX) {
      const [oldest] = this.#buckets.keys();
      if (oldest !== undefined) this.#buckets.delete(oldest);
    }
    if (bucket.tokens < 1) return Math.ceil(((1 - bucket.tokens) / FAILURES_PER_SECOND) * SECOND_MS);
    bucket.tokens -= 1;
    return 0;
  }

  /** How long the address has to wait until it may fail again, in milliseconds; 0 for one in good standing. Counts nothing. */
  waitMs(address: string, nowMs: number): number {
    const { tokens } = this.#filled(networkOf(address), nowMs);
    return tokens < 1 ? Math.ceil(((1 - tokens) / FAILURES_PER_SECOND) * SECOND_MS) : 0;
  }

  #filled(key: string, nowMs: number): Bucket {
    const bucket = this.#buckets.get(key) ?? { tokens: FAILURES_BURST, filledAtMs: nowMs };
    // A clock that was set back fills nothing, and takes nothing.
    const passedMs = Math.max(0, nowMs - bucket.filledAtMs);
    bucket.tokens = Math.min(FAILURES_BURST, bucket.tokens + (passedMs / SECOND_MS) * FAILURES_PER_SECOND);
    bucket.filledAtMs = nowMs;
    return bucket;
  }
}

/** An IPv4 address as it is, also in IPv6's clothes; of an IPv6 address the first 64 bits. */
function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  if (!isIPv6(address)) return address;
  const [head = '', tail] = address.split('%')[0]!.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const whole = tail === undefined ? left : [...left, ...Array<string>(Math.max(0, 8 - left.length - right.length)).fill('0'), ...right];
  return `${whole.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16)).join(':')}::/64`;
}
