import type { RetryPolicy } from '#clock';
import { MiB, MINUTE_MS, SECOND_MS } from '#quantities';

/** How long and how often a registry is waited for. */
export interface RegistryLimits {
  /** To open a connection, TLS included. */
  readonly connectMaxMs: number;
  /** From the request to the answer's headers. */
  readonly headersMaxMs: number;
  /** Between two chunks of a body. */
  readonly idleBodyMaxMs: number;
  /** For the whole of a {@link RegistryClient.probe}: a pull waits for it. */
  readonly probeMaxMs: number;
  /** Of requests that failed, before their body. */
  readonly retry: RetryPolicy;
  /** How often one blob's download is taken up again after a cut. */
  readonly resumesMax: number;
  /** Connections to one host. */
  readonly connectionsMax: number;
}

/** Patient enough for a registry in another region that is being restarted. */
export const DEFAULT_REGISTRY_LIMITS: RegistryLimits = {
  connectMaxMs: 10 * SECOND_MS,
  headersMaxMs: 30 * SECOND_MS,
  idleBodyMaxMs: 30 * SECOND_MS,
  probeMaxMs: 3 * SECOND_MS,
  retry: { triesMax: 5, firstWaitMs: 500, waitMaxMs: 10 * SECOND_MS, askedWaitMaxMs: MINUTE_MS },
  resumesMax: 8,
  connectionsMax: 64,
};

/** Redirects of one request: a blob's goes to a store, which may send on to a region. */
export const REDIRECTS_MAX = 5;
/** The longest error answer or token answer that is read. */
export const SMALL_BODY_BYTES_MAX = 1 * MiB;
/** Tags that are asked for in one page. */
export const TAGS_PAGE = 1000;
/** The longest page of tags that is read: registries may answer more than was asked for. */
export const TAGS_PAGE_BYTES_MAX = 16 * MiB;
/** The longest `Authorization` header of a caller that is passed on. */
export const AUTHORIZATION_LENGTH_MAX = 16_384;
