import type { DataSource, EntityManager } from 'typeorm';

import type { Claim, ClaimRequest, Postponement } from '../claim.js';
import { callersNow, type DecidingClock, decidingNow, millisecondsOf, onCallersClock } from './deciding-clock.js';

/**
 * The columns that a table of work has besides its own, in the words of its migration:
 * `claim_id uuid, claimed_by text, claim_expires_at timestamptz, attempts integer NOT NULL DEFAULT 0,
 * not_before timestamptz NOT NULL DEFAULT '-infinity', last_error text`.
 */
export interface ClaimRow {
  readonly claim_id: string;
  readonly claimed_by: string;
  readonly claim_expires_at: Date;
  readonly attempts: number;
}

/** A row as it was claimed, and the instant of the claim on both clocks. */
export type ClaimedRow<Row extends ClaimRow> = Row & {
  /** On the clock that decides. */
  readonly decided: Date;
  /** On the clock of who claimed it. */
  readonly now: Date;
};

/** One table of work. Every text here is SQL written in our own code, never input. */
export interface ClaimTable {
  readonly table: string;
  /** The columns of its primary key. */
  readonly key: readonly string[];
  /** Which rows are work at all: `state IN ('wanted', 'copying')`. */
  readonly open: string;
  /** Which of them may be claimed as things are, by an owner and at an instant, each SQL; who has claimed one keeps it, whatever becomes of this. Default: all. */
  readonly claimable?: (owner: string, now: string) => string;
  /** The most urgent first: `priority DESC, wanted_at`. */
  readonly order: string;
  /** What claiming changes besides the claim's own columns: `state = 'copying'`. */
  readonly set?: string;
}

/** Claims that are counted by a clock: of the instant that is called now, and from then on. */
export interface ClaimPeriod {
  readonly clock: DecidingClock;
  readonly now: Date;
  readonly leaseMs: number;
}

/**
 * Takes due rows in one statement. `SKIP LOCKED` lets claimers pass each other; a row whose claim ran out is taken over.
 * @returns the rows as they stand in the table, columns of the claim included, in no particular order.
 */
export async function claimRows<Row extends ClaimRow>(db: DataSource | EntityManager, work: ClaimTable, request: ClaimRequest & ClaimPeriod): Promise<ClaimedRow<Row>[]> {
  const keys = work.key.join(', ');
  const same = work.key.map((column) => `work.${column} = due.${column}`).join(' AND ');
  const now = decidingNow('$1');
  const sql = `
    WITH due AS MATERIALIZED (
      SELECT ${keys} FROM ${work.table}
      WHERE (${work.open}) AND (${work.claimable?.('$3', now) ?? 'true'}) AND not_before <= ${now} AND (claim_id IS NULL OR claim_expires_at <= ${now})
      ORDER BY ${work.order} LIMIT $2 FOR UPDATE SKIP LOCKED)
    UPDATE ${work.table} AS work
    SET claim_id = gen_random_uuid(), claimed_by = $3, claim_expires_at = ${now} + ${millisecondsOf('$4')}, attempts = attempts + 1${work.set === undefined ? '' : `, ${work.set}`}
    FROM due WHERE ${same} RETURNING work.*, ${now} AS decided`;
  const [rows] = (await db.query(sql, [callersNow(request.clock, request.now), request.limit, request.owner, request.leaseMs])) as [Omit<ClaimedRow<Row>, 'now'>[], number];
  return rows.map((row) => ({ ...row, now: request.now }) as ClaimedRow<Row>);
}

/** Extends the claims that are still held. @returns their ids. */
export async function renewClaims(db: DataSource | EntityManager, work: ClaimTable, claimIds: readonly string[], { clock, now, leaseMs }: ClaimPeriod): Promise<Set<string>> {
  const keys = work.key.join(', ');
  const same = work.key.map((column) => `work.${column} = held.${column}`).join(' AND ');
  // Rows are locked in the order of their keys, as whoever changes several of them does, so that none waits for the other in a circle.
  const sql = `
    WITH held AS MATERIALIZED (SELECT ${keys} FROM ${work.table} WHERE claim_id = ANY($1::uuid[]) ORDER BY ${keys} FOR UPDATE)
    UPDATE ${work.table} AS work SET claim_expires_at = ${decidingNow('$2')} + ${millisecondsOf('$3')} FROM held
    WHERE ${same} AND work.claim_id = ANY($1::uuid[]) RETURNING work.claim_id`;
  const [rows] = (await db.query(sql, [claimIds, callersNow(clock, now), leaseMs])) as [{ claim_id: string }[], number];
  return new Set(rows.map((row) => row.claim_id));
}

/** Gives a row back as if it had not been tried; `set` undoes what claiming changed. @returns false when the claim was lost. */
export async function releaseClaim(db: DataSource | EntityManager, work: ClaimTable, claimId: string, set = ''): Promise<boolean> {
  const sql = `
    UPDATE ${work.table} SET claim_id = NULL, claimed_by = NULL, claim_expires_at = NULL, attempts = attempts - 1${set === '' ? '' : `, ${set}`}
    WHERE claim_id = $1`;
  return affected(await db.query(sql, [claimId]));
}

/** Gives a failed row back until its wait is over; `set` undoes what claiming changed. @returns false when the claim was lost. */
export async function postponeClaim(
  db: DataSource | EntityManager,
  work: ClaimTable,
  claimId: string,
  { clock, now, waitMs, reason, set }: Postponement & { readonly clock: DecidingClock; readonly set?: string },
): Promise<boolean> {
  const sql = `
    UPDATE ${work.table} SET claim_id = NULL, claimed_by = NULL, claim_expires_at = NULL, not_before = ${decidingNow('$2')} + ${millisecondsOf('$3')},
      last_error = $4${set === undefined ? '' : `, ${set}`}
    WHERE claim_id = $1`;
  return affected(await db.query(sql, [claimId, callersNow(clock, now), waitMs, reason.slice(0, 2000)]));
}

/** The claim that a claimed row carries, by the clock of who claimed it. */
export function claimOf(row: ClaimedRow<ClaimRow>): Claim {
  return { id: row.claim_id, owner: row.claimed_by, expiresAt: onCallersClock(row.claim_expires_at, row), attempt: row.attempts };
}

/** Whether an UPDATE or DELETE without RETURNING changed any row: TypeORM answers `[rows, count]` for those. */
export function affected(result: unknown): boolean {
  return Array.isArray(result) && typeof result[1] === 'number' && result[1] > 0;
}
