import type { DataSource } from 'typeorm';

import type { Digest } from '#oci';

import { isLeaseId, type Lease } from '../lease.js';
import { type LeaseFilter, LeaseStore, type ListedLease } from '../lease-store.js';
import { leasePage, type LeasePageRow, listedOf } from './lease-page.js';

/** Whose clock decides what has run out: the database's, which all processes share, or the caller's, for tests that turn it. */
export type LeaseClock = 'database' | 'caller';

/**
 * Leases in the tables `leases` and `lease_layers`. Every method is one statement. Instants at rest are the database's: what callers give is moved by the
 * difference of the two clocks at that moment, and moved back in what they get.
 */
export class PostgresLeaseStore extends LeaseStore {
  readonly #dataSource: DataSource;
  /** The instant that the caller calls `now`, on the clock that decides, as SQL. */
  readonly #at: (now: string) => string;

  constructor(dataSource: DataSource, clock: LeaseClock = 'database') {
    super();
    this.#dataSource = dataSource;
    this.#at = clock === 'database' ? () => 'statement_timestamp()' : (now) => `${now}::timestamptz`;
  }

  async grantMany(leases: readonly Lease[], now: Date): Promise<void> {
    if (leases.length === 0) return;
    await this.#dataSource.query(
      `WITH given AS MATERIALIZED (
         SELECT * FROM json_to_recordset($1::text::json) AS given (id uuid, region text, "grantedAt" timestamptz, "expiresAt" timestamptz, shared boolean, replicas json)),
       granted AS (
         INSERT INTO leases (id, region, granted_at, expires_at, shared)
         SELECT id, region, "grantedAt" + moved, "expiresAt" + moved, shared FROM given, (SELECT ${this.#at('$2')} - $2::timestamptz AS moved) AS clocks
         ON CONFLICT (id) DO NOTHING RETURNING id)
       INSERT INTO lease_layers (lease_id, layer, share)
       SELECT DISTINCT given.id, held.layer, held.share
       FROM given JOIN granted ON granted.id = given.id, json_to_recordset(given.replicas) AS held (layer text, share text)`,
      // As one text: the driver writes arguments that are lists element by element, which takes ten times as long.
      [JSON.stringify(leases), now.toISOString()],
    );
  }

  async renewMany(ids: readonly string[], now: Date, ttlMs: number): Promise<Map<string, Date>> {
    const possible = ids.filter(isLeaseId);
    if (possible.length === 0) return new Map();
    const at = this.#at('$2');
    // Rows are locked in one order, so that requests that name the same leases do not wait for each other in a ring.
    const [rows] = (await this.#dataSource.query(
      `WITH live AS (SELECT id FROM leases WHERE id = ANY ($1::uuid[]) AND expires_at > ${at} AND renewable ORDER BY id FOR UPDATE)
       UPDATE leases SET expires_at = greatest(expires_at, ${at} + make_interval(secs => $3::float8 / 1000)) FROM live WHERE leases.id = live.id
       RETURNING leases.id, leases.expires_at - (${at} - $2::timestamptz) AS expires_at`,
      [possible, now.toISOString(), ttlMs],
    )) as [{ id: string; expires_at: Date }[], number];
    return new Map(rows.map((row) => [row.id, row.expires_at]));
  }

  async endRenewals(layer: Digest, share: string, now: Date): Promise<number> {
    const [rows] = (await this.#dataSource.query(
      `WITH holding AS (
         SELECT id FROM leases WHERE id IN (SELECT lease_id FROM lease_layers WHERE share = $1 AND layer = $2) AND expires_at > ${this.#at('$3')} AND $3::timestamptz IS NOT NULL
         ORDER BY id FOR UPDATE)
       UPDATE leases SET renewable = false FROM holding WHERE leases.id = holding.id RETURNING leases.id`,
      [share, layer, now.toISOString()],
    )) as [unknown[], number];
    return rows.length;
  }

  async release(id: string): Promise<void> {
    if (isLeaseId(id)) await this.#dataSource.query('DELETE FROM leases WHERE id = $1 AND NOT shared', [id]);
  }

  async heldUntil(layer: Digest, share: string, now: Date): Promise<Date | undefined> {
    const at = this.#at('$3');
    const rows = await this.#dataSource.query<{ held_until: Date | null }[]>(
      `SELECT max(leases.expires_at) - (${at} - $3::timestamptz) AS held_until FROM lease_layers JOIN leases ON leases.id = lease_layers.lease_id
       WHERE lease_layers.share = $1 AND lease_layers.layer = $2 AND leases.expires_at > ${at}`,
      [share, layer, now.toISOString()],
    );
    return rows[0]?.held_until ?? undefined;
  }

  async leasedLayers(share: string, now: Date): Promise<Set<Digest>> {
    const rows = await this.#dataSource.query<{ layer: Digest }[]>(
      `SELECT DISTINCT lease_layers.layer FROM lease_layers JOIN leases ON leases.id = lease_layers.lease_id
       WHERE lease_layers.share = $1 AND leases.expires_at > ${this.#at('$2')} AND $2::timestamptz IS NOT NULL`,
      [share, now.toISOString()],
    );
    return new Set(rows.map((row) => row.layer));
  }

  async countOn(share: string, now: Date): Promise<number> {
    const [row] = await this.#dataSource.query<{ count: number }[]>(
      `SELECT count(DISTINCT lease_layers.lease_id)::int AS count FROM lease_layers JOIN leases ON leases.id = lease_layers.lease_id
       WHERE lease_layers.share = $1 AND leases.expires_at > ${this.#at('$2')} AND $2::timestamptz IS NOT NULL`,
      [share, now.toISOString()],
    );
    return row?.count ?? 0;
  }

  async page({ after = null, limit, filter = {} }: { readonly after?: string | undefined | null; readonly limit: number; readonly filter?: LeaseFilter }, now: Date): Promise<ListedLease[]> {
    const { region = null, share = null, layer = null } = filter;
    const rows = await this.#dataSource.query<LeasePageRow[]>(leasePage(filter, this.#at('$1')), [now.toISOString(), after, limit, region, share, layer]);
    return rows.map(listedOf);
  }

  async prune(before: Date, limit: number): Promise<number> {
    const rows = await this.#dataSource.query<{ count: number }[]>(
      `WITH old AS (SELECT id FROM leases WHERE expires_at < $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED),
            gone AS (DELETE FROM leases USING old WHERE leases.id = old.id RETURNING leases.id)
       SELECT count(*)::int AS count FROM gone`,
      [before, limit],
    );
    return rows[0]?.count ?? 0;
  }
}
