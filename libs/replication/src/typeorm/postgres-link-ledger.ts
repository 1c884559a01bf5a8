import type { DataSource } from 'typeorm';

import { LinkLedger, type LinkName, type LinkUsage } from '../link-ledger.js';

/** Bytes per link and day in the table `link_days`. */
export class PostgresLinkLedger extends LinkLedger {
  readonly #dataSource: DataSource;

  constructor(dataSource: DataSource) {
    super();
    this.#dataSource = dataSource;
  }

  reserve({ from, to }: LinkName, day: string, bytes: number, limitBytes: number): Promise<number> {
    return this.#dataSource.transaction(async (manager) => {
      const key = [day, from, to];
      await manager.query('INSERT INTO link_days (day, from_region, to_region, bytes) VALUES ($1, $2, $3, 0) ON CONFLICT DO NOTHING', key);
      const rows = await manager.query<{ bytes: string }[]>(
        'SELECT bytes FROM link_days WHERE day = $1 AND from_region = $2 AND to_region = $3 FOR UPDATE',
        key,
      );
      const granted = Math.max(0, Math.min(bytes, limitBytes - Number(rows[0]?.bytes)));
      await manager.query('UPDATE link_days SET bytes = bytes + $4 WHERE day = $1 AND from_region = $2 AND to_region = $3', [...key, granted]);
      return granted;
    });
  }

  async usage(day: string): Promise<LinkUsage[]> {
    const rows = await this.#dataSource.query<{ from_region: string; to_region: string; bytes: string }[]>(
      'SELECT from_region, to_region, bytes FROM link_days WHERE day = $1 AND bytes > 0 ORDER BY from_region, to_region',
      [day],
    );
    return rows.map((row) => ({ from: row.from_region, to: row.to_region, bytes: Number(row.bytes) }));
  }

  async prune(beforeDay: string, limit: number): Promise<number> {
    const [, count] = await this.#dataSource.query<[unknown[], number]>(
      `WITH old AS MATERIALIZED (
         SELECT day, from_region, to_region FROM link_days WHERE day < $1 ORDER BY day, from_region, to_region LIMIT $2 FOR UPDATE SKIP LOCKED)
       DELETE FROM link_days USING old
       WHERE link_days.day = old.day AND link_days.from_region = old.from_region AND link_days.to_region = old.to_region`,
      [beforeDay, limit],
    );
    return count;
  }
}
