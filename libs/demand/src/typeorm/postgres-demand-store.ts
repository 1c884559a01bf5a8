import type { DataSource } from 'typeorm';

import { parseDigest } from '#oci';
import type { RegionName } from '#regions';

import { HALVINGS_MAX, WEIGHT_MIN } from '../decayed-count.js';
import {
  BATCH_AGE_MAX_MS, type CountedDemand, type DemandBatch, type DemandPage, type DemandQuery, type DemandSnapshot, DemandStore, type DemandStoreOptions, type MergeOutcome,
  SNAPSHOT_COUNTS_MAX,
} from '../demand-store.js';
import type { DemandKey } from '../observation.js';

interface DemandRow {
  readonly region: string;
  readonly repository: string;
  readonly image: string;
  readonly weight: number;
}

/**
 * The factor by which a weight at `at` becomes one at `to`, both SQL expressions. PostgreSQL answers an underflow with an error, so the exponent is
 * bounded; the half-life is a number of our own configuration and stands in the text, so that no statement needs it as a parameter.
 */
function decay(at: string, to: string, halfLifeMs: number): string {
  const halvings = `extract(epoch FROM (${to}) - (${at}))::float8 * 1000 / ${halfLifeMs}`;
  return `power(2::float8, -greatest(-${HALVINGS_MAX}, least(${HALVINGS_MAX}, ${halvings})))`;
}

/** Demand in the tables `demand` and `demand_batches`. */
export class PostgresDemandStore extends DemandStore {
  readonly #dataSource: DataSource;
  readonly #merge: string;
  /** The weight at the instant `$1`. */
  readonly #weightNow: string;

  constructor(dataSource: DataSource, options: DemandStoreOptions) {
    super();
    this.#dataSource = dataSource;
    const halfLifeMs = options.halfLifeMs;
    const later = 'greatest(demand.at, excluded.at)';
    // In the order of the key, so that two merges never wait for each other in a circle.
    this.#merge = `
      INSERT INTO demand (region, repository, image, weight, at)
      SELECT region, repository, image, weight, least(at, $6) FROM unnest($1::text[], $2::text[], $3::text[], $4::float8[], $5::timestamptz[])
        AS counted (region, repository, image, weight, at)
      ORDER BY region COLLATE "C", repository COLLATE "C", image COLLATE "C"
      ON CONFLICT (region, repository, image) DO UPDATE SET at = ${later},
        weight = demand.weight * ${decay('demand.at', later, halfLifeMs)} + excluded.weight * ${decay('excluded.at', later, halfLifeMs)}`;
    this.#weightNow = `weight * ${decay('at', '$1::timestamptz', halfLifeMs)}`;
  }

  async merge(batch: DemandBatch, now: Date): Promise<MergeOutcome> {
    if (batch.drainedAt.getTime() < now.getTime() - BATCH_AGE_MAX_MS) return 'expired';
    const { counts } = batch;
    return this.#dataSource.transaction(async (manager) => {
      const fresh = await manager.query<unknown[]>(
        'INSERT INTO demand_batches (batch_id, drained_at) VALUES ($1, least($2::timestamptz, $3::timestamptz)) ON CONFLICT DO NOTHING RETURNING batch_id',
        [batch.batchId, batch.drainedAt, now],
      );
      if (fresh.length === 0) return 'repeated';
      await manager.query(this.#merge, [
        counts.map((counted) => counted.region),
        counts.map((counted) => counted.repository),
        counts.map((counted) => counted.image),
        counts.map((counted) => counted.count.weight),
        counts.map((counted) => counted.count.at),
        now,
      ]);
      return 'merged';
    });
  }

  async weightOfImage(key: DemandKey, now: Date): Promise<number> {
    const rows = await this.#dataSource.query<{ weight: number }[]>(
      `SELECT ${this.#weightNow} AS weight FROM demand WHERE region = $2 AND repository = $3 AND image = $4`,
      [now, key.region, key.repository, key.image],
    );
    return rows[0]?.weight ?? 0;
  }

  async weightOfRepository(region: RegionName, repository: string, now: Date): Promise<number> {
    const rows = await this.#dataSource.query<{ weight: number }[]>(
      `SELECT coalesce(sum(${this.#weightNow}), 0)::float8 AS weight FROM demand WHERE region = $2 AND repository = $3`,
      [now, region, repository],
    );
    return rows[0]?.weight ?? 0;
  }

  async list(query: DemandQuery, now: Date): Promise<DemandPage> {
    const { region, repository, after, limit } = query;
    const rows = await this.#dataSource.query<DemandRow[]>(
      `SELECT region, repository, image, ${this.#weightNow} AS weight FROM demand
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
      `SELECT * FROM (SELECT region, repository, image, ${this.#weightNow} AS weight FROM demand) AS decayed
       WHERE weight >= $2 ORDER BY weight DESC, region, repository, image LIMIT $3`,
      [now, WEIGHT_MIN, SNAPSHOT_COUNTS_MAX + 1],
    );
    return { at: now, counts: rows.slice(0, SNAPSHOT_COUNTS_MAX).map((row) => countedOf(row, now)), truncated: rows.length > SNAPSHOT_COUNTS_MAX };
  }

  async prune(now: Date, limit: number): Promise<{ counts: number; batches: number }> {
    // The weight is looked at again when the row is deleted: a merge in between may have made it worth keeping.
    const [, counts] = (await this.#dataSource.query(
      `DELETE FROM demand WHERE (region, repository, image) IN (SELECT region, repository, image FROM demand WHERE ${this.#weightNow} < $2 LIMIT $3)
         AND ${this.#weightNow} < $2`,
      [now, WEIGHT_MIN, limit],
    )) as [unknown, number];
    const [, batches] = (await this.#dataSource.query(
      'DELETE FROM demand_batches WHERE batch_id IN (SELECT batch_id FROM demand_batches WHERE drained_at < $1 ORDER BY drained_at LIMIT $2)',
      [new Date(now.getTime() - 2 * BATCH_AGE_MAX_MS), limit],
    )) as [unknown, number];
    return { counts, batches };
  }
}

function countedOf(row: DemandRow, at: Date): CountedDemand {
  return { region: row.region, repository: row.repository, image: parseDigest(row.image), count: { weight: row.weight, at } };
}
