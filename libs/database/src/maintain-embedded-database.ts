import type { DataSource } from 'typeorm';

import { SECOND_MS } from '#quantities';

/** After this no further table is begun. Nothing ends a statement of the embedded database early: a single table may take longer. */
export const EMBEDDED_MAINTENANCE_MAX_MS = 2 * SECOND_MS;

/** What one maintenance did. */
export interface EmbeddedMaintenance {
  readonly tables: number;
  /** Tables for which no time was left; they are the first of the next maintenance. */
  readonly left: number;
}

/**
 * Does for the embedded database what a server does by itself in the background: gives the room of deleted rows free and renews the planner's statistics
 * (`VACUUM (ANALYZE)`), table by table, those that waited longest first, and then brings everything into the data files (`CHECKPOINT`), so that the
 * log stays short. Other statements take their turn between two tables. Repeating it is cheap.
 * @param dataSource of the embedded database; outside of a transaction.
 */
export async function maintainEmbeddedDatabase(dataSource: DataSource, maxMs: number = EMBEDDED_MAINTENANCE_MAX_MS): Promise<EmbeddedMaintenance> {
  const untilMs = performance.now() + maxMs;
  const tables = await dataSource.query<{ name: string }[]>(
    `SELECT quote_ident(schemaname) || '.' || quote_ident(relname) AS name FROM pg_stat_user_tables ORDER BY last_vacuum NULLS FIRST, relname`,
  );
  let done = 0;
  for (const { name } of tables) {
    if (performance.now() >= untilMs) break;
    await dataSource.query(`VACUUM (ANALYZE) ${name}`);
    done += 1;
  }
  await dataSource.query('CHECKPOINT');
  return { tables: done, left: tables.length - done };
}
