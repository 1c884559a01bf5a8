import type { DataSource } from 'typeorm';

import type { Claimed, ClaimRequest } from '#claims';
import { affected, claimOf, type ClaimRow, claimRows, type ClaimTable, postponeClaim, releaseClaim, renewClaims } from '#claims/typeorm';
import type { Digest } from '#oci';

import type { ExpandedLayer } from '../expanded-layer.js';
import { ExpandedLayerStore, type ExpansionState, type LayerRecord, type LayerRefusal, type WantedLayer } from '../expanded-layer-store.js';

interface LayerRow extends ClaimRow {
  readonly digest: Digest;
  readonly diff_id: Digest;
  readonly media_type: string;
  readonly size_bytes: string;
  readonly repository: string;
  readonly state: ExpansionState;
  readonly priority: number;
  readonly wanted_at: Date;
  readonly read_bytes: string;
  readonly refusal_code: string | null;
  readonly refusal_message: string | null;
  readonly vhd_digest: Digest | null;
  readonly vhd_size_bytes: string;
  readonly piece_crc64s: (string | null)[];
  readonly data_bytes: string;
  readonly entry_count: number;
  readonly writer_version: number;
  readonly expanded_at: Date;
  readonly unreferenced_since: Date | null;
  readonly last_error: string | null;
}

const WORK: ClaimTable = {
  table: 'expanded_layers',
  key: ['digest'],
  open: `state IN ('wanted', 'expanding')`,
  order: 'priority DESC, wanted_at, digest',
  set: `state = 'expanding', read_bytes = 0`,
};
const GIVE_BACK = `state = 'wanted'`;
const UNCLAIM = 'claim_id = NULL, claimed_by = NULL, claim_expires_at = NULL, last_error = NULL';

/** Expanded layers in the table `expanded_layers`. */
export class PostgresExpandedLayerStore extends ExpandedLayerStore {
  readonly #dataSource: DataSource;

  constructor(dataSource: DataSource) {
    super();
    this.#dataSource = dataSource;
  }

  async claim(request: ClaimRequest): Promise<Claimed<WantedLayer>[]> {
    const rows = await claimRows<LayerRow>(this.#dataSource, WORK, request);
    return rows.map((row) => ({ item: wantedOf(row), claim: claimOf(row) }));
  }

  renew(claimIds: readonly string[], expiresAt: Date): Promise<Set<string>> {
    return renewClaims(this.#dataSource, WORK, claimIds, expiresAt);
  }

  release(claimId: string): Promise<boolean> {
    return releaseClaim(this.#dataSource, WORK, claimId, GIVE_BACK);
  }

  postpone(claimId: string, notBefore: Date, reason: string): Promise<boolean> {
    return postponeClaim(this.#dataSource, WORK, claimId, { notBefore, reason, set: GIVE_BACK });
  }

  async want(layers: readonly WantedLayer[], now: Date): Promise<Set<Digest>> {
    // One row per digest, the last one wins but for the priority; by digest, so that two callers lock rows in the same order.
    const byDigest = new Map<Digest, WantedLayer>();
    for (const layer of layers) {
      byDigest.set(layer.digest, { ...layer, priority: Math.max(layer.priority, byDigest.get(layer.digest)?.priority ?? layer.priority) });
    }
    const wanted = [...byDigest.values()].toSorted((a, b) => (a.digest < b.digest ? -1 : 1));
    const rows = await this.#dataSource.query<{ digest: Digest; created: boolean }[]>(
      `INSERT INTO expanded_layers (digest, diff_id, media_type, size_bytes, repository, priority, wanted_at)
       SELECT digest, diff_id, media_type, size_bytes, repository, priority, $7
       FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::float8[])
         AS wanted (digest, diff_id, media_type, size_bytes, repository, priority)
       ON CONFLICT (digest) DO UPDATE
       SET repository = excluded.repository, priority = greatest(expanded_layers.priority, excluded.priority), unreferenced_since = NULL
       RETURNING digest, xmax = 0 AS created`,
      [
        wanted.map((layer) => layer.digest),
        wanted.map((layer) => layer.diffId),
        wanted.map((layer) => layer.mediaType),
        wanted.map((layer) => layer.sizeBytes),
        wanted.map((layer) => layer.repository),
        wanted.map((layer) => layer.priority),
        now,
      ],
    );
    return new Set(rows.filter((row) => row.created).map((row) => row.digest));
  }

  async progress(claimId: string, readBytes: number): Promise<boolean> {
    return affected(await this.#dataSource.query('UPDATE expanded_layers SET read_bytes = $2 WHERE claim_id = $1', [claimId, readBytes]));
  }

  async complete(claimId: string, expanded: ExpandedLayer, now: Date): Promise<boolean> {
    const sql = `
      UPDATE expanded_layers
      SET state = 'expanded', vhd_digest = $2, vhd_size_bytes = $3, piece_crc64s = $4, data_bytes = $5, entry_count = $6, writer_version = $7,
          expanded_at = $8, read_bytes = size_bytes, ${UNCLAIM}
      WHERE claim_id = $1`;
    const { vhd, pieceCrc64s, dataBytes, entryCount, writerVersion } = expanded;
    return affected(
      await this.#dataSource.query(sql, [claimId, vhd.digest, vhd.sizeBytes, pieceCrc64s, dataBytes, entryCount, writerVersion, now]),
    );
  }

  async refuse(claimId: string, refusal: LayerRefusal): Promise<boolean> {
    const sql = `UPDATE expanded_layers SET state = 'refused', refusal_code = $2, refusal_message = $3, ${UNCLAIM} WHERE claim_id = $1`;
    return affected(await this.#dataSource.query(sql, [claimId, refusal.code, refusal.message]));
  }

  async find(digests: readonly Digest[]): Promise<LayerRecord[]> {
    const rows = await this.#dataSource.query<LayerRow[]>('SELECT * FROM expanded_layers WHERE digest = ANY($1)', [digests]);
    return rows.map(recordOf);
  }

  async page(after: Digest | undefined, limit: number): Promise<LayerRecord[]> {
    const sql = 'SELECT * FROM expanded_layers WHERE digest > $1 ORDER BY digest LIMIT $2';
    const rows = await this.#dataSource.query<LayerRow[]>(sql, [after ?? '', limit]);
    return rows.map(recordOf);
  }

  async expandAgain(digest: Digest, now: Date): Promise<boolean> {
    const sql = `
      UPDATE expanded_layers
      SET state = 'wanted', wanted_at = $2, read_bytes = 0, attempts = 0, not_before = '-infinity', last_error = NULL, vhd_digest = NULL, vhd_size_bytes = NULL,
          piece_crc64s = NULL, data_bytes = NULL, entry_count = NULL, writer_version = NULL, expanded_at = NULL
      WHERE digest = $1 AND state = 'expanded'`;
    return affected(await this.#dataSource.query(sql, [digest, now]));
  }

  async markUnreferenced(digests: readonly Digest[], now: Date): Promise<void> {
    const sql = 'UPDATE expanded_layers SET unreferenced_since = $2 WHERE digest = ANY($1) AND unreferenced_since IS NULL';
    await this.#dataSource.query(sql, [digests, now]);
  }

  async clearUnreferenced(digests: readonly Digest[]): Promise<void> {
    const sql = 'UPDATE expanded_layers SET unreferenced_since = NULL WHERE digest = ANY($1) AND unreferenced_since IS NOT NULL';
    await this.#dataSource.query(sql, [digests]);
  }

  async unreferencedSince(before: Date, after: Digest | undefined, limit: number): Promise<Digest[]> {
    const rows = await this.#dataSource.query<{ digest: Digest }[]>(
      'SELECT digest FROM expanded_layers WHERE unreferenced_since <= $1 AND digest > $2 ORDER BY digest LIMIT $3',
      [before, after ?? '', limit],
    );
    return rows.map((row) => row.digest);
  }

  async forget(digest: Digest): Promise<boolean> {
    const sql = 'DELETE FROM expanded_layers WHERE digest = $1 AND unreferenced_since IS NOT NULL AND claim_id IS NULL';
    return affected(await this.#dataSource.query(sql, [digest]));
  }

  async countByState(): Promise<Readonly<Record<ExpansionState, number>>> {
    const rows = await this.#dataSource.query<{ state: ExpansionState; count: number }[]>(
      'SELECT state, count(*)::int AS count FROM expanded_layers GROUP BY state',
    );
    return { wanted: 0, expanding: 0, expanded: 0, refused: 0, ...Object.fromEntries(rows.map((row) => [row.state, row.count])) };
  }
}

function wantedOf(row: LayerRow): WantedLayer {
  return {
    digest: row.digest,
    diffId: row.diff_id,
    mediaType: row.media_type,
    sizeBytes: Number(row.size_bytes),
    repository: row.repository,
    priority: row.priority,
  };
}

function recordOf(row: LayerRow): LayerRecord {
  return {
    ...wantedOf(row),
    state: row.state,
    wantedAt: row.wanted_at,
    readBytes: Number(row.read_bytes),
    attempts: row.attempts,
    ...(row.vhd_digest === null ? {} : { expanded: expandedOf(row, row.vhd_digest), expandedAt: row.expanded_at }),
    ...(row.refusal_code === null ? {} : { refusal: { code: row.refusal_code, message: row.refusal_message ?? '' } }),
    ...(row.unreferenced_since === null ? {} : { unreferencedSince: row.unreferenced_since }),
    ...(row.last_error === null ? {} : { lastError: row.last_error }),
  };
}

function expandedOf(row: LayerRow, vhdDigest: Digest): ExpandedLayer {
  return {
    digest: row.digest,
    diffId: row.diff_id,
    writerVersion: row.writer_version,
    vhd: { digest: vhdDigest, sizeBytes: Number(row.vhd_size_bytes) },
    pieceCrc64s: row.piece_crc64s,
    dataBytes: Number(row.data_bytes),
    entryCount: row.entry_count,
  };
}
