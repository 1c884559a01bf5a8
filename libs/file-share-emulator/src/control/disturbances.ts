import type { Clock } from '#clock';
import { SystemClock } from '#clock';

import { AzureFilesError } from '../azure-error.js';
import { TokenBucket } from './token-bucket.js';

/** Where a limit or a fault applies; what is absent is everything. */
export interface Scope {
  readonly account?: string | undefined;
  readonly share?: string | undefined;
  /** The name of an operation, as in the reference of the REST API: `Put Range`, `Get File`, … */
  readonly operation?: string | undefined;
}

/** How fast an account or a share is. */
export interface Limit extends Omit<Scope, 'operation'> {
  /** Added to every request. */
  readonly latencyMs?: number | undefined;
  /** Payload in both directions together, as Azure counts a share's throughput. */
  readonly bytesPerSecond?: number | undefined;
  /** More than these are refused with 503 ServerBusy; a second's worth may be saved up. */
  readonly requestsPerSecond?: number | undefined;
}

/** How fast copies go from one region to another. */
export interface Link {
  readonly from: string;
  readonly to: string;
  /** Added to every copied piece. */
  readonly latencyMs?: number | undefined;
  readonly bytesPerSecond?: number | undefined;
}

/** What can go wrong on purpose. */
export const FAULT_KINDS = ['server-busy', 'timed-out', 'cut-body', 'flipped-byte', 'source-expired', 'share-full', 'copy-pending', 'slow-deletion'] as const;

/** One of {@link FAULT_KINDS}. */
export type FaultKind = (typeof FAULT_KINDS)[number];

/** Something that goes wrong on purpose. */
export interface Fault extends Scope {
  readonly kind: FaultKind;
  /** The part of the cases that it hits, 0 to 1; default 1. */
  readonly ratio?: number | undefined;
  /** For `cut-body`: how much of the body goes over before the connection is cut; default half of it. */
  readonly afterBytes?: number | undefined;
  /** For `slow-deletion`: how long the name of a deleted share stays taken; default 30 s, as in Azure. */
  readonly ms?: number | undefined;
}

/** Everything that makes an emulator slower or less reliable than it is. */
export interface DisturbanceSettings {
  readonly limits?: readonly Limit[] | undefined;
  readonly links?: readonly Link[] | undefined;
  readonly faults?: readonly Fault[] | undefined;
  /** Where the dice of `ratio` start; the same seed and the same requests give the same faults. */
  readonly seed?: number | undefined;
}

interface ActiveLimit {
  readonly limit: Limit;
  readonly bytes: TokenBucket | undefined;
  readonly requests: TokenBucket | undefined;
}

interface ActiveLink {
  readonly link: Link;
  readonly bytes: TokenBucket | undefined;
}

const BUSY_MESSAGES = ['The server is busy.', 'Operations per second is over the account limit.', 'Ingress is over the account limit.'];

/** The limits and faults of one emulator; none at first. */
export class Disturbances {
  readonly #clock: Clock;
  #settings: DisturbanceSettings = {};
  #limits: readonly ActiveLimit[] = [];
  #links: readonly ActiveLink[] = [];
  #random = dice(0);
  readonly #struck = new Map<FaultKind, number>();
  readonly #onChange = new Set<() => void>();

  constructor(settings: DisturbanceSettings = {}, clock: Clock = new SystemClock()) {
    this.#clock = clock;
    this.set(settings);
  }

  /** What is set now. */
  get settings(): DisturbanceSettings {
    return this.#settings;
  }

  /** How often each kind of fault has struck since the start. */
  get struck(): Readonly<Partial<Record<FaultKind, number>>> {
    return Object.fromEntries(this.#struck);
  }

  /** Replaces all limits and faults; requests under way go on under the old limits. */
  set(settings: DisturbanceSettings): void {
    const bucket = (perSecond: number | undefined): TokenBucket | undefined => (perSecond === undefined ? undefined : new TokenBucket(perSecond, this.#clock));
    this.#settings = settings;
    this.#limits = (settings.limits ?? []).map((limit) => ({ limit, bytes: bucket(limit.bytesPerSecond), requests: bucket(limit.requestsPerSecond) }));
    this.#links = (settings.links ?? []).map((link) => ({ link, bytes: bucket(link.bytesPerSecond) }));
    this.#random = dice(settings.seed ?? 0);
    for (const tell of this.#onChange) tell();
  }

  /** The fault of this kind that strikes now, if one does. */
  strike(kind: FaultKind, scope: Scope): Fault | undefined {
    const fault = this.#settings.faults?.find((one) => one.kind === kind && covers(one, scope) && this.#random() < (one.ratio ?? 1));
    if (fault !== undefined) this.#struck.set(kind, (this.#struck.get(kind) ?? 0) + 1);
    return fault;
  }

  /** Returns when no fault of this kind covers `scope` any more. */
  async cleared(kind: FaultKind, scope: Scope, signal: AbortSignal): Promise<void> {
    while (!signal.aborted && (this.#settings.faults ?? []).some((fault) => fault.kind === kind && covers(fault, scope))) {
      await new Promise<void>((resolve) => {
        const done = (): void => {
          this.#onChange.delete(done);
          signal.removeEventListener('abort', done);
          resolve();
        };
        this.#onChange.add(done);
        signal.addEventListener('abort', done);
      });
    }
  }

  /** Lets a request in, after its latency. @throws {AzureFilesError} `ServerBusy`, `OperationTimedOut` */
  async admit(scope: Scope): Promise<void> {
    const limits = this.#limits.filter(({ limit }) => covers(limit, scope));
    const latencyMs = limits.reduce((sum, { limit }) => sum + (limit.latencyMs ?? 0), 0);
    if (latencyMs > 0) await this.#clock.sleep(latencyMs);
    if (limits.some(({ limit, requests }) => requests?.tryTake(Math.max(1, limit.requestsPerSecond ?? 1)) === false)) {
      throw new AzureFilesError('ServerBusy', { message: BUSY_MESSAGES[1]! });
    }
    if (this.strike('server-busy', scope) !== undefined) {
      throw new AzureFilesError('ServerBusy', { message: BUSY_MESSAGES[Math.floor(this.#random() * BUSY_MESSAGES.length)]! });
    }
    if (this.strike('timed-out', scope) !== undefined) throw new AzureFilesError('OperationTimedOut');
  }

  /** Lets payload of a client through. */
  async carry(scope: Scope, bytes: number): Promise<void> {
    const buckets = this.#limits.flatMap(({ limit, bytes: bucket }) => (bucket !== undefined && covers(limit, scope) ? [bucket] : []));
    await Promise.all(buckets.map((bucket) => bucket.take(bytes)));
  }

  /** Lets copied payload through, over the link between two regions. */
  async copy({ from, to }: { readonly from: string | undefined; readonly to: string | undefined }, bytes: number): Promise<void> {
    const links = this.#links.filter(({ link }) => link.from === from && link.to === to);
    const latencyMs = links.reduce((sum, { link }) => sum + (link.latencyMs ?? 0), 0);
    if (latencyMs > 0) await this.#clock.sleep(latencyMs);
    await Promise.all(links.flatMap(({ bytes: bucket }) => (bucket === undefined ? [] : [bucket.take(bytes)])));
  }

  /** A number from 0 (inclusive) to `end` (exclusive). */
  pick(end: number): number {
    return Math.floor(this.#random() * end);
  }
}

function covers(rule: Scope, scope: Scope): boolean {
  return (['account', 'share', 'operation'] as const).every((key) => rule[key] === undefined || rule[key] === scope[key]);
}

/** Pseudo-random numbers from 0 to 1 (mulberry32). */
function dice(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
