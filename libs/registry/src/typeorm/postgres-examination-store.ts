import type { DataSource, EntityManager } from 'typeorm';

import type { Claimed, ClaimRequest, Postponement } from '#claims';
import { claimOf, type ClaimRow, claimRows, type ClaimTable, type DecidingClock, type ListedTable, postponeClaim, PostgresWorkList, releaseClaim, renewClaims } from '#claims/typeorm';

import { type Examination, ExaminationStore, type Intake, PUSH_PRIORITY, wantedByEvents, type WantedReference } from '../examination-store.js';
import type { RegistryEvent } from '../registry-event.js';

interface ExaminationRow extends ClaimRow {
  readonly repository: string;
  readonly reference: string;
  readonly generation: number;
  readonly priority: number;
  readonly pushed_at: Date | null;
  readonly backfill: boolean;
}

const EXAMINATIONS: ClaimTable = {
  table: 'examinations',
  key: ['repository', 'reference'],
  open: 'true',
  order: 'priority DESC, wanted_at, repository, reference',
};
const LISTED: ListedTable = {
  ...EXAMINATIONS,
  urgency: { column: 'priority', type: 'int' },
  order: [{ column: 'wanted_at', type: 'timestamptz' }, { column: 'repository', type: 'text' }, { column: 'reference', type: 'text' }],
  subject: { repository: 'repository', reference: 'reference' },
  wantedAt: 'wanted_at',
};

/** {@link ExaminationStore} on PostgreSQL. A settled examination has no row. */
export class PostgresExaminationStore extends ExaminationStore {
  readonly work: PostgresWorkList;
  readonly #dataSource: DataSource;
  readonly #clock: DecidingClock;

  constructor(dataSource: DataSource, clock: DecidingClock = 'database') {
    super();
    this.#dataSource = dataSource;
    this.#clock = clock;
    this.work = new PostgresWorkList(dataSource, LISTED, clock);
  }

  async intake(events: readonly RegistryEvent[], now: Date): Promise<Intake> {
    return this.#dataSource.transaction(async (db) => {
      const fresh = await rememberIds(db, events, now);
      const wanted = wantedByEvents(fresh);
      await want(db, wanted, now);
      return { fresh, duplicateCount: events.length - fresh.length, wantedCount: wanted.length };
    });
  }

  async claim(request: ClaimRequest): Promise<Claimed<Examination>[]> {
    const rows = await claimRows<ExaminationRow>(this.#dataSource, EXAMINATIONS, { ...request, clock: this.#clock });
    return rows.map((row) => ({
      item: {
        repository: row.repository,
        reference: row.reference,
        generation: row.generation,
        priority: row.priority,
        ...(row.pushed_at === null ? {} : { pushedAt: row.pushed_at }),
      },
      claim: claimOf(row),
    }));
  }

  renew(claimIds: readonly string[], now: Date, leaseMs: number): Promise<Set<string>> {
    return renewClaims(this.#dataSource, EXAMINATIONS, claimIds, { clock: this.#clock, now, leaseMs });
  }

  release(claimId: string): Promise<boolean> {
    return releaseClaim(this.#dataSource, EXAMINATIONS, claimId);
  }

  postpone(claimId: string, postponement: Postponement): Promise<boolean> {
    return postponeClaim(this.#dataSource, EXAMINATIONS, claimId, { ...postponement, clock: this.#clock });
  }

  async settle(claimId: string, generation: number, now: Date): Promise<boolean> {
    return this.#dataSource.transaction(async (db) => {
      // The repository's row first, as backfills lock it: otherwise each might wait for the other.
      await db.query('SELECT 1 FROM repositories WHERE name = (SELECT repository FROM examinations WHERE claim_id = $1 AND backfill) FOR UPDATE', [claimId]);
      const [rows] = (await db.query(
        'DELETE FROM examinations WHERE claim_id = $1 AND generation = $2 RETURNING repository, backfill',
        [claimId, generation],
      )) as [Pick<ExaminationRow, 'repository' | 'backfill'>[], number];
      const [settled] = rows;
      if (settled?.backfill === true) await countForBackfill(db, settled.repository, now);
      return settled !== undefined || runAgain(db, claimId);
    });
  }

  async openCount(repository?: string): Promise<number> {
    const rows = await this.#dataSource.query<{ count: number }[]>(
      'SELECT count(*)::int AS count FROM examinations WHERE $1::text IS NULL OR repository = $1',
      [repository ?? null],
    );
    return rows[0]?.count ?? 0;
  }

  async pruneEvents(before: Date, limit: number): Promise<number> {
    const [, count] = (await this.#dataSource.query(
      `DELETE FROM received_events USING (SELECT id FROM received_events WHERE received_at < $1 ORDER BY received_at LIMIT $2) AS old
       WHERE received_events.id = old.id`,
      [before, limit],
    )) as [unknown, number];
    return count;
  }
}

/** @returns the events whose ids were not known, each id once, in their order. */
async function rememberIds(db: EntityManager, events: readonly RegistryEvent[], now: Date): Promise<RegistryEvent[]> {
  const ids = new Set(events.map((event) => event.id));
  const added = await db.query<{ id: string }[]>(
    'INSERT INTO received_events (id, received_at) SELECT id, $2 FROM unnest($1::text[]) AS given (id) ORDER BY id ON CONFLICT DO NOTHING RETURNING id',
    [[...ids], now],
  );
  const addedIds = new Set(added.map((row) => row.id));
  return events.filter((event) => addedIds.delete(event.id));
}

async function want(db: EntityManager, wanted: readonly WantedReference[], now: Date): Promise<void> {
  await db.query(
    `INSERT INTO examinations (repository, reference, priority, wanted_at, pushed_at)
     SELECT repository, reference, $4, $5, pushed_at FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS given (repository, reference, pushed_at)
     ORDER BY repository, reference
     ON CONFLICT (repository, reference) DO UPDATE SET generation = examinations.generation + 1, priority = excluded.priority,
       pushed_at = greatest(examinations.pushed_at, excluded.pushed_at), not_before = '-infinity'`,
    [wanted.map((each) => each.repository), wanted.map((each) => each.reference), wanted.map((each) => each.pushedAt ?? null), PUSH_PRIORITY, now],
  );
}

async function countForBackfill(db: EntityManager, repository: string, now: Date): Promise<void> {
  await db.query(
    `UPDATE repositories SET backfill_done = backfill_done + 1,
       backfill_state = CASE WHEN backfill_done + 1 >= backfill_total THEN 'done' ELSE backfill_state END,
       backfill_finished_at = CASE WHEN backfill_done + 1 >= backfill_total THEN $2::timestamptz END
     WHERE name = $1 AND backfill_state = 'examining'`,
    [repository, now],
  );
}

async function runAgain(db: EntityManager, claimId: string): Promise<boolean> {
  const [, count] = (await db.query(
    `UPDATE examinations SET claim_id = NULL, claimed_by = NULL, claim_expires_at = NULL, attempts = 0, not_before = '-infinity', last_error = NULL
     WHERE claim_id = $1`,
    [claimId],
  )) as [unknown, number];
  return count > 0;
}
