import type { DataSource } from 'typeorm';

/** No change comes after it in its transaction: the largest that the column can have. */
const LAST_SEQUENCE = '9223372036854775807';

/** A place in the feed: everything up to it has been read. Ordered by transaction, then by sequence. */
export interface FeedPosition {
  /** A 64-bit transaction id as decimal text. */
  readonly transaction: string;
  readonly sequence: string;
}

/** Of all transactions up to this one, every change lies at or before the position. */
export function wholeTransactionsUpTo({ transaction, sequence }: FeedPosition): bigint {
  return sequence === LAST_SEQUENCE ? BigInt(transaction) : BigInt(transaction) - 1n;
}

/** Some row changed: what kind, and its key. What it is now must be read from its table. */
export interface Change {
  readonly topic: string;
  /** The key columns' values, in the order in which the table's trigger names them. */
  readonly key: readonly string[];
  readonly changedAt: Date;
}

/** Some changes, and where to read on. */
export interface ChangeBatch {
  readonly changes: readonly Change[];
  readonly position: FeedPosition;
  /** Where the feed ended when this was read. Unless the batch is full, everything before that is told, and nothing more can appear there. */
  readonly end?: FeedPosition | undefined;
  /**
   * True when changes between the asked position and the first kept one have been pruned, or the position is one that this server has not reached, because the
   * database was restored from another one: the reader must load everything anew, and read on from the `end()` that it asked for before.
   */
  readonly gap: boolean;
  /**
   * How long ago, by the database's own clock, the oldest change after the asked position was made that is committed and cannot be told yet, because an older
   * transaction is running. Undefined when nothing is held back: then everything committed by now is in this batch or, when it is full, in the next ones.
   */
  readonly heldBackMs?: number | undefined;
}

/** One told change; or, in a batch without any, nulls. What is said of the whole batch stands in every row. */
interface BatchRow {
  readonly told: boolean;
  readonly transaction: string;
  readonly sequence: string;
  readonly topic: string;
  readonly key: string[];
  readonly changed_at: Date;
  readonly held_back_ms: number | null;
  readonly lost: boolean;
  readonly complete: string;
}

/** One statement, and so one view of what has ended: a change that ends meanwhile is either told or held back, never neither. */
const READ_AFTER = `
  SELECT told.sequence IS NOT NULL AS told, told.transaction::text AS transaction, told.sequence::text AS sequence, told.topic, told.key, told.changed_at,
         batch.held_back_ms, batch.lost, batch.complete
  FROM (SELECT
          (SELECT (extract(epoch FROM clock_timestamp() - min(changed_at)) * 1000)::float8 FROM changes
           WHERE (transaction, sequence) > ($1::xid8, $2::bigint) AND transaction >= pg_snapshot_xmin(pg_current_snapshot())
             AND transaction < pg_snapshot_xmax(pg_current_snapshot())) AS held_back_ms,
          $1::xid8 >= pg_snapshot_xmax(pg_current_snapshot())
            OR EXISTS (SELECT FROM change_horizon WHERE (transaction, sequence) > ($1::xid8, $2::bigint) AND transaction < pg_snapshot_xmax(pg_current_snapshot())) AS lost,
          (pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1)::text AS complete
       ) AS batch
  LEFT JOIN (SELECT * FROM changes
             WHERE (transaction, sequence) > ($1::xid8, $2::bigint) AND transaction < pg_snapshot_xmin(pg_current_snapshot())
             ORDER BY transaction, sequence LIMIT $3) AS told ON true
  ORDER BY told.transaction, told.sequence`;

/** What another server wrote: a transaction that this one has not reached. What lies below the oldest running one cannot be told from it, and goes as well. */
const REPAIR = `
  WITH server AS (SELECT pg_snapshot_xmin(pg_current_snapshot()) AS oldest, pg_snapshot_xmax(pg_current_snapshot()) AS next),
       restored AS (SELECT server.* FROM server
                    WHERE EXISTS (SELECT FROM changes WHERE transaction >= server.next) OR EXISTS (SELECT FROM change_horizon WHERE transaction >= server.next)),
       gone AS (DELETE FROM changes USING restored WHERE transaction >= restored.next OR transaction < restored.oldest RETURNING sequence),
       moved AS (INSERT INTO change_horizon (singleton, transaction, sequence)
                 SELECT true, (oldest::text::bigint - 1)::text::xid8, ${LAST_SEQUENCE} FROM restored
                 ON CONFLICT (singleton) DO UPDATE SET transaction = excluded.transaction, sequence = excluded.sequence)
  SELECT EXISTS (SELECT FROM restored) AS restored`;

/**
 * The ordered feed of changes to the tables that readers keep in memory. Triggers write it within the transaction that
 * changes a row, so that nothing is missed and nothing rolled back is told.
 *
 * Sequence numbers are drawn before a transaction commits, so they are not the order in which changes become visible. The
 * feed is therefore read in the order of transaction ids and only below the oldest one still running: whatever is below has
 * ended, and nothing can appear there any more. A long transaction delays the feed; it never makes it lose or repeat anything, and a batch says how old
 * the oldest change is that waits for it. PostgreSQL counts transactions for a whole server: one in another database of the same server delays the feed as well.
 * A transaction that only reads has no number and delays nothing.
 *
 * A dump takes the feed along to a server that counts from elsewhere; `repair()` sets that right, and until then such changes are passed over.
 */
export class ChangeFeed {
  readonly #dataSource: DataSource;

  constructor(dataSource: DataSource) {
    this.#dataSource = dataSource;
  }

  /** The end of the feed as of now. Taken before a full load, it makes the changes that follow it complete for that load. */
  async end(): Promise<FeedPosition> {
    const rows = await this.#dataSource.query<{ transaction: string }[]>('SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS transaction');
    // Every transaction from xmin on may still commit: read on just before its first change.
    return { transaction: (BigInt(rows[0]?.transaction ?? '0') - 1n).toString(), sequence: LAST_SEQUENCE };
  }

  /** Up to `limit` changes after `position`, oldest first. */
  async readAfter(position: FeedPosition, limit: number): Promise<ChangeBatch> {
    const rows = await this.#dataSource.query<BatchRow[]>(READ_AFTER, [position.transaction, position.sequence, limit]);
    const told = rows.filter((row) => row.told);
    const [batch] = rows;
    const last = told.at(-1);
    const heldBackMs = batch?.held_back_ms ?? undefined;
    return {
      changes: told.map((row) => ({ topic: row.topic, key: row.key, changedAt: row.changed_at })),
      position: last === undefined ? position : { transaction: last.transaction, sequence: last.sequence },
      end: batch && { transaction: batch.complete, sequence: LAST_SEQUENCE },
      gap: batch?.lost ?? false,
      // The clock of a server may be set back.
      heldBackMs: heldBackMs === undefined ? undefined : Math.max(0, heldBackMs),
    };
  }

  /**
   * Makes the feed of a restored database one of this server: when it, or what was pruned from it, is ahead of the server's own transactions, it is emptied and
   * begins at its end, so that every reader from before has a gap, once. Otherwise it changes nothing. Once after opening is enough; repeating it does no harm.
   * @returns true when the feed was another server's.
   */
  async repair(): Promise<boolean> {
    const rows = await this.#dataSource.query<{ restored: boolean }[]>(REPAIR);
    return rows[0]?.restored ?? false;
  }

  /** Forgets changes older than `before`, at most `limit` of them, and remembers how far. @returns how many went. */
  async prune(before: Date, limit: number): Promise<number> {
    const rows = await this.#dataSource.query<{ count: number }[]>(
      `WITH old AS (SELECT sequence FROM changes WHERE changed_at < $1 AND transaction < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY transaction, sequence LIMIT $2),
            gone AS (DELETE FROM changes USING old WHERE changes.sequence = old.sequence RETURNING changes.transaction, changes.sequence),
            moved AS (INSERT INTO change_horizon (singleton, transaction, sequence)
                      SELECT true, transaction, sequence FROM gone ORDER BY transaction DESC, sequence DESC LIMIT 1
                      ON CONFLICT (singleton) DO UPDATE SET transaction = excluded.transaction, sequence = excluded.sequence
                        WHERE (excluded.transaction, excluded.sequence) > (change_horizon.transaction, change_horizon.sequence))
       SELECT count(*)::int AS count FROM gone`,
      [before, limit],
    );
    return rows[0]?.count ?? 0;
  }
}
