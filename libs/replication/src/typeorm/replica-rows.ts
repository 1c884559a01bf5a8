import type { DataSource, EntityManager } from 'typeorm';

import { type Claimed, type ClaimRequest, ClaimSource, type Postponement } from '#claims';
import { type ClaimedRow, claimOf, type ClaimRow, claimRows, type ClaimTable, type DecidingClock, onCallersClock, postponeClaim, releaseClaim, renewClaims } from '#claims/typeorm';
import type { Digest } from '#oci';

import type { Replica, ReplicaCopy } from '../replica.js';

/** A row of the table `replicas` as the driver gives it. */
export interface ReplicaRow extends ClaimRow {
  readonly layer: Digest;
  readonly share: string;
  readonly state: Replica['state'];
  readonly size_bytes: string;
  readonly priority: number;
  readonly reason: string;
  readonly wanted_at: Date;
  readonly copied_bytes: string;
  readonly partial_path: string | null;
  readonly verified_pieces: Buffer | null;
  readonly ready_at: Date | null;
  readonly draining_since: Date | null;
  readonly last_error: string | null;
}

/** The replica that a row holds. */
export function replicaOf(row: ReplicaRow): Replica {
  return {
    layer: row.layer,
    share: row.share,
    state: row.state,
    sizeBytes: Number(row.size_bytes),
    priority: row.priority,
    reason: row.reason,
    wantedAt: row.wanted_at,
    copiedBytes: Number(row.copied_bytes),
    attempts: row.attempts,
    ...(row.ready_at === null ? {} : { readyAt: row.ready_at }),
    ...(row.draining_since === null ? {} : { drainingSince: row.draining_since }),
    ...(row.last_error === null ? {} : { lastError: row.last_error }),
  };
}

/** The replica that a row holds, with what an earlier try of its copy left. */
export function copyOf(row: ReplicaRow): ReplicaCopy {
  const { partial_path: path, verified_pieces: pieces } = row;
  return { ...replicaOf(row), ...(path === null || pieces === null ? {} : { checkpoint: { path, pieces } }) };
}

/** The replica that a claimed row holds; since when it drains is told by the clock of who claimed it, who has to judge how long that is. */
export function drainedOf(row: ClaimedRow<ReplicaRow>): Replica {
  return replicaOf(row.draining_since === null ? row : { ...row, draining_since: onCallersClock(row.draining_since, row) });
}

/** What tells one kind of work in the table `replicas` from another. */
export interface ReplicaWorkKind<Item> {
  readonly table: ClaimTable;
  /** Undoes what claiming changed, in SQL. */
  readonly giveBack: string;
  /** Whether workers claim one after another, each seeing what those before it claimed. A claim takes a few milliseconds. */
  readonly inTurn?: boolean;
  readonly itemOf: (row: ClaimedRow<ReplicaRow>) => Item;
  readonly clock: DecidingClock;
}

/** One kind of work in the table `replicas`. */
export class ReplicaWork<Item> extends ClaimSource<Item> {
  readonly #dataSource: DataSource;
  readonly #work: ReplicaWorkKind<Item>;

  constructor(dataSource: DataSource, work: ReplicaWorkKind<Item>) {
    super();
    this.#dataSource = dataSource;
    this.#work = work;
  }

  async claim(request: ClaimRequest): Promise<Claimed<Item>[]> {
    const { table, clock, inTurn = false } = this.#work;
    const rows = inTurn
      ? await this.#dataSource.transaction(async (manager) => {
          await lockTurn(manager);
          return claimRows<ReplicaRow>(manager, table, { ...request, clock });
        })
      : await claimRows<ReplicaRow>(this.#dataSource, table, { ...request, clock });
    return rows.map((row) => ({ item: this.#work.itemOf(row), claim: claimOf(row) }));
  }

  renew(claimIds: readonly string[], now: Date, leaseMs: number): Promise<Set<string>> {
    return renewClaims(this.#dataSource, this.#work.table, claimIds, { clock: this.#work.clock, now, leaseMs });
  }

  release(claimId: string): Promise<boolean> {
    return releaseClaim(this.#dataSource, this.#work.table, claimId, this.#work.giveBack);
  }

  postpone(claimId: string, postponement: Postponement): Promise<boolean> {
    const { table, clock, giveBack } = this.#work;
    return postponeClaim(this.#dataSource, table, claimId, { ...postponement, clock, set: giveBack });
  }
}

/** Held to the end of the transaction: what is read after it has come knows every claim that was made before. */
async function lockTurn(manager: EntityManager): Promise<void> {
  await manager.query(`SELECT pg_advisory_xact_lock(hashtextextended('replica claims', 0))`);
}
