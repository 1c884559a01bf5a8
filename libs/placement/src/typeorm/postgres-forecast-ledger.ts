import type { DataSource } from 'typeorm';

import type { WriteFence } from '#claims';
import type { Digest } from '#oci';

import { ForecastLedger, type ForecastWindow } from '../forecast-ledger.js';

interface WindowRow {
  readonly plan_id: string;
  readonly region: string;
  readonly made_at: Date;
  readonly until_at: Date;
  readonly repositories: string[];
  readonly images: Digest[];
  readonly expected: number[];
  readonly elsewhere: number[];
  readonly before: number[];
  readonly pulls: number[] | null;
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Forecasts in the table `plan_forecasts`: one row for each window, its images in arrays of one order. */
export class PostgresForecastLedger extends ForecastLedger {
  constructor(private readonly dataSource: DataSource) {
    super();
  }

  async open({ planId, region, madeAt, until, forecasts }: ForecastWindow, fence?: WriteFence): Promise<void> {
    await this.dataSource.transaction(async (manager) => {
      await manager.query(
        `INSERT INTO plan_forecasts (plan_id, region, made_at, until_at, repositories, images, expected, elsewhere, before)
         VALUES ($1, $2, $3, $4, $5::text[], $6::text[], $7::float8[], $8::float8[], $9::float8[]) ON CONFLICT (plan_id) DO NOTHING`,
        [planId, region, madeAt, until, forecasts.map(({ repository }) => repository), forecasts.map(({ digest }) => digest), forecasts.map(({ expectedPulls }) => expectedPulls), forecasts.map(({ elsewherePulls }) => elsewherePulls), forecasts.map(({ pullsBefore }) => pullsBefore)],
      );
      await fence?.hold(manager);
    });
  }

  async latest(region: string): Promise<Date | undefined> {
    const rows = await this.dataSource.query<{ made_at: Date }[]>('SELECT made_at FROM plan_forecasts WHERE region = $1 ORDER BY made_at DESC LIMIT 1', [region]);
    return rows[0]?.made_at;
  }

  async get(planId: string): Promise<ForecastWindow | undefined> {
    if (!UUID.test(planId)) return undefined;
    const rows = await this.dataSource.query<WindowRow[]>('SELECT * FROM plan_forecasts WHERE plan_id = $1', [planId]);
    return rows[0] === undefined ? undefined : windowOf(rows[0]);
  }

  async list(region: string, limit: number): Promise<readonly string[]> {
    const rows = await this.dataSource.query<{ plan_id: string }[]>('SELECT plan_id FROM plan_forecasts WHERE region = $1 ORDER BY made_at DESC, plan_id LIMIT $2', [region, limit]);
    return rows.map((row) => row.plan_id);
  }

  async due(now: Date, limit: number): Promise<readonly ForecastWindow[]> {
    const rows = await this.dataSource.query<WindowRow[]>('SELECT * FROM plan_forecasts WHERE pulls IS NULL AND until_at <= $1 ORDER BY until_at, plan_id LIMIT $2', [now, limit]);
    return rows.map(windowOf);
  }

  async close(planId: string, pulls: readonly number[]): Promise<void> {
    await this.dataSource.query('UPDATE plan_forecasts SET pulls = $2::float8[] WHERE plan_id = $1 AND pulls IS NULL', [planId, pulls]);
  }

  async prune(before: Date): Promise<number> {
    const [rows] = (await this.dataSource.query('DELETE FROM plan_forecasts WHERE until_at < $1 RETURNING cardinality(images) AS count', [before])) as [{ count: number }[], number];
    return rows.reduce((sum, { count }) => sum + count, 0);
  }
}

function windowOf({ plan_id: planId, region, made_at: madeAt, until_at: until, repositories, images, expected, elsewhere, before, pulls }: WindowRow): ForecastWindow {
  const forecasts = images.map((digest, n) => ({ repository: repositories[n] ?? '', digest, expectedPulls: expected[n] ?? 0, elsewherePulls: elsewhere[n] ?? 0, pullsBefore: before[n] ?? 0, ...(pulls === null ? {} : { pulls: pulls[n] ?? 0 }) }));
  return { planId, region, madeAt, until, forecasts };
}
