import type { DataSource } from 'typeorm';

/** A place in the feed: everything up to it has been read. Ordered by transaction, then by sequence. */
export interface FeedPosition {
  /** A 64-bit transaction id as decimal text. */
  readonly transaction: string;
  readonly sequence: string;
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
  /** True when changes between the asked position and the first kept one have been pruned: the reader must load everything anew. */
  readonly gap: boolean;
}

interface ChangeRow {
  readonly transaction: string;
  readonly sequence: string;
  readonly topic: string;
  readonly key: string[];
  readonly changed_at: Date;
}

/**
 * The ordered feed of changes to the tables that readers keep in memory. Triggers write it within the transaction that
 * changes a row, so that nothing is missed and nothing rolled back is told.
 *
 * Sequence numbers are drawn before a transaction commits, so they are not the order in which changes become visible. The
 * feed is therefore read in the order of transaction ids and only below the oldest one still running: whatever is below has
 * ended, and nothing can appear there any more. A long transaction delays the feed; it never makes it lose or repeat anything. PostgreSQL counts
 * transactions for a whole server: one in another database of the same server delays the feed as well.
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
    return { transaction: (BigInt(rows[0]?.transaction ?? '0') - 1n).toString(), sequence: '9223372036854775807' };
  }

  /** Up to `limit` changes after `position`, oldest first. */
  async readAfter(position: FeedPosition, limit: number): Promise<ChangeBatch> {
    const rows = await this.#dataSource.query<ChangeRow[]>(
      `SELECT transaction::text AS transaction, sequence::text AS sequence, topic, key, changed_at FROM changes
       WHERE (transaction, sequence) > ($1::xid8, $2::bigint) AND transaction < pg_snapshot_xmin(pg_current_snapshot())
       ORDER BY transaction, sequence LIMIT $3`,
      [position.transaction, position.sequence, limit],
    );
    const horizon = await this.#dataSource.query<{ lost: boolean }[]>(
      'SELECT coalesce(bool_or((transaction, sequence) > ($1::xid8, $2::bigint)), false) AS lost FROM change_horizon',
      [position.transaction, position.sequence],
    );
    const last = rows.at(-1);
    return {
      changes: rows.map((row) => ({ topic: row.topic, key: row.key, changedAt: row.changed_at })),
      position: last === undefined ? position : { transaction: last.transaction, sequence: last.sequence },
      gap: horizon[0]?.lost ?? false,
    };
  }

  /** Forgets changes older than `before`, at most `limit` of them, and remembers how far. @returns how many went. */
  async prune(before: Date, limit: number): Promise<number> {
    const rows = await this.#dataSource.query<{ count: number }[]>(
      `WITH old AS (SELECT sequence FROM changes WHERE changed_at < $1 AND transaction < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY transaction, sequence LIMIT $2),
            gone AS (DELETE FROM changes USING old WHERE changes.sequence = old.sequence RETURNING changes.transaction, changes.sequence),
            moved AS (INSERT INTO change_horizon (singleton, transaction, sequence)
                      SELECT true, transaction, sequence FROM gone ORDER BY transaction DESC, sequence DESC LIMIT 1
                      ON CONFLICT (singleton) DO UPDATE SET transaction = excluded.transaction, sequence = excluded.sequence)
       SELECT count(*)::int AS count FROM gone`,
      [before, limit],
    );
    return rows[0]?.count ?? 0;
  }
}
