import type { MemoryWork } from '#claims/testing';
import type { Digest } from '#oci';

import type { CopyCheckpoint, Replica, ReplicaCopy, ReplicaKey } from '../replica.js';
import { nextReplicaState, type ReplicaEvent } from '../replica-state.js';
import type { DrainOrder } from '../replica-store.js';

/** One replica, as it is kept. */
export interface ReplicaRow extends MemoryWork {
  readonly layer: Digest;
  readonly share: string;
  state: Replica['state'];
  sizeBytes: number;
  priority: number;
  reason: string;
  wantedAt: Date;
  copiedBytes: number;
  checkpoint?: CopyCheckpoint | undefined;
  readyAt?: Date | undefined;
  drainingSince?: Date | undefined;
  removalBegun?: boolean | undefined;
  /** Whether who holds the claim makes it of bytes that passed. */
  fromPassing?: boolean | undefined;
  /** The place where it left the answers, while it drains. */
  drainedIn?: bigint | undefined;
  /** Since when it is there although nobody ordered it. */
  keptAt?: Date | undefined;
}

/** Before every instant. */
export const ALWAYS = new Date(-8_640_000_000_000_000);
/** The key of a row, as text. */
export const keyOf = ({ layer, share }: ReplicaKey): string => `${layer} ${share}`;
/** The order of rows by their keys. */
export const byKey = (a: ReplicaRow, b: ReplicaRow): number => (keyOf(a) < keyOf(b) ? -1 : 1);

/** The rows of replicas, and the steps that they take. */
export class MemoryReplicaRows {
  readonly #rows = new Map<string, ReplicaRow>();
  #place = 0n;

  /** All rows, in no order. */
  all(): ReplicaRow[] {
    return [...this.#rows.values()];
  }

  /** All rows of a share. */
  on(share: string): ReplicaRow[] {
    return this.all().filter((row) => row.share === share);
  }

  /** One row. */
  get(key: ReplicaKey): ReplicaRow | undefined {
    return this.#rows.get(keyOf(key));
  }

  /** Bytes of all replicas of a share. */
  usedBytes(share: string): number {
    return this.all().reduce((sum, row) => sum + (row.share === share ? row.sizeBytes : 0), 0);
  }

  /** Of these, what nobody ordered and does not drain. */
  unorderedBytes(share: string): number {
    return this.on(share).reduce((sum, row) => sum + (row.keptAt !== undefined && row.state !== 'draining' ? row.sizeBytes : 0), 0);
  }

  /** Adds a row, or keeps it. */
  put(row: ReplicaRow): void {
    this.#rows.set(keyOf(row), row);
  }

  /** Forgets a row. @returns false when there was none. */
  delete(key: ReplicaKey): boolean {
    return this.#rows.delete(keyOf(key));
  }

  /** The rows of some layers, by key. */
  of(layers: readonly Digest[]): ReplicaRow[] {
    return this.all().filter((row) => layers.includes(row.layer)).toSorted(byKey);
  }

  /** The row under a claim. */
  claimed(claimId: string): ReplicaRow | undefined {
    for (const row of this.all()) if (row.claim?.id === claimId) return row;
    return undefined;
  }

  /** Whether some other share has the row's layer ready. */
  readyElsewhere(row: ReplicaRow): boolean {
    return this.of([row.layer]).some((other) => other.share !== row.share && other.state === 'ready');
  }

  /** Takes a row out of the answers; its grace begins. */
  drain(row: ReplicaRow, order: DrainOrder): void {
    this.leave(row, 'drain', order, new Date(order.now.getTime() + order.graceMs));
    this.#place += 1n;
    row.drainedIn = this.#place;
  }

  /** Where the last row left the answers. */
  get place(): bigint {
    return this.#place;
  }

  /** Hands a row out again. */
  recall(row: ReplicaRow, reason: string): void {
    row.reason = reason;
    row.drainingSince = undefined;
    this.settle(row, 'recall', ALWAYS);
  }

  /** Has a row's file go, by one of the steps that lead there; what was written of it is remembered. */
  leave(row: ReplicaRow, event: ReplicaEvent, order: DrainOrder, notBefore: Date): void {
    row.reason = order.reason;
    row.drainingSince = order.now;
    const { checkpoint } = row;
    this.settle(row, event, notBefore);
    row.checkpoint = checkpoint;
  }

  /** Takes a step that ends a claim. */
  settle(row: ReplicaRow, event: ReplicaEvent, notBefore: Date): void {
    this.step(row, event);
    Object.assign(row, { claim: undefined, attempts: 0, lastError: undefined, checkpoint: undefined, drainedIn: undefined, notBefore });
  }

  /** The stores' own checks come first; a step that the table refuses is a defect of theirs. */
  step(row: ReplicaRow, event: ReplicaEvent): void {
    const next = nextReplicaState(row.state, event);
    if (next === null || next === 'gone') throw new Error(`${row.state} does not take ${event}`);
    row.state = next;
  }
}

/** A row as copies are given it. */
export function copyOf(row: ReplicaRow): ReplicaCopy {
  return { ...replicaOf(row), ...(row.checkpoint === undefined ? {} : { checkpoint: row.checkpoint }) };
}

/** Whether a row's file is whole, and nobody has begun to delete it. */
export function isRecallable(row: ReplicaRow): boolean {
  return nextReplicaState(row.state, 'recall') !== null && row.readyAt !== undefined && row.removalBegun !== true;
}

/** A row as it is read. */
export function replicaOf(row: ReplicaRow): Replica {
  return {
    layer: row.layer,
    share: row.share,
    state: row.state,
    sizeBytes: row.sizeBytes,
    priority: row.priority,
    reason: row.reason,
    wantedAt: row.wantedAt,
    copiedBytes: row.copiedBytes,
    attempts: row.attempts,
    ...(row.readyAt === undefined ? {} : { readyAt: row.readyAt }),
    ...(row.drainingSince === undefined ? {} : { drainingSince: row.drainingSince }),
    ...(row.lastError === undefined ? {} : { lastError: row.lastError }),
  };
}
