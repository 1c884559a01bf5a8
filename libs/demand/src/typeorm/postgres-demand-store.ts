import type { DataSource } from 'typeorm';

import { parseDigest } from '#oci';
import type { RegionName } from '#regions';

import { HALVINGS_MAX, WEIGHT_MIN } from '../decayed-counts.js';
import {
  BATCH_AGE_MAX_MS, type CountedDemand, type DemandBatch, type DemandPage, type DemandQuery, type DemandSnapshot, DemandStore, type DemandStoreOptions, FORETOLD_VERSION, type MergeOutcome,
  MODEL_AHEAD_MAX_MS, MODEL_VERSION, type PrunedDemand, REGION_COUNTS_MAX, SNAPSHOT_COUNTS_MAX,
} from '../demand-store.js';
import type { DayAheadState } from '../model/day-ahead.js';
import { type DemandModelState } from '../model/demand-model.js';
import { HALF_LIVES_MS, type Weights } from '../model/half-lives.js';
import type { DemandKey } from '../observation.js';
import { inKeyOrder, rowsText } from './key-order.js';

interface WeightRow {
  readonly short_weight: number;
  readonly weight: number;
  readonly long_weight: number;
}

interface DemandRow extends WeightRow {
  readonly region: string;
  readonly repository: string;
  readonly image: string;
}

/** A weight for each half-life, the shortest first. */
const COLUMNS = ['short_weight', 'weight', 'long_weight'] as const;

/**
 * The factor by which a weight at `at` becomes one at `to`, both SQL expressions. PostgreSQL answers an underflow with an error, so the exponent is
 * bounded; the half-life is a number of our own and stands in the text, so that no statement needs it as a parameter.
 */
function decay(at: string, to: string, halfLifeMs: number): string {
  const halvings = `extract(epoch FROM (${to}) - (${at}))::float8 * 1000 / ${halfLifeMs}`;
  return `power(2::float8, -greatest(-${HALVINGS_MAX}, least(${HALVINGS_MAX}, ${halvings})))`;
}

const LATER = 'greatest(demand.at, excluded.at)';
const ADDED = COLUMNS.map((column, n) => {
  const halfLifeMs = HALF_LIVES_MS[n]!;
  return `${column} = demand.${column} * ${decay('demand.at', LATER, halfLifeMs)} + excluded.${column} * ${decay('excluded.at', LATER, halfLifeMs)}`;
});
// In the order of the key, as statements are among each other, so that two merges never wait for each other in a circle.
const MERGE = `
  INSERT INTO demand (region, repository, image, short_weight, weight, long_weight, at)
  SELECT region, repository, image, short_weight, weight, long_weight, least(at, $2)
    FROM json_to_recordset($1::text::json)
    AS counted (region text, repository text, image text, short_weight float8, weight float8, long_weight float8, at timestamptz)
  ORDER BY region COLLATE "C", repository COLLATE "C", image COLLATE "C"
  ON CONFLICT (region, repository, image) DO UPDATE SET at = ${LATER}, ${ADDED.join(', ')}`;
/** The weights at the instant `$1`, as expressions and as columns. */
const NOW = COLUMNS.map((column, n) => `${column} * ${decay('at', '$1::timestamptz', HALF_LIVES_MS[n]!)}`);
const NOW_COLUMNS = NOW.map((weight, n) => `${weight} AS ${COLUMNS[n]}`).join(', ');
/** What a count is worth: its long weight, which is the largest, but where a process of the version with one half-life counted. */
const WORTH_NOW = `greatest(${NOW.join(', ')})`;
const WORTH = `greatest(${COLUMNS.join(', ')})`;

/** A table of one row, and the column that tells of which instant it is. */
interface KeptRow {
  readonly table: string;
  readonly ofMs: string;
}
const MODEL_ROW: KeptRow = { table: 'demand_model', ofMs: 'learned_ms' };
const FORETOLD_ROW: KeptRow = { table: 'demand_foretold', ofMs: 'at_ms' };

/** Demand in the tables `demand`, `demand_batches`, `demand_model` and `demand_foretold`. */
export class PostgresDemandStore extends DemandStore {
  readonly #dataSource: DataSource;
  readonly #regionCountsMax: number;

  constructor(dataSource: DataSource, { regionCountsMax = REGION_COUNTS_MAX }: DemandStoreOptions = {}) {
    super();
    this.#dataSource = dataSource;
    this.#regionCountsMax = regionCountsMax;
  }

  async merge(batch: DemandBatch, now: Date): Promise<MergeOutcome> {
    if (batch.drainedAt.getTime() < now.getTime() - BATCH_AGE_MAX_MS) return 'expired';
    return this.#dataSource.transaction(async (manager) => {
      const fresh = await manager.query<unknown[]>(
        'INSERT INTO demand_batches (batch_id, drained_at) VALUES ($1, least($2::timestamptz, $3::timestamptz)) ON CONFLICT DO NOTHING RETURNING batch_id',
        [batch.batchId, batch.drainedAt, now],
      );
      if (fresh.length === 0) return 'repeated';
      for (const counts of inKeyOrder(batch.counts)) {
        await manager.query(MERGE, [rowsText(counts.map(rowOf)), now]);
      }
      return 'merged';
    });
  }

  async weightsOfImage(key: DemandKey, now: Date): Promise<Weights> {
    const rows = await this.#dataSource.query<WeightRow[]>(
      `SELECT ${NOW_COLUMNS} FROM demand WHERE region = $2 AND repository = $3 AND image = $4`,
      [now, key.region, key.repository, key.image],
    );
    return weightsOf(rows[0]);
  }

  async weightsOfRepository(region: RegionName, repository: string, now: Date): Promise<Weights> {
    const sums = NOW.map((weight, n) => `coalesce(sum(${weight}), 0)::float8 AS ${COLUMNS[n]}`).join(', ');
    const rows = await this.#dataSource.query<WeightRow[]>(`SELECT ${sums} FROM demand WHERE region = $2 AND repository = $3`, [now, region, repository]);
    return weightsOf(rows[0]);
  }

  async list(query: DemandQuery, now: Date): Promise<DemandPage> {
    const { region, repository, after, limit } = query;
    const rows = await this.#dataSource.query<DemandRow[]>(
      `SELECT region, repository, image, ${NOW_COLUMNS} FROM demand
       WHERE ($2::text IS NULL OR region = $2) AND ($3::text IS NULL OR repository = $3)
         AND ($4::text IS NULL OR (region, repository, image) > ($4, $5::text, $6::text))
       ORDER BY region, repository, image LIMIT $7`,
      [now, region ?? null, repository ?? null, after?.region ?? null, after?.repository ?? null, after?.image ?? null, limit],
    );
    const counts = rows.map((row) => countedOf(row, now));
    const last = counts.at(-1);
    if (last === undefined || counts.length < limit) return { counts };
    return { counts, next: { region: last.region, repository: last.repository, image: last.image } };
  }

  async snapshot(now: Date): Promise<DemandSnapshot> {
    const rows = await this.#dataSource.query<DemandRow[]>(
      `SELECT * FROM (SELECT region, repository, image, ${NOW_COLUMNS} FROM demand) AS decayed
       WHERE ${WORTH} >= $2 ORDER BY ${WORTH} DESC, region, repository, image LIMIT $3`,
      [now, WEIGHT_MIN, SNAPSHOT_COUNTS_MAX + 1],
    );
    return { at: now, counts: rows.slice(0, SNAPSHOT_COUNTS_MAX).map((row) => countedOf(row, now)), truncated: rows.length > SNAPSHOT_COUNTS_MAX };
  }

  async model(now: Date): Promise<DemandModelState | undefined> {
    const kept = await this.#kept<DemandModelState>(MODEL_ROW, now);
    return kept?.version === MODEL_VERSION ? kept : undefined;
  }

  keepModel(state: DemandModelState, now: Date): Promise<boolean> {
    return this.#keep(MODEL_ROW, { ofMs: state.learnedMs, state }, now);
  }

  async foretold(now: Date): Promise<DayAheadState | undefined> {
    const kept = await this.#kept<DayAheadState>(FORETOLD_ROW, now);
    return kept?.version === FORETOLD_VERSION ? kept : undefined;
  }

  keepForetold(state: DayAheadState, now: Date): Promise<boolean> {
    return this.#keep(FORETOLD_ROW, { ofMs: state.atMs, state }, now);
  }

  async #kept<State>({ table, ofMs }: KeptRow, now: Date): Promise<State | undefined> {
    const rows = await this.#dataSource.query<{ readonly state: State }[]>(`SELECT state FROM ${table} WHERE ${ofMs} <= $1`, [now.getTime() + MODEL_AHEAD_MAX_MS]);
    return rows[0]?.state;
  }

  async #keep({ table, ofMs: column }: KeptRow, { ofMs, state }: { readonly ofMs: number; readonly state: unknown }, now: Date): Promise<boolean> {
    const kept = await this.#dataSource.query<unknown[]>(
      `INSERT INTO ${table} (${column}, state) VALUES ($1, $2)
       ON CONFLICT (singleton) DO UPDATE SET ${column} = excluded.${column}, state = excluded.state
       WHERE ${table}.${column} <= excluded.${column} OR ${table}.${column} > $3
       RETURNING ${column}`,
      [ofMs, JSON.stringify(state), now.getTime() + MODEL_AHEAD_MAX_MS],
    );
    return kept.length > 0;
  }

  async prune(now: Date, limit: number): Promise<PrunedDemand> {
    // The weight is looked at again when the row is deleted: a merge in between may have made it worth keeping.
    const [, worthless] = (await this.#dataSource.query(
      `DELETE FROM demand WHERE (region, repository, image) IN (SELECT region, repository, image FROM demand WHERE ${WORTH_NOW} < $2 LIMIT $3)
         AND ${WORTH_NOW} < $2`,
      [now, WEIGHT_MIN, limit],
    )) as [unknown, number];
    const [, batches] = (await this.#dataSource.query(
      'DELETE FROM demand_batches WHERE batch_id IN (SELECT batch_id FROM demand_batches WHERE drained_at < $1 ORDER BY drained_at LIMIT $2)',
      [new Date(now.getTime() - 2 * BATCH_AGE_MAX_MS), limit],
    )) as [unknown, number];
    return { counts: worthless + (await this.#pruneCrowded(now, limit - worthless)), batches };
  }

  /** Forgets the least demanded of regions that have too many. */
  async #pruneCrowded(now: Date, limit: number): Promise<number> {
    const crowded = await this.#dataSource.query<{ readonly region: string }[]>('SELECT region FROM demand GROUP BY region HAVING count(*) > $1', [this.#regionCountsMax]);
    let forgotten = 0;
    for (const { region } of crowded) {
      const [, count] = (await this.#dataSource.query(
        `DELETE FROM demand WHERE region = $2 AND (repository, image) IN (
           SELECT repository, image FROM (
             SELECT repository, image FROM demand WHERE region = $2 ORDER BY ${WORTH_NOW} DESC, repository, image OFFSET $3) AS beyond
           LIMIT $4)`,
        [now, region, this.#regionCountsMax, limit - forgotten],
      )) as [unknown, number];
      forgotten += count;
    }
    return forgotten;
  }
}

function rowOf({ region, repository, image, weights: [short, middle, long], at }: CountedDemand): DemandRow & { readonly at: Date } {
  return { region, repository, image, short_weight: short, weight: middle, long_weight: long, at };
}

function countedOf(row: DemandRow, at: Date): CountedDemand {
  return { region: row.region, repository: row.repository, image: parseDigest(row.image), weights: weightsOf(row), at };
}

function weightsOf(row: WeightRow | undefined): Weights {
  return row === undefined ? [0, 0, 0] : [row.short_weight, row.weight, row.long_weight];
}
