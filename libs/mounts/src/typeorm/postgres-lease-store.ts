import type { DataSource } from 'typeorm';

import { after } from '#clock';
import type { Digest } from '#oci';

import { isLeaseId, type Lease } from '../lease.js';
import { LeaseStore } from '../lease-store.js';

/** Leases in the tables `leases` and `lease_layers`. Every method is one statement. */
export class PostgresLeaseStore extends LeaseStore {
  readonly #dataSource: DataSource;

  constructor(dataSource: DataSource) {
    super();
    this.#dataSource = dataSource;
  }

  async grantMany(leases: readonly Lease[]): Promise<void> {
    if (leases.length === 0) return;
    const held = leases.flatMap((lease) => lease.replicas.map((replica) => ({ id: lease.id, ...replica })));
    await this.#dataSource.query(
      `WITH granted AS (
         INSERT INTO leases (id, region, granted_at, expires_at)
         SELECT * FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::timestamptz[])
         ON CONFLICT (id) DO NOTHING RETURNING id)
       INSERT INTO lease_layers (lease_id, layer, share)
       SELECT DISTINCT held.lease_id, held.layer, held.share
       FROM unnest($5::uuid[], $6::text[], $7::text[]) AS held (lease_id, layer, share) JOIN granted ON granted.id = held.lease_id`,
      [
        leases.map((lease) => lease.id),
        leases.map((lease) => lease.region),
        leases.map((lease) => lease.grantedAt.toISOString()),
        leases.map((lease) => lease.expiresAt.toISOString()),
        held.map((each) => each.id),
        held.map((each) => each.layer),
        held.map((each) => each.share),
      ],
    );
  }

  async renew(id: string, now: Date, ttlMs: number): Promise<Date | undefined> {
    if (!isLeaseId(id)) return undefined;
    const [rows] = (await this.#dataSource.query(
      'UPDATE leases SET expires_at = greatest(expires_at, $3) WHERE id = $1 AND expires_at > $2 RETURNING expires_at',
      [id, now, after(now, ttlMs)],
    )) as [{ expires_at: Date }[], number];
    return rows[0]?.expires_at;
  }

  async release(id: string): Promise<void> {
    if (isLeaseId(id)) await this.#dataSource.query('DELETE FROM leases WHERE id = $1', [id]);
  }

  async heldUntil(layer: Digest, share: string, now: Date): Promise<Date | undefined> {
    const rows = await this.#dataSource.query<{ held_until: Date | null }[]>(
      `SELECT max(leases.expires_at) AS held_until FROM lease_layers JOIN leases ON leases.id = lease_layers.lease_id
       WHERE lease_layers.share = $1 AND lease_layers.layer = $2 AND leases.expires_at > $3`,
      [share, layer, now],
    );
    return rows[0]?.held_until ?? undefined;
  }

  async leasedLayers(share: string, now: Date): Promise<Set<Digest>> {
    const rows = await this.#dataSource.query<{ layer: Digest }[]>(
      `SELECT DISTINCT lease_layers.layer FROM lease_layers JOIN leases ON leases.id = lease_layers.lease_id
       WHERE lease_layers.share = $1 AND leases.expires_at > $2`,
      [share, now],
    );
    return new Set(rows.map((row) => row.layer));
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
