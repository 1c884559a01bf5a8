import { randomUUID } from 'node:crypto';

import { type Claim, type Claimed, type ClaimRequest, ClaimSource, type Postponement } from '../claim.js';

/** The claim's part of a row in a memory store; the store's rows are objects that are changed in place. */
export interface MemoryWork {
  claim?: Claim | undefined;
  attempts: number;
  notBefore: Date;
  lastError?: string | undefined;
}

/** One kind of work among a memory store's rows: what {@link MemoryClaims} cannot know by itself. */
export interface MemoryWorkKind<Row extends MemoryWork, Item> {
  readonly rows: () => Iterable<Row>;
  /** Which rows are work at all. */
  readonly isOpen: (row: Row) => boolean;
  /** Which of them may be claimed as things are; who has claimed one keeps it, whatever becomes of this. Default: all. */
  readonly isClaimable?: (row: Row, request: Pick<ClaimRequest, 'owner' | 'now'>) => boolean;
  /** The most urgent first. */
  readonly order: (a: Row, b: Row) => number;
  readonly item: (row: Row) => Item;
  /** What claiming changes besides the claim. */
  readonly begin?: (row: Row) => void;
  /** Undoes `begin` when the row is given back. */
  readonly giveBack?: (row: Row) => void;
}

/** The twin of the SQL in `claim-rows.ts` over rows in memory. The callers' clock decides: they are in one process. */
export class MemoryClaims<Row extends MemoryWork, Item> extends ClaimSource<Item> {
  readonly #kind: MemoryWorkKind<Row, Item>;

  constructor(kind: MemoryWorkKind<Row, Item>) {
    super();
    this.#kind = kind;
  }

  /** The row that is held under `claimId`, if any. */
  held(claimId: string): Row | undefined {
    for (const row of this.#kind.rows()) if (row.claim?.id === claimId && this.#kind.isOpen(row)) return row;
    return undefined;
  }

  async claim({ owner, limit, now, leaseMs }: ClaimRequest): Promise<Claimed<Item>[]> {
    const isFree = (row: Row): boolean => row.notBefore <= now && (row.claim === undefined || row.claim.expiresAt <= now);
    const due = [...this.#kind.rows()].filter((row) => isFree(row) && this.#kind.isOpen(row) && this.#kind.isClaimable?.(row, { owner, now }) !== false).toSorted(this.#kind.order);
    return due.slice(0, limit).map((row) => {
      row.attempts += 1;
      row.claim = { id: randomUUID(), owner, expiresAt: new Date(now.getTime() + leaseMs), attempt: row.attempts };
      this.#kind.begin?.(row);
      return { item: this.#kind.item(row), claim: row.claim };
    });
  }

  async renew(claimIds: readonly string[], now: Date, leaseMs: number): Promise<Set<string>> {
    const expiresAt = new Date(now.getTime() + leaseMs);
    const kept = new Set<string>();
    for (const id of claimIds) {
      const row = this.held(id);
      if (row?.claim === undefined) continue;
      row.claim = { ...row.claim, expiresAt };
      kept.add(id);
    }
    return kept;
  }

  async release(claimId: string): Promise<boolean> {
    const row = this.#giveBack(claimId);
    if (row !== undefined) row.attempts -= 1;
    return row !== undefined;
  }

  async postpone(claimId: string, { now, waitMs, reason }: Postponement): Promise<boolean> {
    const row = this.#giveBack(claimId);
    if (row === undefined) return false;
    row.notBefore = new Date(now.getTime() + waitMs);
    row.lastError = reason.slice(0, 2000);
    return true;
  }

  #giveBack(claimId: string): Row | undefined {
    const row = this.held(claimId);
    if (row === undefined) return undefined;
    row.claim = undefined;
    this.#kind.giveBack?.(row);
    return row;
  }
}
