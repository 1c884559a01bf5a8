import type { DataSource } from 'typeorm';

import { type Delivery, DeliveryStore } from '../event-store.js';
import type { EventPosition } from '../outward-event.js';

interface DeliveryRow {
  readonly webhook: string;
  readonly transaction: string;
  readonly sequence: string;
  readonly attempts: number;
  readonly not_before: Date | null;
  readonly last_error: string | null;
}

const COLUMNS = `webhook, transaction::text AS transaction, sequence::text AS sequence, attempts, nullif(not_before, '-infinity') AS not_before, last_error`;
const LEASE = `claim_expires_at = clock_timestamp() + $3 * interval '1 millisecond'`;
/** Who has lost a claim changes nothing. */
const HELD = 'webhook = $1 AND claimed_by = $2 AND claim_expires_at > clock_timestamp()';
/** Of an error, what a row keeps. */
const ERROR_LENGTH_MAX = 1000;

/** How far each webhook is, in the table `webhook_deliveries`. */
export class PostgresDeliveryStore extends DeliveryStore {
  readonly #dataSource: DataSource;

  constructor(dataSource: DataSource) {
    super();
    this.#dataSource = dataSource;
  }

  async claim(webhook: string, owner: string, leaseMs: number): Promise<Delivery | undefined> {
    await this.#dataSource.query(
      `INSERT INTO webhook_deliveries (webhook, transaction, sequence)
       VALUES ($1, (pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1)::text::xid8, 9223372036854775807) ON CONFLICT (webhook) DO NOTHING`,
      [webhook],
    );
    const [rows] = (await this.#dataSource.query(
      `UPDATE webhook_deliveries SET claimed_by = $2, ${LEASE}
       WHERE webhook = $1 AND not_before <= clock_timestamp() AND (claimed_by = $2 OR claim_expires_at <= clock_timestamp()) RETURNING ${COLUMNS}`,
      [webhook, owner, leaseMs],
    )) as [DeliveryRow[], number];
    return rows[0] === undefined ? undefined : toDelivery(rows[0]);
  }

  async told(webhook: string, owner: string, { position, leaseMs }: { readonly position: EventPosition; readonly leaseMs: number }): Promise<boolean> {
    const [, count] = (await this.#dataSource.query(
      `UPDATE webhook_deliveries SET transaction = $4::xid8, sequence = $5, attempts = 0, last_error = NULL, ${LEASE} WHERE ${HELD}`,
      [webhook, owner, leaseMs, position.transaction, position.sequence],
    )) as [unknown, number];
    return count > 0;
  }

  async postpone(webhook: string, owner: string, { waitMs, error }: { readonly waitMs: number; readonly error: string }): Promise<void> {
    await this.#dataSource.query(
      `UPDATE webhook_deliveries SET attempts = attempts + 1, last_error = $4, not_before = clock_timestamp() + $3 * interval '1 millisecond', claimed_by = NULL, claim_expires_at = '-infinity' WHERE ${HELD}`,
      [webhook, owner, waitMs, error.slice(0, ERROR_LENGTH_MAX)],
    );
  }

  async release(webhook: string, owner: string): Promise<void> {
    await this.#dataSource.query(`UPDATE webhook_deliveries SET claimed_by = NULL, claim_expires_at = '-infinity' WHERE ${HELD}`, [webhook, owner]);
  }

  async list(): ReturnType<DeliveryStore['list']> {
    const rows = await this.#dataSource.query<DeliveryRow[]>(`SELECT ${COLUMNS} FROM webhook_deliveries ORDER BY webhook`);
    return rows.map((row) => ({ ...toDelivery(row), webhook: row.webhook, notBefore: row.not_before ?? undefined, lastError: row.last_error ?? undefined }));
  }
}

function toDelivery({ transaction, sequence, attempts }: DeliveryRow): Delivery {
  return { position: { transaction, sequence }, attempts };
}
