import type { DataSource } from 'typeorm';

import { type EventQuery, EventStore } from '../event-store.js';
import type { EventPosition, EventType, Happening, OutwardEvent } from '../outward-event.js';

interface EventRow {
  readonly id: string;
  readonly type: EventType;
  readonly subject: string;
  readonly at: Date;
  readonly data: Record<string, unknown>;
  readonly transaction: string;
  readonly sequence: string;
}

const COLUMNS = 'id, type, subject, at, data, transaction::text AS transaction, sequence::text AS sequence';
/** Below the oldest running transaction nothing can appear any more. */
const TOLD = 'transaction < pg_snapshot_xmin(pg_current_snapshot())';
const OF_TYPES = '($1::text[] IS NULL OR type = ANY ($1))';

/** Events in the table `events`; most are written there by triggers. */
export class PostgresEventStore extends EventStore {
  readonly #dataSource: DataSource;

  constructor(dataSource: DataSource) {
    super();
    this.#dataSource = dataSource;
  }

  async append({ type, subject, data }: Happening): Promise<void> {
    await this.#dataSource.query('SELECT record_event($1, $2, $3::jsonb)', [type, subject, JSON.stringify(data)]);
  }

  async after({ transaction, sequence }: EventPosition, { types, limit }: EventQuery): Promise<readonly OutwardEvent[]> {
    const rows = await this.#dataSource.query<EventRow[]>(
      `SELECT ${COLUMNS} FROM events WHERE ${OF_TYPES} AND ${TOLD} AND (transaction, sequence) > ($2::xid8, $3::bigint) ORDER BY events.transaction, events.sequence LIMIT $4`,
      [types ?? null, transaction, sequence, limit],
    );
    return rows.map(toEvent);
  }

  async before(position: EventPosition | undefined, { types, limit }: EventQuery): Promise<readonly OutwardEvent[]> {
    const rows = await this.#dataSource.query<EventRow[]>(
      `SELECT ${COLUMNS} FROM events
       WHERE ${OF_TYPES} AND ${TOLD} AND ($2::text IS NULL OR (transaction, sequence) < ($2::xid8, $3::bigint))
       ORDER BY events.transaction DESC, events.sequence DESC LIMIT $4`,
      [types ?? null, position?.transaction ?? null, position?.sequence ?? null, limit],
    );
    return rows.map(toEvent);
  }

  async end(): Promise<EventPosition> {
    const rows = await this.#dataSource.query<{ transaction: string }[]>('SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS transaction');
    return { transaction: (BigInt(rows[0]?.transaction ?? '0') - 1n).toString(), sequence: '9223372036854775807' };
  }

  async prune({ before, keepMax, limit }: { readonly before: Date; readonly keepMax: number; readonly limit: number }): Promise<number> {
    const [, count] = (await this.#dataSource.query(
      `DELETE FROM events WHERE sequence IN (
         SELECT sequence FROM events WHERE at < $1 OR sequence <= (SELECT sequence FROM events ORDER BY sequence DESC OFFSET $2 LIMIT 1) ORDER BY sequence LIMIT $3)`,
      [before, keepMax, limit],
    )) as [unknown, number];
    return count;
  }
}

function toEvent({ transaction, sequence, ...event }: EventRow): OutwardEvent {
  return { ...event, position: { transaction, sequence } };
}
