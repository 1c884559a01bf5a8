import type { DataSource } from 'typeorm';

import type { Claimed, ClaimRequest, Postponement, WorkList } from '#claims';
import { affected, callersNow, claimOf, type ClaimRow, type ClaimTable, type DecidingClock, decidingNow, millisecondsOf, postponeClaim, releaseClaim, renewClaims } from '#claims/typeorm';
import type { Digest } from '#oci';
import { LAYER_FILE_VERSION } from '#shares';

import type { ExpandedLayer } from '../expanded-layer.js';
import { ExpandedLayerStore, type ExpansionState, type LayerRecord, type LayerRefusal, type LayerSize, type LayerStanding, type ReferenceGrace, type WantedLayer } from '../expanded-layer-store.js';
import { PASSING_REFUSALS } from '../layer-media-types.js';
import { oneForEach, refusalOfWanted } from '../wanted-layers.js';
import { claimLayers, WAKE_VIEWS } from './claim-layers.js';
import { expansionWork, refusedWork } from './listed-layers.js';

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
  readonly verity_root_hash: string | null;
  readonly verity_hash_offset: string | null;
  readonly stacks: Digest[] | null;
}

const WORK: ClaimTable = {
  table: 'expanded_layers',
  key: ['digest'],
  open: `state IN ('wanted', 'expanding')`,
  order: 'priority DESC, wanted_at, digest',
};
const GIVE_BACK = `state = 'wanted'`;
const UNCLAIM = 'claim_id = NULL, claimed_by = NULL, claim_expires_at = NULL, last_error = NULL';

const WANTED_ROWS = `
  jsonb_to_recordset($1::jsonb) AS wanted (digest text, "mediaType" text, "sizeBytes" bigint, repository text, priority float8, stacks jsonb, refusal jsonb)`;
const STACKS = `(SELECT array_agg(digest ORDER BY place) FROM jsonb_array_elements_text(wanted.stacks) WITH ORDINALITY AS stacked (digest, place))`;
/** Rows that are refused stay so; what names no repository worth reading from leaves the old one. */
const INSERT_WANTED = `
  INSERT INTO expanded_layers (digest, media_type, size_bytes, repository, priority, stacks, wanted_at, state, refusal_code, refusal_message)
  SELECT digest, "mediaType", "sizeBytes", repository, priority, ${STACKS}, $2, CASE WHEN refusal IS NULL THEN 'wanted' ELSE 'refused' END,
         refusal ->> 'code', refusal ->> 'message'
  FROM ${WANTED_ROWS}
  ON CONFLICT (digest) DO UPDATE
  SET repository = CASE WHEN excluded.state = 'wanted' THEN excluded.repository ELSE expanded_layers.repository END,
      priority = greatest(expanded_layers.priority, excluded.priority), unreferenced_since = NULL
  WHERE expanded_layers.stacks IS NULL OR excluded.stacks IS NOT NULL
  RETURNING digest, state, xmax = 0 AS created`;
/** $1 as above, $2 now, $3 the refusals that pass. What was taken for a layer and is a view has no other chance: whoever reads its blob just now loses the claim. */
const REVIVE_WANTED = `
  UPDATE expanded_layers
  SET state = 'wanted', stacks = ${STACKS}, media_type = wanted."mediaType", size_bytes = wanted."sizeBytes", wanted_at = $2, refusal_code = NULL, refusal_message = NULL,
      read_bytes = 0, attempts = 0, not_before = '-infinity', ${UNCLAIM}
  FROM ${WANTED_ROWS}
  WHERE expanded_layers.digest = wanted.digest AND wanted.refusal IS NULL AND CASE
    WHEN wanted.stacks IS NULL THEN expanded_layers.stacks IS NULL AND expanded_layers.refusal_code = ANY($3)
    ELSE (expanded_layers.stacks IS NULL AND expanded_layers.state <> 'expanded' OR expanded_layers.refusal_code = ANY($3)) AND NOT EXISTS (
      SELECT FROM jsonb_array_elements_text(wanted.stacks) AS stacked (digest) LEFT JOIN expanded_layers AS part USING (digest)
      WHERE part.state IS NULL OR part.state = 'refused') END
  RETURNING expanded_layers.digest`;

/** When a grace that ends now began: $2 now, $3 how long it is. */
const GRACE_BEGAN = `${decidingNow('$2')} - ${millisecondsOf('$3')}`;
/** $2 now. */
const EXPAND_AGAIN = `
  UPDATE expanded_layers
  SET state = 'wanted', wanted_at = $2, read_bytes = 0, attempts = 0, not_before = '-infinity', last_error = NULL, diff_id = NULL, vhd_digest = NULL,
      claim_id = NULL, claimed_by = NULL, claim_expires_at = NULL, vhd_size_bytes = NULL, piece_crc64s = NULL, data_bytes = NULL, entry_count = NULL, writer_version = NULL, verity_root_hash = NULL,
      verity_hash_offset = NULL, expanded_at = NULL`;

/** Expanded layers in the table `expanded_layers`. */
export class PostgresExpandedLayerStore extends ExpandedLayerStore {
  readonly work: WorkList;
  readonly refused: WorkList;
  readonly #dataSource: DataSource;
  readonly #clock: DecidingClock;

  constructor(dataSource: DataSource, clock: DecidingClock = 'database') {
    super();
    this.#dataSource = dataSource;
    this.#clock = clock;
    this.work = expansionWork(dataSource, clock);
    this.refused = refusedWork(dataSource, clock);
  }

  async claim(request: ClaimRequest): Promise<Claimed<WantedLayer>[]> {
    const rows = await claimLayers<LayerRow>(this.#dataSource, { ...request, clock: this.#clock });
    return rows.map((row) => ({ item: wantedOf(row), claim: claimOf(row) }));
  }

  renew(claimIds: readonly string[], now: Date, leaseMs: number): Promise<Set<string>> {
    return renewClaims(this.#dataSource, WORK, claimIds, { clock: this.#clock, now, leaseMs });
  }

  release(claimId: string): Promise<boolean> {
    return releaseClaim(this.#dataSource, WORK, claimId, GIVE_BACK);
  }

  postpone(claimId: string, postponement: Postponement): Promise<boolean> {
    return postponeClaim(this.#dataSource, WORK, claimId, { ...postponement, clock: this.#clock, set: GIVE_BACK });
  }

  async want(layers: readonly WantedLayer[], now: Date): Promise<Set<Digest>> {
    const wanted = oneForEach(layers);
    // Two transactions: within each, rows are locked by digest, as everybody does who locks several.
    const parts = [wanted.filter((layer) => layer.stacks === undefined), wanted.filter((layer) => layer.stacks !== undefined)];
    const due = new Set<Digest>();
    for (const part of parts) if (part.length > 0) for (const digest of await this.#want(part, now)) due.add(digest);
    return due;
  }

  async #want(wanted: readonly WantedLayer[], now: Date): Promise<Digest[]> {
    const rows = JSON.stringify(wanted.map((layer) => ({ ...layer, refusal: refusalOfWanted(layer) })));
    const due = await this.#dataSource.transaction(async (manager) => {
      const created = await manager.query<{ digest: Digest; state: ExpansionState; created: boolean }[]>(INSERT_WANTED, [rows, now]);
      // The rows are locked by now, in an order that all callers share.
      const [revived] = await manager.query<[{ digest: Digest }[], number]>(REVIVE_WANTED, [rows, now, PASSING_REFUSALS]);
      return [...created.filter((row) => row.created && row.state === 'wanted'), ...revived];
    });
    return due.map((row) => row.digest);
  }

  async progress(claimId: string, readBytes: number): Promise<boolean> {
    return affected(await this.#dataSource.query('UPDATE expanded_layers SET read_bytes = $2 WHERE claim_id = $1', [claimId, readBytes]));
  }

  async complete(claimId: string, expanded: ExpandedLayer, now: Date): Promise<boolean> {
    const settle = `
      UPDATE expanded_layers
      SET state = 'expanded', diff_id = $9, vhd_digest = $2, vhd_size_bytes = $3, piece_crc64s = $4, data_bytes = $5, entry_count = $6, writer_version = $7,
          verity_root_hash = $10, verity_hash_offset = $11, expanded_at = $8, read_bytes = size_bytes, ${UNCLAIM}
      WHERE claim_id = $1`;
    const { vhd, pieceCrc64s, dataBytes, entryCount, writerVersion, diffId, verity } = expanded;
    const tree = [verity?.rootHash ?? null, verity?.hashOffset ?? null];
    return this.#settle(settle, [claimId, vhd.digest, vhd.sizeBytes, pieceCrc64s, dataBytes, entryCount, writerVersion, now, diffId, ...tree]);
  }

  refuse(claimId: string, refusal: LayerRefusal): Promise<boolean> {
    const settle = `UPDATE expanded_layers SET state = 'refused', refusal_code = $2, refusal_message = $3, ${UNCLAIM} WHERE claim_id = $1`;
    return this.#settle(settle, [claimId, refusal.code, refusal.message]);
  }

  /** Settles one row, and wakes the views that may have waited for it. */
  async #settle(sql: string, parameters: readonly unknown[]): Promise<boolean> {
    const woken = `WITH settled AS (${sql} RETURNING digest, stacks), woken AS (${WAKE_VIEWS} RETURNING 1) SELECT digest FROM settled`;
    return (await this.#dataSource.query<unknown[]>(woken, [...parameters])).length > 0;
  }

  async find(digests: readonly Digest[]): Promise<LayerRecord[]> {
    const rows = await this.#dataSource.query<LayerRow[]>('SELECT * FROM expanded_layers WHERE digest = ANY($1)', [digests]);
    return rows.map(recordOf);
  }

  async standingsAfter(after: Digest | undefined, limit: number): Promise<LayerStanding[]> {
    const sql = `SELECT ${STANDING_COLUMNS} FROM expanded_layers WHERE digest > $1 ORDER BY digest LIMIT $2`;
    return (await this.#dataSource.query<StandingRow[]>(sql, [after ?? '', limit])).map(standingOf);
  }

  async sizesAfter(after: Digest | undefined, limit: number): Promise<LayerSize[]> {
    const rows = await this.#dataSource.query<{ digest: Digest; state: ExpansionState; size: number | null }[]>(
      `SELECT digest, state, CASE WHEN state = 'expanded' THEN vhd_size_bytes::float8 END AS size FROM expanded_layers WHERE digest > $1 ORDER BY digest LIMIT $2`,
      [after ?? '', limit],
    );
    return rows.map(({ digest, state, size }) => (size === null ? { digest, state } : { digest, state, sizeBytes: size }));
  }

  async referencedAfter({ now, graceMs }: ReferenceGrace, after: Digest | undefined, limit: number): Promise<Digest[]> {
    const sql = `SELECT digest FROM expanded_layers WHERE digest > $1 AND (unreferenced_since IS NULL OR unreferenced_since > ${GRACE_BEGAN}) ORDER BY digest LIMIT $4`;
    return (await this.#dataSource.query<{ digest: Digest }[]>(sql, [after ?? '', callersNow(this.#clock, now), graceMs, limit])).map(({ digest }) => digest);
  }

  async page(after: Digest | undefined, limit: number): Promise<LayerRecord[]> {
    const sql = 'SELECT * FROM expanded_layers WHERE digest > $1 ORDER BY digest LIMIT $2';
    const rows = await this.#dataSource.query<LayerRow[]>(sql, [after ?? '', limit]);
    return rows.map(recordOf);
  }

  expandAgain(digest: Digest, now: Date): Promise<boolean> {
    return this.#dataSource.transaction(async (manager) => {
      const find = `SELECT digest, writer_version FROM expanded_layers WHERE digest = $1 AND state = 'expanded' FOR UPDATE`;
      const [row] = await manager.query<Pick<LayerRow, 'digest' | 'writer_version'>[]>(find, [digest]);
      if (row === undefined) return false;
      await manager.query(`${EXPAND_AGAIN} WHERE digest = $1`, [digest, now]);
      // Rare, so that no index is kept for it.
      const views = `SELECT digest FROM expanded_layers WHERE $1 = ANY(stacks) AND state IN ('expanded', 'expanding') ORDER BY digest FOR UPDATE`;
      if (row.writer_version !== LAYER_FILE_VERSION) await manager.query(`${EXPAND_AGAIN} WHERE digest IN (${views})`, [digest, now]);
      return true;
    });
  }

  async markUnreferenced(digests: readonly Digest[], now: Date): Promise<void> {
    const sql = `UPDATE expanded_layers SET unreferenced_since = ${decidingNow('$2')} WHERE digest = ANY($1) AND unreferenced_since IS NULL`;
    await this.#dataSource.query(sql, [digests, callersNow(this.#clock, now)]);
  }

  async clearUnreferenced(digests: readonly Digest[]): Promise<void> {
    const sql = 'UPDATE expanded_layers SET unreferenced_since = NULL WHERE digest = ANY($1) AND unreferenced_since IS NOT NULL';
    await this.#dataSource.query(sql, [digests]);
  }

  async unreferencedFor({ now, graceMs }: ReferenceGrace, after: Digest | undefined, limit: number): Promise<Digest[]> {
    const rows = await this.#dataSource.query<{ digest: Digest }[]>(
      `SELECT digest FROM expanded_layers WHERE digest > $1 AND unreferenced_since <= ${GRACE_BEGAN} ORDER BY digest LIMIT $4`,
      [after ?? '', callersNow(this.#clock, now), graceMs, limit],
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
    mediaType: row.media_type,
    sizeBytes: Number(row.size_bytes),
    repository: row.repository,
    priority: row.priority,
    ...(row.stacks === null ? {} : { stacks: row.stacks }),
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

const STANDING_COLUMNS = 'digest, state, wanted_at, read_bytes, refusal_code, diff_id, vhd_digest, vhd_size_bytes, writer_version, verity_root_hash, verity_hash_offset, stacks';
type StandingRow = Pick<
  LayerRow,
  'digest' | 'state' | 'wanted_at' | 'read_bytes' | 'refusal_code' | 'diff_id' | 'vhd_digest' | 'vhd_size_bytes' | 'writer_version' | 'verity_root_hash' | 'verity_hash_offset' | 'stacks'
>;

function standingOf(row: StandingRow): LayerStanding {
  return {
    digest: row.digest,
    state: row.state,
    wantedAt: row.wanted_at,
    readBytes: Number(row.read_bytes),
    ...(row.stacks === null ? {} : { stacks: row.stacks }),
    ...(row.vhd_digest === null || row.diff_id === null ? {} : { expanded: fileOf(row, row.vhd_digest, row.diff_id) }),
    ...(row.refusal_code === null ? {} : { refusal: { code: row.refusal_code } }),
  };
}

function fileOf(row: StandingRow, vhdDigest: Digest, diffId: Digest): Pick<ExpandedLayer, 'diffId' | 'writerVersion' | 'vhd' | 'verity'> {
  return {
    diffId,
    writerVersion: row.writer_version,
    vhd: { digest: vhdDigest, sizeBytes: Number(row.vhd_size_bytes) },
    ...(row.verity_root_hash === null ? {} : { verity: { rootHash: row.verity_root_hash, hashOffset: Number(row.verity_hash_offset) } }),
  };
}

function expandedOf(row: LayerRow, vhdDigest: Digest, diffId: Digest): ExpandedLayer {
  return {
    digest: row.digest,
    ...fileOf(row, vhdDigest, diffId),
    pieceCrc64s: row.piece_crc64s,
    dataBytes: Number(row.data_bytes),
    entryCount: row.entry_count,
  };
}
