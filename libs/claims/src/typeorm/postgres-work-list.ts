import type { DataSource } from 'typeorm';

import { type RetryOutcome, WORK_PASSED_MAX, type WorkEntry, type WorkFilter, WorkList, type WorkMark, type WorkPage, type WorkQuery, type WorkStanding, type WorkSubject } from '../work-list.js';
import { affected } from './claim-rows.js';
import { callersNow, type DecidingClock, decidingNow, onCallersClock } from './deciding-clock.js';

/** A column that the order goes by. */
interface OrderColumn {
  readonly column: string;
  readonly type: 'float8' | 'int' | 'text' | 'timestamptz';
}

/** One table of work as a list shows it. Every text here is SQL written in our own code, never input; the table is called `work` in it. */
export interface ListedTable {
  readonly table: string;
  /** The columns of its primary key, all texts. */
  readonly key: readonly string[];
  /** Which rows are shown: `state IN ('wanted', 'copying')`. An index has to have them in the order of the list, and another one those of them with a `last_error`. */
  readonly open: string;
  /** What the order goes by first, the largest first. */
  readonly urgency?: OrderColumn;
  /** What it goes by then, ascending; the key is a part of it. */
  readonly order: readonly OrderColumn[];
  readonly subject: Readonly<Partial<Record<keyof WorkSubject, string>>>;
  readonly wantedAt: string;
  /** Whether `wantedAt` is by the clock that decides. */
  readonly isWantedByDecidingClock?: boolean;
  /** Why a row that nobody has claimed is given to nobody: a text, or null. */
  readonly blockedBy?: (now: string) => string;
  /** Why all rows were given up, as text; such work is not tried again. */
  readonly refusal?: string;
}

interface ListedRow {
  readonly passed: number;
  readonly last: WorkMark | null;
  readonly decided: Date;
  readonly mark: WorkMark;
  readonly key: string[] | null;
  readonly subject: WorkSubject;
  readonly standing: WorkStanding;
  readonly blocked_by: string | null;
  readonly wanted_at: Date;
  readonly attempts: number;
  readonly next_try_at: Date | null;
  readonly last_error: string | null;
  readonly claimed_by: string | null;
  readonly claim_expires_at: Date | null;
}

/** Work in a table with the columns of claims (`ClaimRow`). */
export class PostgresWorkList extends WorkList {
  readonly #dataSource: DataSource;
  readonly #listed: ListedTable;
  readonly #clock: DecidingClock;

  constructor(dataSource: DataSource, listed: ListedTable, clock: DecidingClock) {
    super();
    this.#dataSource = dataSource;
    this.#listed = listed;
    this.#clock = clock;
  }

  async list(query: WorkQuery, now: Date): Promise<WorkPage> {
    const { limit, filter = {} } = query;
    const parameters: unknown[] = [callersNow(this.#clock, now)];
    const rows = await this.#dataSource.query<ListedRow[]>(pageSql(this.#listed, query, (value) => `$${parameters.push(value)}`), parameters);
    const entries = rows.filter(({ key }) => key !== null);
    const next = entries.length === limit ? entries.at(-1)?.mark : rows[0]?.passed === passedMax(limit, filter) ? rows[0].last : undefined;
    return { entries: entries.map((row) => entryOf(row, now, this.#listed)), ...(next === undefined || next === null ? {} : { next }) };
  }

  async retry(key: readonly string[], now: Date): Promise<RetryOutcome> {
    const { table, key: columns, open, refusal } = this.#listed;
    if (key.length !== columns.length) return 'NOT_OPEN';
    const same = `${columns.map((column, n) => `work.${column} = $${n + 1}`).join(' AND ')} AND ${open}`;
    const failed = `work.last_error IS NOT NULL AND (work.claim_id IS NULL OR work.claim_expires_at <= ${decidingNow(`$${key.length + 1}`)})`;
    const update = `UPDATE ${table} AS work SET not_before = '-infinity' WHERE ${same} AND ${failed}`;
    if (refusal === undefined && affected(await this.#dataSource.query(update, [...key, callersNow(this.#clock, now)]))) return 'due';
    const rows = await this.#dataSource.query<unknown[]>(`SELECT 1 FROM ${table} AS work WHERE ${same}`, [...key]);
    return rows.length > 0 ? 'NOT_FAILED' : 'NOT_OPEN';
  }
}

/** Rows that a page looks at. A layer is found by its key, a mark and what has failed by an index; everything else is judged row by row. */
function passedMax(limit: number, { layer: _byKey, hasFailed: _byIndex, ...judged }: WorkFilter): number {
  return limit + (Object.values(judged).some((value) => value !== undefined) ? WORK_PASSED_MAX : 0);
}

/** The statement of a page; `$1` is {@link callersNow}, further parameters are taken by `parameter`. */
function pageSql(listed: ListedTable, { after, limit, filter = {} }: WorkQuery, parameter: (value: unknown) => string): string {
  const now = decidingNow('$1');
  const { urgency, order, subject, blockedBy, refusal } = listed;
  const ordered = [...(urgency === undefined ? [] : [`${urgency.column} DESC`]), ...order.map(({ column }) => column)].join(', ');
  const marks = [...(urgency === undefined ? [] : [urgency]), ...order].map(({ column, type }) => (type === 'timestamptz' ? `work.${column}::text` : `work.${column}`));
  const subjects = Object.entries(subject).flatMap(([field, column]) => [`'${field}'`, column]);
  const standing = refusal === undefined
    ? `CASE WHEN work.claim_id IS NOT NULL AND work.claim_expires_at > ${now} THEN 'claimed' WHEN blocked.blocked_by IS NOT NULL THEN 'blocked' WHEN work.not_before > ${now} THEN 'waiting' ELSE 'due' END`
    : `'refused'`;
  return `
    WITH passed AS MATERIALIZED (${passedSql(listed, { after, filter, max: passedMax(limit, filter) }, parameter)}),
    judged AS MATERIALIZED (
      SELECT row_number() OVER (ORDER BY ${ordered}) AS place, json_build_array(${marks.join(', ')}) AS mark, ARRAY[${listed.key.map((column) => `work.${column}`).join(', ')}]::text[] AS key,
        json_strip_nulls(json_build_object(${subjects.join(', ')})) AS subject, ${standing} AS standing, blocked.blocked_by, work.${listed.wantedAt} AS wanted_at, work.attempts,
        CASE WHEN work.not_before > ${now} THEN work.not_before END AS next_try_at, ${refusal ?? 'work.last_error'} AS last_error, work.claimed_by, work.claim_expires_at
      FROM passed AS work CROSS JOIN LATERAL (SELECT ${blockedBy?.(now) ?? 'NULL::text'} AS blocked_by OFFSET 0) AS blocked)
    SELECT whole.*, shown.* FROM (SELECT count(*)::int AS passed, (array_agg(mark ORDER BY place DESC))[1] AS last, ${now} AS decided FROM judged) AS whole
    LEFT JOIN (SELECT * FROM judged WHERE ${matches(filter, parameter)} ORDER BY place LIMIT ${parameter(limit)}) AS shown ON true ORDER BY shown.place`;
}

/** The rows that a page looks at. Those of the mark's own urgency and those of less are two ranges of the index. */
function passedSql({ table, open, urgency, order, subject, refusal }: ListedTable, { after, filter, max }: { readonly after: WorkMark | undefined; readonly filter: WorkFilter; readonly max: number }, parameter: (value: unknown) => string): string {
  const { layer, hasFailed = false } = filter;
  const columns = order.map(({ column }) => column).join(', ');
  const byLayer = layer === undefined ? '' : ` AND ${subject.layer === undefined ? 'false' : `${subject.layer} = ${parameter(layer)}`}`;
  const byFailure = hasFailed && refusal === undefined ? ' AND last_error IS NOT NULL' : '';
  const sorted = urgency === undefined ? columns : `${urgency.column} DESC, ${columns}`;
  const range = (condition: string): string => `(SELECT work.* FROM ${table} AS work WHERE ${open}${byLayer}${byFailure}${condition} ORDER BY ${sorted} LIMIT ${max})`;
  if (after === undefined) return range('');
  const given = [...(urgency === undefined ? [] : [urgency]), ...order].map(({ type }, n) => `${parameter(after[n] ?? null)}::${type}`);
  const beyond = (marks: readonly string[]): string => `(${columns}) > (${marks.join(', ')})`;
  if (urgency === undefined) return range(` AND ${beyond(given)}`);
  const [first, ...others] = given;
  return `SELECT * FROM (${range(` AND ${urgency.column} = ${first} AND ${beyond(others)}`)} UNION ALL ${range(` AND ${urgency.column} < ${first}`)}) AS ranges ORDER BY ${sorted} LIMIT ${max}`;
}

function matches({ layer: _byKey, hasFailed: _byIndex, standing, ...about }: WorkFilter, parameter: (value: unknown) => string): string {
  const conditions = Object.entries(about).flatMap(([field, value]) => (value === undefined ? [] : [`subject ->> '${field}' = ${parameter(value)}`]));
  if (standing !== undefined) conditions.push(`standing = ${parameter(standing)}`);
  return conditions.length === 0 ? 'true' : conditions.join(' AND ');
}

function entryOf(row: ListedRow, now: Date, { isWantedByDecidingClock = false }: ListedTable): WorkEntry {
  const clocks = { decided: row.decided, now };
  return {
    key: row.key ?? [], subject: row.subject, standing: row.standing, attempts: row.attempts,
    wantedAt: isWantedByDecidingClock ? onCallersClock(row.wanted_at, clocks) : row.wanted_at,
    ...(row.standing === 'blocked' && row.blocked_by !== null ? { blockedBy: row.blocked_by } : {}),
    ...(row.next_try_at === null ? {} : { nextTryAt: onCallersClock(row.next_try_at, clocks) }),
    ...(row.last_error === null ? {} : { lastError: row.last_error }),
    ...(row.standing === 'claimed' && row.claimed_by !== null && row.claim_expires_at !== null ? { claim: { owner: row.claimed_by, expiresAt: onCallersClock(row.claim_expires_at, clocks) } } : {}),
  };
}
