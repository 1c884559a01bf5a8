import type { DataSource } from 'typeorm';

import { isTokenId } from '../service-token.js';
import type { TrailEntry } from '../trail.js';
import { type TrailQuery, TrailStore } from '../trail-store.js';

interface TrailRow {
  readonly id: string;
  readonly at: Date;
  readonly actor: string;
  readonly actor_name: string;
  readonly address: string;
  readonly method: string;
  readonly path: string;
  readonly body: string | null;
  readonly status: number | null;
}

/** The trail in the table `trail_entries`. */
export class PostgresTrailStore extends TrailStore {
  readonly #dataSource: DataSource;

  constructor(dataSource: DataSource) {
    super();
    this.#dataSource = dataSource;
  }

  async begin({ id, at, actor, actorName, address, method, path, body }: Omit<TrailEntry, 'status'>): Promise<void> {
    await this.#dataSource.query(
      'INSERT INTO trail_entries (id, at, actor, actor_name, address, method, path, body) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)',
      [id, at, actor, actorName, address, method, path, body ?? null],
    );
  }

  async end(id: string, status: number): Promise<void> {
    if (!isTokenId(id)) return;
    await this.#dataSource.query('UPDATE trail_entries SET status = $2 WHERE id = $1 AND status IS NULL', [id, status]);
  }

  async list({ actor, from, until, after, limit }: TrailQuery): Promise<readonly TrailEntry[]> {
    const rows = await this.#dataSource.query<TrailRow[]>(
      `SELECT * FROM trail_entries
       WHERE ($1::text IS NULL OR actor = $1) AND ($2::timestamptz IS NULL OR at >= $2) AND ($3::timestamptz IS NULL OR at < $3)
         AND ($4::timestamptz IS NULL OR (at, id) < ($4, $5::uuid))
       ORDER BY at DESC, id DESC LIMIT $6`,
      [actor ?? null, from ?? null, until ?? null, after?.at ?? null, after?.id ?? null, limit],
    );
    return rows.map(entryOf);
  }

  async prune({ before, keepMax, limit }: { readonly before: Date; readonly keepMax: number; readonly limit: number }): Promise<number> {
    const [, count] = (await this.#dataSource.query(
      `DELETE FROM trail_entries WHERE id IN (
         SELECT id FROM trail_entries
         WHERE at < $1 OR (at, id) <= (SELECT at, id FROM trail_entries ORDER BY at DESC, id DESC OFFSET $2 LIMIT 1)
         ORDER BY at, id LIMIT $3)`,
      [before, keepMax, limit],
    )) as [unknown, number];
    return count;
  }
}

function entryOf({ actor_name: actorName, body, status, ...row }: TrailRow): TrailEntry {
  return { ...row, actorName, ...(body === null ? {} : { body }), ...(status === null ? {} : { status }) };
}
