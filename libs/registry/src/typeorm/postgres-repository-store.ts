import type { DataSource, EntityManager } from 'typeorm';

import type { Claimed, ClaimRequest, Postponement } from '#claims';
import { affected, claimOf, type ClaimRow, claimRows, type ClaimTable, type DecidingClock, type ListedTable, postponeClaim, PostgresWorkList, releaseClaim, renewClaims } from '#claims/typeorm';

import { PUSH_PRIORITY } from '../examination-store.js';
import { type Backfill, type BackfillProgress, BackfillStore, type Repository, RepositoryStore } from '../repository-store.js';

interface RepositoryRow {
  readonly name: string;
  readonly enabled: boolean;
  readonly changed_at: Date;
  readonly backfill_state: BackfillProgress['state'];
  readonly backfill_total: number;
  readonly backfill_done: number;
  readonly backfill_started_at: Date | null;
  readonly backfill_finished_at: Date | null;
  readonly last_error: string | null;
}

const NO_CLAIM = `claim_id = NULL, claimed_by = NULL, claim_expires_at = NULL, attempts = 0, not_before = '-infinity', last_error = NULL`;

/** {@link RepositoryStore} on PostgreSQL. */
export class PostgresRepositoryStore extends RepositoryStore {
  readonly #dataSource: DataSource;

  constructor(dataSource: DataSource) {
    super();
    this.#dataSource = dataSource;
  }

  async enable(name: string, now: Date): Promise<Repository> {
    await this.#dataSource.query(
      `INSERT INTO repositories (name, enabled, changed_at, backfill_state) VALUES ($1, true, $2, 'waiting')
       ON CONFLICT (name) DO UPDATE SET enabled = true, changed_at = $2, backfill_state = 'waiting', backfill_total = 0, backfill_done = 0,
         backfill_started_at = NULL, backfill_finished_at = NULL, ${NO_CLAIM}
       WHERE NOT repositories.enabled`,
      [name, now],
    );
    const repository = await this.get(name);
    if (repository === undefined) throw new Error(`the repository ${name} is gone right after it was enabled`);
    return repository;
  }

  async disable(name: string, now: Date): Promise<Repository | undefined> {
    await this.#dataSource.query(
      `UPDATE repositories SET enabled = false, changed_at = $2, backfill_state = 'none', backfill_total = 0, backfill_done = 0,
         backfill_started_at = NULL, backfill_finished_at = NULL, ${NO_CLAIM}
       WHERE name = $1 AND enabled`,
      [name, now],
    );
    return this.get(name);
  }

  async get(name: string): Promise<Repository | undefined> {
    const [row] = await this.#dataSource.query<RepositoryRow[]>('SELECT * FROM repositories WHERE name = $1', [name]);
    return row === undefined ? undefined : repositoryOf(row);
  }

  async list(page: { readonly after?: string; readonly limit: number }): Promise<Repository[]> {
    const rows = await this.#dataSource.query<RepositoryRow[]>('SELECT * FROM repositories WHERE name > $1 ORDER BY name LIMIT $2', [
      page.after ?? '',
      page.limit,
    ]);
    return rows.map(repositoryOf);
  }
}

function repositoryOf(row: RepositoryRow): Repository {
  return {
    name: row.name,
    enabled: row.enabled,
    changedAt: row.changed_at,
    backfill: {
      state: row.backfill_state,
      totalCount: row.backfill_total,
      doneCount: row.backfill_done,
      ...(row.backfill_started_at === null ? {} : { startedAt: row.backfill_started_at }),
      ...(row.backfill_finished_at === null ? {} : { finishedAt: row.backfill_finished_at }),
      ...(row.last_error === null ? {} : { lastError: row.last_error }),
    },
  };
}

const BACKFILLS: ClaimTable = {
  table: 'repositories',
  key: ['name'],
  open: `backfill_state IN ('waiting', 'listing')`,
  order: 'changed_at, name',
  set: `backfill_state = 'listing'`,
};
const LISTED: ListedTable = {
  ...BACKFILLS,
  order: [{ column: 'changed_at', type: 'timestamptz' }, { column: 'name', type: 'text' }],
  subject: { repository: 'name' },
  wantedAt: 'changed_at',
};
const WAITING = `backfill_state = 'waiting'`;

/** {@link BackfillStore} on PostgreSQL: the claims of `repositories`. */
export class PostgresBackfillStore extends BackfillStore {
  readonly work: PostgresWorkList;
  readonly #dataSource: DataSource;
  readonly #clock: DecidingClock;

  constructor(dataSource: DataSource, clock: DecidingClock = 'database') {
    super();
    this.#dataSource = dataSource;
    this.#clock = clock;
    this.work = new PostgresWorkList(dataSource, LISTED, clock);
  }

  async claim(request: ClaimRequest): Promise<Claimed<Backfill>[]> {
    const rows = await claimRows<ClaimRow & RepositoryRow>(this.#dataSource, BACKFILLS, { ...request, clock: this.#clock });
    await this.#dataSource.query('UPDATE repositories SET backfill_started_at = $2 WHERE claim_id = ANY($1::uuid[]) AND backfill_started_at IS NULL', [
      rows.map((row) => row.claim_id),
      request.now,
    ]);
    return rows.map((row) => ({ item: { repository: row.name }, claim: claimOf(row) }));
  }

  renew(claimIds: readonly string[], now: Date, leaseMs: number): Promise<Set<string>> {
    return renewClaims(this.#dataSource, BACKFILLS, claimIds, { clock: this.#clock, now, leaseMs });
  }

  release(claimId: string): Promise<boolean> {
    return releaseClaim(this.#dataSource, BACKFILLS, claimId, WAITING);
  }

  postpone(claimId: string, postponement: Postponement): Promise<boolean> {
    return postponeClaim(this.#dataSource, BACKFILLS, claimId, { ...postponement, clock: this.#clock, set: WAITING });
  }

  async progress(claimId: string, counts: { readonly totalCount: number; readonly doneCount: number }): Promise<boolean> {
    return affected(
      await this.#dataSource.query('UPDATE repositories SET backfill_total = $2, backfill_done = $3 WHERE claim_id = $1', [
        claimId,
        counts.totalCount,
        counts.doneCount,
      ]),
    );
  }

  async wantExaminations(claimId: string, references: readonly string[], now: Date): Promise<boolean> {
    return this.#dataSource.transaction(async (db) => {
      const [claimed] = await db.query<{ name: string }[]>('SELECT name FROM repositories WHERE claim_id = $1 FOR UPDATE', [claimId]);
      if (claimed === undefined) return false;
      await wantAll(db, claimed.name, references, now);
      await db.query(
        `UPDATE repositories SET ${NO_CLAIM}, backfill_total = $2, backfill_done = 0,
           backfill_state = CASE WHEN $2 = 0 THEN 'done' ELSE 'examining' END, backfill_finished_at = CASE WHEN $2 = 0 THEN $3::timestamptz END
         WHERE claim_id = $1`,
        [claimId, references.length, now],
      );
      return true;
    });
  }

  async wantAgain(before: Date, limit: number): Promise<number> {
    const [, count] = await this.#dataSource.query<[unknown, number]>(
      `UPDATE repositories SET backfill_state = 'waiting', backfill_total = 0, backfill_done = 0, backfill_started_at = NULL, backfill_finished_at = NULL, ${NO_CLAIM}
       WHERE name IN (SELECT name FROM repositories WHERE enabled AND backfill_state = 'done' AND backfill_finished_at < $1
                      ORDER BY backfill_finished_at LIMIT $2 FOR UPDATE SKIP LOCKED)`,
      [before, limit],
    );
    return count;
  }
}

/** In the order of their names, as notifications do, so that neither holds up the other for ever. */
async function wantAll(db: EntityManager, repository: string, references: readonly string[], now: Date): Promise<void> {
  // What an earlier backfill still has open no longer counts, unless this one wants it too.
  await db.query('UPDATE examinations SET backfill = false WHERE repository = $1 AND backfill', [repository]);
  await db.query(
    `INSERT INTO examinations (repository, reference, priority, wanted_at, backfill)
     SELECT $1, reference, $3 - place, $4, true FROM unnest($2::text[]) WITH ORDINALITY AS given (reference, place) ORDER BY reference
     ON CONFLICT (repository, reference) DO UPDATE SET backfill = true, generation = examinations.generation + 1`,
    [repository, references, PUSH_PRIORITY, now],
  );
}
