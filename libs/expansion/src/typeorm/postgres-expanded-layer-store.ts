import type { DataSource } from 'typeorm';

import type { Claimed, ClaimRequest } from '#claims';
import { affected, claimOf, type ClaimRow, claimRows, type ClaimTable, postponeClaim, releaseClaim, renewClaims } from '#claims/typeorm';
import type { Digest } from '#oci';

import type { ExpandedLayer } from '../expanded-layer.js';
import { ExpandedLayerStore, type ExpansionState, type LayerRecord, type LayerRefusal, type WantedLayer } from '../expanded-layer-store.js';
import { PASSING_REFUSALS, refusalOfMediaType } from '../layer-media-types.js';

interface LayerRow extends ClaimRow {
  readonly digest: Digest;
  readonly diff_id: Digest | null;
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

const WANTED_ROWS = `
  jsonb_to_recordset($1::jsonb) AS wanted (digest text, "mediaType" text, "sizeBytes" bigint, repository text, priority float8, refusal jsonb)`;
/** Rows that are refused stay so; what names no repository worth reading from leaves the old one. */
const INSERT_WANTED = `
  INSERT INTO expanded_layers (digest, media_type, size_bytes, repository, priority, wanted_at, state, refusal_code, refusal_message)
  SELECT digest, "mediaType", "sizeBytes", repository, priority, $2, CASE WHEN refusal IS NULL THEN 'wanted' ELSE 'refused' END,
         refusal ->> 'code', refusal ->> 'message'
  FROM ${WANTED_ROWS}
  ON CONFLICT (digest) DO UPDATE
  SET repository = CASE WHEN excluded.state = 'wanted' THEN excluded.repository ELSE expanded_layers.repository END,
      priority = greatest(expanded_layers.priority, excluded.priority), unreferenced_since = NULL
  RETURNING digest, state, xmax = 0 AS created`;
const REVIVE_WANTED = `
  UPDATE expanded_layers
  SET state = 'wanted', media_type = wanted."mediaType", size_bytes = wanted."sizeBytes", wanted_at = $2, refusal_code = NULL, refusal_message = NULL,
      read_bytes = 0, attempts = 0, not_before = '-infinity'
  FROM ${WANTED_ROWS}
  WHERE expanded_layers.digest = wanted.digest AND expanded_layers.refusal_code = ANY($3) AND wanted.refusal IS NULL
  RETURNING expanded_layers.digest`;

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
    const wanted = oneForEach(layers);
    const rows = JSON.stringify(wanted.map((layer) => ({ ...layer, refusal: refusalOfMediaType(layer.mediaType) })));
    const due = await this.#dataSource.transaction(async (manager) => {
      const created = await manager.query<{ digest: Digest; state: ExpansionState; created: boolean }[]>(INSERT_WANTED, [rows, now]);
      // The rows are locked by now, in an order that all callers share.
      const [revived] = await manager.query<[{ digest: Digest }[], number]>(REVIVE_WANTED, [rows, now, PASSING_REFUSALS]);
      return [...created.filter((row) => row.created && row.state === 'wanted'), ...revived];
    });
    return new Set(due.map((row) => row.digest));
  }

  async progress(claimId: string, readBytes: number): Promise<boolean> {
    return affected(await this.#dataSource.query('UPDATE expanded_layers SET read_bytes = $2 WHERE claim_id = $1', [claimId, readBytes]));
  }

  async complete(claimId: string, expanded: ExpandedLayer, now: Date): Promise<boolean> {
    const sql = `
      UPDATE expanded_layers
      SET state = 'expanded', diff_id = $9, vhd_digest = $2, vhd_size_bytes = $3, piece_crc64s = $4, data_bytes = $5, entry_count = $6, writer_version = $7,
          expanded_at = $8, read_bytes = size_bytes, ${UNCLAIM}
      WHERE claim_id = $1`;
    const { vhd, pieceCrc64s, dataBytes, entryCount, writerVersion, diffId } = expanded;
    return affected(
      await this.#dataSource.query(sql, [claimId, vhd.digest, vhd.sizeBytes, pieceCrc64s, dataBytes, entryCount, writerVersion, now, diffId]),
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
      SET state = 'wanted', wanted_at = $2, read_bytes = 0, attempts = 0, not_before = '-infinity', last_error = NULL, diff_id = NULL,
          vhd_digest = NULL, vhd_size_bytes = NULL, piece_crc64s = NULL, data_bytes = NULL, entry_count = NULL, writer_version = NULL, expanded_at = NULL
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

/** One row per digest, the last claim that is expanded wins, with the largest priority; by digest, so that two callers lock rows in the same order. */
function oneForEach(layers: readonly WantedLayer[]): WantedLayer[] {
  const byDigest = new Map<Digest, WantedLayer>();
  for (const layer of layers) {
    const before = byDigest.get(layer.digest);
    const better = before === undefined || refusalOfMediaType(layer.mediaType) === undefined ? layer : before;
    byDigest.set(layer.digest, { ...better, priority: Math.max(layer.priority, before?.priority ?? layer.priority) });
  }
  return [...byDigest.values()].toSorted((a, b) => (a.digest < b.digest ? -1 : 1));
}

function wantedOf(row: LayerRow): WantedLayer {
  return {
    digest: row.digest,
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
    ...(row.vhd_digest === null || row.diff_id === null ? {} : { expanded: expandedOf(row, row.vhd_digest, row.diff_id), expandedAt: row.expanded_at }),
    ...(row.refusal_code === null ? {} : { refusal: { code: row.refusal_code, message: row.refusal_message ?? '' } }),
    ...(row.unreferenced_since === null ? {} : { unreferencedSince: row.unreferenced_since }),
    ...(row.last_error === null ? {} : { lastError: row.last_error }),
  };
}

function expandedOf(row: LayerRow, vhdDigest: Digest, diffId: Digest): ExpandedLayer {
  return {
    digest: row.digest,
    diffId,
    writerVersion: row.writer_version,
    vhd: { digest: vhdDigest, sizeBytes: Number(row.vhd_size_bytes) },
    pieceCrc64s: row.piece_crc64s,
    dataBytes: Number(row.data_bytes),
    entryCount: row.entry_count,
  };
}
