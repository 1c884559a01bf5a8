import { randomUUID } from 'node:crypto';

import { after, type Clock, type RetryPolicy } from '#clock';
import { SECOND_MS } from '#quantities';
import type { RegionName } from '#regions';

import { HeldList } from './held-list.js';
import { type GrantedLease, type HeldReplica, type Lease, LEASE_TTL_MS } from './lease.js';
import type { LeaseStore } from './lease-store.js';
import { SharedLeases } from './lease-sharing.js';
import { Repeating } from './repeating.js';

/** Leases that wait to be written, at most: about 100 MB, or some seconds of a busy lookup. */
export const PENDING_LEASES_MAX = 20_000;
/** Leases written by one statement. */
export const LEASE_BATCH_MAX = 500;
/** Replicas in the leases of one statement: to write it takes a turn of about a millisecond, in which nothing is answered. A lease that has more is written alone. */
export const LEASE_BATCH_REPLICAS_MAX = 1000;
/** How often leases are written. */
export const LEASE_WRITE_MS = SECOND_MS;

const BACKOFF: RetryPolicy = { triesMax: Number.POSITIVE_INFINITY, firstWaitMs: 250, waitMaxMs: 10 * SECOND_MS, askedWaitMaxMs: 0 };

/** What a {@link LeaseBook} is made with. */
export interface LeaseBookOptions {
  readonly store: LeaseStore;
  readonly clock: Clock;
  /** Default {@link LEASE_TTL_MS}. */
  readonly ttlMs?: number;
  /** Default {@link PENDING_LEASES_MAX}. */
  readonly pendingMax?: number;
  /** Hears of every batch that could not be written; it is kept and tried again. */
  readonly onFailure?: (error: unknown) => void;
}

/** A lease that waits to be written: its replicas are made objects only then. */
interface PendingLease extends Omit<Lease, 'replicas'> {
  readonly held: HeldList;
}

/**
 * Grants leases without waiting for the database: they are written behind, in batches. A crash loses those that were not written yet, and
 * their first renewal then says so; what protects their mounts until then is that a removal waits at least one lease's length
 * after its replica has left the answers (`removalWaitMs`), unless it is known that they were written (`AnsweringBeats`).
 *
 * Rows do not follow the rate of pulls: the first few pulls of the same replicas in a while get leases of their own, all others share one ({@link SharedLeases}).
 */
export class LeaseBook {
  readonly #options: LeaseBookOptions;
  readonly #writes: Repeating;
  readonly #pending = new Map<string, PendingLease>();
  readonly #shared: SharedLeases;
  #flushing: Promise<void> | undefined;
  #unleasedCount = 0;

  constructor(options: LeaseBookOptions) {
    this.#options = options;
    this.#shared = new SharedLeases(options.ttlMs ?? LEASE_TTL_MS);
    this.#writes = new Repeating({
      clock: options.clock,
      restMs: LEASE_WRITE_MS,
      backoff: BACKOFF,
      step: () => this.flush(),
      onFailure: (error) => options.onFailure?.(error),
    });
  }

  /** Leases that are granted and not written yet. */
  get pendingCount(): number {
    return this.#pending.size;
  }

  /** How often no lease was granted, since the process began: what was given then, nobody knows of. */
  get unleasedCount(): number {
    return this.#unleasedCount;
  }

  /** Begins to write behind. */
  start(): void {
    this.#writes.start();
  }

  /** Stops writing behind and writes what is left, once. @throws what the store throws; what is left is lost with the process. */
  async stop(): Promise<void> {
    await this.#writes.stop();
    await this.flush();
  }

  /**
   * Grants a lease on `replicas`, in memory. Returns at once. Cheaper with a list that was made before.
   * @returns undefined when too many wait to be written: the mounts are then safe for one lease's length, but cannot be renewed.
   */
  grant(region: RegionName, replicas: HeldList | readonly HeldReplica[], now: Date): GrantedLease | undefined {
    // What fails here goes out without a lease as well.
    this.#unleasedCount += 1;
    const lease = this.#grant(region, replicas instanceof HeldList ? replicas : HeldList.of(replicas), now);
    if (lease !== undefined) this.#unleasedCount -= 1;
    return lease;
  }

  #grant(region: RegionName, held: HeldList, now: Date): GrantedLease | undefined {
    const { ttlMs = LEASE_TTL_MS, pendingMax = PENDING_LEASES_MAX } = this.#options;
    const turn = this.#shared.turn(region, held, now);
    const expiresAt = after(now, ttlMs);
    if (turn.lease !== undefined) return { id: turn.lease.id, shared: true, expiresAt };
    if (this.#pending.size >= pendingMax) return undefined;
    // A shared one is written once, to hold for the last of those who will be given it.
    const lease = { id: randomUUID(), region, held, grantedAt: now, expiresAt: turn.until === undefined ? expiresAt : after(turn.until, ttlMs), shared: turn.until !== undefined };
    this.#pending.set(lease.id, lease);
    if (!lease.shared) return lease;
    turn.share(lease);
    return { id: lease.id, shared: true, expiresAt };
  }

  /** Renews one lease. @returns until when it holds; undefined when it cannot return. @throws what the store throws */
  async renew(id: string, now: Date): Promise<Date | undefined> {
    return (await this.renewMany([id], now)).get(id);
  }

  /** Renews leases in the store, after writing those of them that are still to be written. @returns as `LeaseStore.renewMany`. @throws what the store throws */
  async renewMany(ids: readonly string[], now: Date): Promise<Map<string, Date>> {
    // A flush that had begun before one of them was granted does not write it.
    while (ids.some((id) => this.#pending.has(id))) await this.flush();
    return this.#options.store.renewMany(ids, now, this.#options.ttlMs ?? LEASE_TTL_MS);
  }

  /** Ends a lease, unless it is shared: that one runs out. Repeating it changes nothing. @throws what the store throws */
  async release(id: string): Promise<void> {
    // A batch that is being written may hold it: what that leaves behind goes after it.
    await this.#flushing?.catch(() => undefined);
    if (this.#pending.get(id)?.shared !== true) this.#pending.delete(id);
    await this.#options.store.release(id);
  }

  /** Returns when all leases are written that had been granted when it was called, or were released. @throws what the store throws; they are still to be written. */
  async settle(): Promise<void> {
    const granted = [...this.#pending.keys()];
    // A flush that had begun before does not write the latest of them.
    while (granted.some((id) => this.#pending.has(id))) await this.flush();
  }

  /** Writes all that wait when it begins, in batches. Flushes at the same time are one. @throws what the store throws; the rest stays. */
  flush(): Promise<void> {
    this.#flushing ??= this.#writeAll().finally(() => {
      this.#flushing = undefined;
    });
    return this.#flushing;
  }

  async #writeAll(): Promise<void> {
    this.#shared.turnGenerations(this.#options.clock.now());
    for (const batch of inBatches([...this.#pending.values()])) {
      await this.#options.store.grantMany(batch.map(leaseOf), this.#options.clock.now());
      for (const lease of batch) this.#pending.delete(lease.id);
    }
  }
}

function leaseOf({ held, ...lease }: PendingLease): Lease {
  return { ...lease, replicas: held.replicas };
}

function* inBatches(leases: readonly PendingLease[]): Generator<PendingLease[], void> {
  let [batch, replicas]: [PendingLease[], number] = [[], 0];
  for (const lease of leases) {
    if (batch.length >= LEASE_BATCH_MAX || (batch.length > 0 && replicas + lease.held.count > LEASE_BATCH_REPLICAS_MAX)) {
      yield batch;
      [batch, replicas] = [[], 0];
    }
    batch.push(lease);
    replicas += lease.held.count;
  }
  if (batch.length > 0) yield batch;
}
