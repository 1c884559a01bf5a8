import type { DataSource } from 'typeorm';

import { formatReference, parseReference } from '#oci';

import { checkPin, isPinId, type Pin, sayTheSame } from '../pin.js';
import { PinError } from '../pin-error.js';
import { type PinPage, type PinQuery, PINS_MAX, PinStore } from '../pin-store.js';

interface PinRow {
  readonly id: string;
  readonly repository: string;
  readonly reference: string;
  readonly regions: string[];
  readonly priority: number;
  readonly expires_at: Date | null;
  readonly note: string | null;
  readonly created_at: Date;
  readonly created_by: string;
}

/** Pins in the table `pins`. */
export class PostgresPinStore extends PinStore {
  readonly #dataSource: DataSource;

  constructor(dataSource: DataSource) {
    super();
    this.#dataSource = dataSource;
  }

  async create(pin: Pin): Promise<{ pin: Pin; created: boolean }> {
    const checked = checkPin(pin);
    const inserted = await this.#dataSource.query<PinRow[]>(
      `INSERT INTO pins (id, repository, reference, regions, priority, expires_at, note, created_at, created_by)
       SELECT $1::uuid, $2, $3, $4::text[], $5, $6, $7, $8, $9 WHERE (SELECT count(*) FROM pins) < $10
       ON CONFLICT (id) DO NOTHING RETURNING *`,
      [checked.id, checked.repository, formatReference(checked.reference), checked.regions, checked.priority, checked.expiresAt ?? null,
        checked.note ?? null, checked.createdAt, checked.createdBy, PINS_MAX],
    );
    if (inserted[0] !== undefined) return { pin: pinOf(inserted[0]), created: true };
    const stored = await this.get(checked.id);
    if (stored === undefined) throw new PinError('PINS_TOO_MANY', `there are ${PINS_MAX} pins already`, { details: { max: PINS_MAX } });
    if (!sayTheSame(stored, checked)) throw new PinError('PIN_CONFLICT', `pin ${pin.id} exists and says something else`, { details: { id: pin.id } });
    return { pin: stored, created: false };
  }

  async get(id: string): Promise<Pin | undefined> {
    if (!isPinId(id)) return undefined;
    const rows = await this.#dataSource.query<PinRow[]>('SELECT * FROM pins WHERE id = $1', [id]);
    return rows[0] === undefined ? undefined : pinOf(rows[0]);
  }

  async list(query: PinQuery): Promise<PinPage> {
    const rows = await this.#dataSource.query<PinRow[]>(
      `SELECT * FROM pins
       WHERE ($1::text IS NULL OR repository = $1) AND ($2::text IS NULL OR $2 = ANY (regions))
         AND ($3::timestamptz IS NULL OR expires_at IS NULL OR expires_at > $3)
         AND ($4::timestamptz IS NULL OR (created_at, id) > ($4, $5::uuid))
       ORDER BY created_at, id LIMIT $6`,
      [query.repository ?? null, query.region ?? null, query.activeAt ?? null, query.after?.createdAt ?? null, query.after?.id ?? null, query.limit],
    );
    const pins = rows.map(pinOf);
    const last = pins.at(-1);
    return { pins, ...(last === undefined || pins.length < query.limit ? {} : { next: { createdAt: last.createdAt, id: last.id } }) };
  }

  async delete(id: string): Promise<boolean> {
    if (!isPinId(id)) return false;
    const [, count] = (await this.#dataSource.query('DELETE FROM pins WHERE id = $1', [id])) as [unknown, number];
    return count > 0;
  }

  async pruneExpired(before: Date, limit: number): Promise<number> {
    const [, count] = (await this.#dataSource.query(
      'DELETE FROM pins WHERE id IN (SELECT id FROM pins WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)',
      [before, limit],
    )) as [unknown, number];
    return count;
  }
}

function pinOf(row: PinRow): Pin {
  return {
    id: row.id,
    repository: row.repository,
    reference: parseReference(row.reference),
    regions: row.regions,
    priority: row.priority,
    ...(row.expires_at === null ? {} : { expiresAt: row.expires_at }),
    ...(row.note === null ? {} : { note: row.note }),
    createdAt: row.created_at,
    createdBy: row.created_by,
  };
}
