import { type RetryOutcome, WORK_PASSED_MAX, type WorkEntry, type WorkFilter, WorkList, type WorkMark, type WorkPage, type WorkQuery, type WorkSubject } from '../work-list.js';
import type { MemoryWork } from './memory-claims.js';

/** One kind of work among a memory store's rows, as a list shows it. */
export interface MemoryListedWork<Row extends MemoryWork> {
  readonly rows: () => Iterable<Row>;
  readonly isOpen: (row: Row) => boolean;
  readonly keyOf: (row: Row) => readonly string[];
  /** What the order goes by, ascending; the key is a part of it. */
  readonly orderOf: (row: Row) => WorkMark;
  readonly subjectOf: (row: Row) => WorkSubject;
  readonly wantedAt: (row: Row) => Date;
  /** Why a row that nobody has claimed is given to nobody. Default: none is. */
  readonly blockedBy?: (row: Row, now: Date) => string | undefined;
  /** Why a row was given up; such work is not tried again. */
  readonly refusalOf?: (row: Row) => string;
}

/** The twin of the SQL in `postgres-work-list.ts` over rows in memory. */
export class MemoryWorkList<Row extends MemoryWork> extends WorkList {
  readonly #kind: MemoryListedWork<Row>;

  constructor(kind: MemoryListedWork<Row>) {
    super();
    this.#kind = kind;
  }

  async list({ after, limit, filter = {} }: WorkQuery, now: Date): Promise<WorkPage> {
    const { orderOf, subjectOf } = this.#kind;
    const { layer, hasFailed = false, ...judged } = filter;
    const max = limit + (Object.values(judged).some((value) => value !== undefined) ? WORK_PASSED_MAX : 0);
    const open = this.#open().filter((row) => (layer === undefined || subjectOf(row).layer === layer) && (!hasFailed || this.#errorOf(row) !== undefined) && (after === undefined || compareMarks(orderOf(row), after) > 0));
    const passed = open.toSorted((a, b) => compareMarks(orderOf(a), orderOf(b))).slice(0, max);
    const shown = passed.map((row) => ({ row, entry: this.#entry(row, now) })).filter(({ entry }) => isWanted(entry, judged)).slice(0, limit);
    const last = shown.length === limit ? shown.at(-1)?.row : passed.length === max ? passed.at(-1) : undefined;
    return { entries: shown.map(({ entry }) => entry), ...(last === undefined ? {} : { next: orderOf(last) }) };
  }

  async retry(key: readonly string[], now: Date): Promise<RetryOutcome> {
    const row = this.#open().find((each) => compareMarks(this.#kind.keyOf(each), key) === 0);
    if (row === undefined) return 'NOT_OPEN';
    if (this.#kind.refusalOf !== undefined || row.lastError === undefined || (row.claim !== undefined && row.claim.expiresAt > now)) return 'NOT_FAILED';
    row.notBefore = new Date(-8_640_000_000_000_000);
    return 'due';
  }

  #open(): Row[] {
    return [...this.#kind.rows()].filter(this.#kind.isOpen);
  }

  #errorOf(row: Row): string | undefined {
    return this.#kind.refusalOf?.(row) ?? row.lastError;
  }

  #entry(row: Row, now: Date): WorkEntry {
    const { keyOf, subjectOf, wantedAt, blockedBy, refusalOf } = this.#kind;
    const claim = row.claim !== undefined && row.claim.expiresAt > now ? row.claim : undefined;
    const blocked = claim === undefined ? blockedBy?.(row, now) : undefined;
    const lastError = this.#errorOf(row);
    const waits = row.notBefore > now;
    return {
      key: keyOf(row), subject: subjectOf(row), wantedAt: wantedAt(row), attempts: row.attempts,
      standing: refusalOf !== undefined ? 'refused' : claim !== undefined ? 'claimed' : blocked !== undefined ? 'blocked' : waits ? 'waiting' : 'due',
      ...(blocked === undefined ? {} : { blockedBy: blocked }),
      ...(waits ? { nextTryAt: row.notBefore } : {}),
      ...(lastError === undefined ? {} : { lastError }),
      ...(claim === undefined ? {} : { claim: { owner: claim.owner, expiresAt: claim.expiresAt } }),
    };
  }
}

function isWanted({ standing, subject }: WorkEntry, { standing: wanted, ...about }: WorkFilter): boolean {
  if (wanted !== undefined && standing !== wanted) return false;
  return Object.entries(about).every(([field, value]) => value === undefined || subject[field as keyof WorkSubject] === value);
}

function compareMarks(a: WorkMark, b: WorkMark): number {
  for (let place = 0; place < Math.max(a.length, b.length); place += 1) {
    const [one, other] = [a[place] ?? '', b[place] ?? ''];
    if (one !== other) return one < other ? -1 : 1;
  }
  return 0;
}
