import type { DataSource } from 'typeorm';

import type { WorkList } from '#claims';
import { type DecidingClock, type ListedTable, PostgresWorkList } from '#claims/typeorm';

const KEY = { table: 'replicas', key: ['layer', 'share'], subject: { layer: 'layer', share: 'share' } } as const;
const KEY_ORDER = [{ column: 'layer', type: 'text' }, { column: 'share', type: 'text' }] as const;

/** As claims of copies are judged; what blocks one is for operators only. */
const COPIES: ListedTable = {
  ...KEY,
  open: `state IN ('wanted', 'copying')`,
  urgency: { column: 'priority', type: 'float8' },
  order: [{ column: 'wanted_at', type: 'timestamptz' }, ...KEY_ORDER],
  wantedAt: 'wanted_at',
  blockedBy: (now) => `CASE
    WHEN NOT EXISTS (SELECT FROM replicas AS source WHERE source.layer = work.layer AND source.share <> work.share AND source.state = 'ready') THEN 'SOURCE_MISSING'
    WHEN EXISTS (
      SELECT FROM replicas AS begun
      WHERE begun.layer = work.layer AND begun.share <> work.share AND begun.state = 'copying' AND NOT begun.from_passing AND begun.claim_expires_at > ${now}) THEN 'COPIED_ELSEWHERE' END`,
};
const REMOVALS: ListedTable = {
  ...KEY,
  open: `state = 'draining'`,
  order: [{ column: 'draining_since', type: 'timestamptz' }, ...KEY_ORDER],
  wantedAt: 'draining_since',
  isWantedByDecidingClock: true,
};

/** Copies to be made, for operators. */
export function copyWork(dataSource: DataSource, clock: DecidingClock): WorkList {
  return new PostgresWorkList(dataSource, COPIES, clock);
}

/** Removals to be made, for operators. */
export function removalWork(dataSource: DataSource, clock: DecidingClock): WorkList {
  return new PostgresWorkList(dataSource, REMOVALS, clock);
}
