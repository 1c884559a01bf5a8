import type { HeldReplica } from '../lease.js';
import { type LeaseFilter, LISTED_REPLICAS_MAX, type ListedLease } from '../lease-store.js';

/** A row of {@link leasePage}. */
export interface LeasePageRow {
  readonly id: string;
  readonly region: string;
  readonly granted_at: Date;
  readonly expires_at: Date;
  readonly shared: boolean;
  readonly renewable: boolean;
  readonly replica_count: number;
  readonly replicas: readonly HeldReplica[];
}

/** All shares that leases name, by as many look-ups in `lease_layers_by_replica`: without a share, a layer is looked up on each. */
const SHARES = `
  RECURSIVE shares (share) AS (
    (SELECT share FROM lease_layers ORDER BY share LIMIT 1)
    UNION ALL
    SELECT (SELECT next.share FROM lease_layers AS next WHERE next.share > shares.share ORDER BY next.share LIMIT 1) FROM shares WHERE shares.share IS NOT NULL)`;

/** The ids of the leases to look at, ascending and each once, and what has to precede that. Which of them hold is seen later. */
function candidates({ region, share, layer }: LeaseFilter): { readonly preceding?: string; readonly ids: string } {
  const after = (id: string): string => `($2::uuid IS NULL OR ${id} > $2::uuid)`;
  if (layer !== undefined) {
    const shares = share === undefined ? 'SELECT share FROM shares WHERE share IS NOT NULL' : 'SELECT $5::text';
    const ids = `SELECT DISTINCT lease_id AS id FROM (${shares}) AS on_share (share) JOIN lease_layers USING (share) WHERE layer = $6 AND ${after('lease_id')} ORDER BY lease_id`;
    return { ids, ...(share === undefined ? { preceding: SHARES } : {}) };
  }
  if (share !== undefined) return { ids: `SELECT DISTINCT lease_id AS id FROM lease_layers WHERE share = $5 AND ${after('lease_id')} ORDER BY lease_id` };
  return { ids: `SELECT id FROM leases WHERE ${region === undefined ? '' : 'region = $4 AND '}${after('id')} ORDER BY id` };
}

/**
 * One page of the leases that hold and match, as SQL. $1 the caller's now, which is `at` on the clock that decides; $2 the id after which it begins, or nothing; $3 the limit; $4, $5 and $6 region, share and layer, or nothing.
 */
export function leasePage(filter: LeaseFilter, at: string): string {
  const { preceding, ids } = candidates(filter);
  return `
    WITH ${preceding === undefined ? '' : `${preceding}, `}page AS MATERIALIZED (
      SELECT lease.* FROM (${ids}) AS candidate
      CROSS JOIN LATERAL (SELECT * FROM leases WHERE leases.id = candidate.id AND leases.expires_at > ${at} AND ($4::text IS NULL OR leases.region = $4) OFFSET 0) AS lease
      ORDER BY candidate.id LIMIT $3)
    SELECT page.id, page.region, page.shared, page.renewable, page.granted_at - (${at} - $1::timestamptz) AS granted_at, page.expires_at - (${at} - $1::timestamptz) AS expires_at,
      coalesce(held.count, 0)::int AS replica_count, coalesce(held.replicas, '[]') AS replicas
    FROM page CROSS JOIN LATERAL (
      SELECT max(place) AS count, json_agg(json_build_object('layer', layer, 'share', share) ORDER BY place) FILTER (WHERE place <= ${LISTED_REPLICAS_MAX}) AS replicas
      FROM (
        SELECT layer, share, row_number() OVER (ORDER BY share, layer) AS place FROM lease_layers
        WHERE lease_id = page.id AND ($5::text IS NULL OR share = $5) AND ($6::text IS NULL OR layer = $6)) AS ordered) AS held
    ORDER BY page.id`;
}

/** What a row says. */
export function listedOf(row: LeasePageRow): ListedLease {
  return {
    id: row.id, region: row.region, grantedAt: row.granted_at, expiresAt: row.expires_at, shared: row.shared, renewable: row.renewable,
    replicaCount: row.replica_count, replicas: row.replicas,
  };
}
