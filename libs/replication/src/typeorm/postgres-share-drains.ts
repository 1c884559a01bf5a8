import type { DataSource } from 'typeorm';

import { type FencedTransaction, WriteFence } from '#claims';
import { affected } from '#claims/typeorm';

import { ReplicationError } from '../replication-error.js';
import { type DrainLeft, type ShareDrain, ShareDrains } from '../share-drains.js';
import { lockCapacity } from './share-room.js';

interface DrainRow {
  readonly share: string;
  readonly id: string;
  readonly state: ShareDrain['state'];
  readonly reason: string;
  readonly ordered_by: string;
  readonly began_at: Date;
  readonly drained_at: Date | null;
  readonly without_room: number;
}

interface LeftRow {
  readonly ready: number;
  readonly ready_bytes: string;
  readonly last: number;
  readonly last_bytes: string;
  readonly ordered: number;
  readonly ordered_bytes: string;
  readonly draining: number;
  readonly draining_bytes: string;
  readonly resting_until: Date | null;
}

const IS_LAST = `state = 'ready' AND NOT EXISTS (SELECT FROM replicas AS other WHERE other.layer = replicas.layer AND other.share <> replicas.share AND other.state = 'ready')`;
const sums = (name: string, which: string): string => `count(*) FILTER (WHERE ${which})::int AS ${name}, coalesce(sum(size_bytes) FILTER (WHERE ${which}), 0) AS ${name}_bytes`;

/** Drains in the table `share_drains`. Whoever orders onto a share stands in line with who begins or finishes its drain. */
export class PostgresShareDrains extends ShareDrains {
  readonly #dataSource: DataSource;

  constructor(dataSource: DataSource) {
    super();
    this.#dataSource = dataSource;
  }

  begin({ share, reason, orderedBy }: Pick<ShareDrain, 'share' | 'reason' | 'orderedBy'>): Promise<ShareDrain> {
    return this.#dataSource.transaction(async (manager) => {
      await lockCapacity(manager, share);
      await manager.query('INSERT INTO share_drains (share, reason, ordered_by) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING', [share, reason, orderedBy]);
      const [row] = await manager.query<DrainRow[]>('SELECT * FROM share_drains WHERE share = $1', [share]);
      if (row === undefined) throw new ReplicationError('DRAIN_ENDED', `the drain of ${share} was ended while it was ordered`, { transient: true });
      return drainOf(row);
    });
  }

  async end(share: string): Promise<boolean> {
    return affected(await this.#dataSource.query('DELETE FROM share_drains WHERE share = $1', [share]));
  }

  async list(): Promise<readonly ShareDrain[]> {
    const rows = await this.#dataSource.query<DrainRow[]>('SELECT * FROM share_drains ORDER BY share');
    return rows.map(drainOf);
  }

  async left(share: string): Promise<DrainLeft> {
    const sql = `
      SELECT ${sums('ready', `state = 'ready'`)}, ${sums('last', IS_LAST)}, ${sums('ordered', `state IN ('wanted', 'copying')`)}, ${sums('draining', `state = 'draining'`)},
             max(not_before) FILTER (WHERE state = 'draining' AND last_error IS NULL AND not_before > statement_timestamp()) AS resting_until
      FROM replicas WHERE share = $1`;
    const [row] = await this.#dataSource.query<LeftRow[]>(sql, [share]);
    const sum = (name: 'ready' | 'last' | 'ordered' | 'draining'): DrainLeft['ready'] => ({ count: row?.[name] ?? 0, sizeBytes: Number(row?.[`${name}_bytes`] ?? 0) });
    const restingUntil = row?.resting_until ?? undefined;
    return { ready: sum('ready'), last: sum('last'), ordered: sum('ordered'), draining: sum('draining'), ...(restingUntil === undefined ? {} : { restingUntil }) };
  }

  async noteWithoutRoom({ share, id }: Pick<ShareDrain, 'share' | 'id'>, count: number): Promise<void> {
    await this.#dataSource.query('UPDATE share_drains SET without_room = $3 WHERE share = $1 AND id = $2 AND without_room <> $3', [share, id, count]);
  }

  finish({ share, id }: Pick<ShareDrain, 'share' | 'id'>): Promise<boolean> {
    return this.#dataSource.transaction(async (manager) => {
      // Nobody orders anything onto it meanwhile.
      await lockCapacity(manager, share);
      const [[done]] = await manager.query<[{ reason: string; ordered_by: string; began_at: Date }[], number]>(
        `UPDATE share_drains SET state = 'drained', drained_at = clock_timestamp(), without_room = 0
         WHERE share = $1 AND id = $2 AND state = 'draining' AND NOT EXISTS (SELECT FROM replicas WHERE replicas.share = $1)
         RETURNING reason, ordered_by, began_at`,
        [share, id],
      );
      if (done === undefined) return false;
      const told = { region: share, drain: id, reason: done.reason, orderedBy: done.ordered_by, beganAt: done.began_at.toISOString() };
      await manager.query(`SELECT record_event('translocator.region.drained', $1, $2::jsonb)`, [share, JSON.stringify(told)]);
      return true;
    });
  }

  fence(drain: Pick<ShareDrain, 'share' | 'id'>): WriteFence {
    return new DrainFence(this.#dataSource, drain);
  }
}

/** Holds while a drain's row is there; the row cannot go before the transaction that asked has ended. */
class DrainFence extends WriteFence {
  readonly #dataSource: DataSource;
  readonly #drain: Pick<ShareDrain, 'share' | 'id'>;

  constructor(dataSource: DataSource, drain: Pick<ShareDrain, 'share' | 'id'>) {
    super();
    this.#dataSource = dataSource;
    this.#drain = drain;
  }

  async hold(transaction: FencedTransaction = this.#dataSource): Promise<void> {
    const { share, id } = this.#drain;
    const rows = await transaction.query<unknown[]>('SELECT true AS held FROM share_drains WHERE share = $1 AND id = $2 FOR SHARE', [share, id]);
    if (rows.length === 0) throw new ReplicationError('DRAIN_ENDED', `${share} is not drained any more`, { transient: true, details: { share } });
  }
}

function drainOf({ share, id, state, reason, ordered_by: orderedBy, began_at: beganAt, drained_at: drainedAt, without_room: withoutRoom }: DrainRow): ShareDrain {
  return { share, id, state, reason, orderedBy, beganAt, withoutRoom, ...(drainedAt === null ? {} : { drainedAt }) };
}
