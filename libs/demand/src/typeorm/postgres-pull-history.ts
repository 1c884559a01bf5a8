import type { DataSource } from 'typeorm';

import type { Digest } from '#oci';

import { type GoneImage, HISTORY_BATCH_AGE_MAX_MS, type HistoryBatch, type HistoryBounds, type HistoryEvent, type HistoryMark, type HistoryQuery, PullHistory } from '../history/pull-history.js';
import { inKeyOrder, inStatements, rowsText } from './key-order.js';

interface EventRow {
  readonly sequence: string;
  readonly kind: HistoryEvent['kind'];
  readonly at: Date;
  readonly region: string | null;
  readonly repository: string;
  readonly image: Digest;
  readonly client: string | null;
  readonly until_at: Date | null;
}

/** In the order of the key, as statements are among each other, so that two batches never wait for each other in a circle. */
const ADD_TOTALS = `
  INSERT INTO pull_totals (region, repository, image, pulls, last_at)
  SELECT region, repository, image, pulls, $2 FROM json_to_recordset($1::text::json) AS counted (region text, repository text, image text, pulls float8)
  ORDER BY region COLLATE "C", repository COLLATE "C", image COLLATE "C"
  ON CONFLICT (region, repository, image) DO UPDATE SET pulls = pull_totals.pulls + excluded.pulls, last_at = greatest(pull_totals.last_at, excluded.last_at)`;
const TELL_PULLS = `
  INSERT INTO history_events (kind, at, region, repository, image, client)
  SELECT 'pull', at, region, repository, image, client FROM json_to_recordset($1::text::json) AS told (at timestamptz, region text, repository text, image text, client text)`;

const EVENT = 'kind, region, repository, image, client, until_at';
/** $1 since, $2 until, $3 and $4 the mark after which to read, $5 the limit. What is known of pins stands in an index of its own. */
const EVENTS = `
  SELECT sequence::text, at, ${EVENT} FROM (
    (SELECT sequence, $1::timestamptz AS at, ${EVENT} FROM history_events
     WHERE pin_id IS NOT NULL AND at < $1 AND $1 < $2::timestamptz AND ${holdsAt('$1')} AND ($3::timestamptz IS NULL OR $3 = $1 AND sequence > $4::bigint) ORDER BY sequence LIMIT $5)
    UNION ALL
    (SELECT sequence, at, ${EVENT} FROM history_events
     WHERE at >= $1 AND at < $2 AND ($3::timestamptz IS NULL OR (at, sequence) > ($3, $4::bigint)) ORDER BY at, sequence LIMIT $5)) AS told
  ORDER BY told.at, told.sequence LIMIT $5`;

/** Whether an event is of a pin that holds beyond an instant. */
function holdsAt(instant: string): string {
  return `kind = 'pin' AND (until_at IS NULL OR until_at > ${instant})`;
}

/** History in the tables `pull_totals`, `history_events` and `gone_images`; pushes, deletions and pins come there by triggers. */
export class PostgresPullHistory extends PullHistory {
  constructor(private readonly dataSource: DataSource) {
    super();
  }

  async keep({ batchId, closedAt, totals, lines }: HistoryBatch, now: Date): Promise<'kept' | 'repeated' | 'expired'> {
    if (closedAt.getTime() < now.getTime() - HISTORY_BATCH_AGE_MAX_MS) return 'expired';
    return this.dataSource.transaction(async (manager) => {
      const fresh = await manager.query<unknown[]>('INSERT INTO history_batches (batch_id, closed_at) VALUES ($1, least($2::timestamptz, $3::timestamptz)) ON CONFLICT DO NOTHING RETURNING batch_id', [batchId, closedAt, now]);
      if (fresh.length === 0) return 'repeated';
      for (const some of inKeyOrder(totals)) {
        await manager.query(ADD_TOTALS, [rowsText(some), closedAt]);
      }
      for (const some of inStatements(lines)) {
        await manager.query(TELL_PULLS, [rowsText(some)]);
      }
      return 'kept';
    });
  }

  async totals(region: string, images: readonly { readonly repository: string; readonly digest: Digest }[]): Promise<number[]> {
    const rows = await this.dataSource.query<{ pulls: number }[]>(
      `SELECT coalesce(total.pulls, 0)::float8 AS pulls FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS asked (repository, image, place)
       LEFT JOIN pull_totals AS total ON total.region = $1 AND total.repository = asked.repository AND total.image = asked.image ORDER BY asked.place`,
      [region, images.map(({ repository }) => repository), images.map(({ digest }) => digest)],
    );
    return rows.map(({ pulls }) => pulls);
  }

  async events({ since, until, after, limit }: HistoryQuery): Promise<{ events: HistoryEvent[]; next?: HistoryMark }> {
    const rows = await this.dataSource.query<EventRow[]>(
      EVENTS,
      [since, until, after?.at ?? null, after?.sequence ?? null, limit],
    );
    const last = rows.at(-1);
    return { events: rows.map(eventOf), ...(last === undefined || rows.length < limit ? {} : { next: { at: last.at, sequence: last.sequence } }) };
  }

  goneImages(after: { readonly repository: string; readonly digest: Digest } | undefined, limit: number): Promise<GoneImage[]> {
    return this.dataSource.query(
      'SELECT repository, digest, layers FROM gone_images WHERE (repository, digest) > ($1, $2) ORDER BY repository, digest LIMIT $3',
      [after?.repository ?? '', after?.digest ?? '', limit],
    );
  }

  async prune({ before, eventsMax, totalsBefore, now }: HistoryBounds, limit: number): Promise<number> {
    const deleted = async (table: string, key: string, condition: string, ...values: readonly unknown[]): Promise<number> => {
      const [, count] = (await this.dataSource.query(`DELETE FROM ${table} WHERE (${key}) IN (SELECT ${key} FROM ${table} WHERE ${condition} LIMIT $1)`, [limit, ...values])) as [unknown, number];
      return count;
    };
    return Math.max(
      await deleted('history_events', 'sequence', `at < $2 AND NOT (${holdsAt('$2')})`, before),
      await deleted('history_events', 'sequence', `sequence <= (SELECT max(sequence) FROM history_events) - $2::bigint AND NOT (${holdsAt('$3')})`, eventsMax, now),
      await deleted('gone_images', 'repository, digest', 'gone_at < $2', before),
      await deleted('pull_totals', 'region, repository, image', 'last_at < $2', totalsBefore),
      await deleted('history_batches', 'batch_id', 'closed_at < $2', new Date(now.getTime() - 2 * HISTORY_BATCH_AGE_MAX_MS)),
    );
  }
}

function eventOf({ kind, at, region, repository, image, client, until_at: until }: EventRow): HistoryEvent {
  return { kind, at, repository, image, ...(region === null ? {} : { region }), ...(client === null ? {} : { client }), ...(until === null ? {} : { until }) };
}
