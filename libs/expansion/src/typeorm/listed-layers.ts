import type { DataSource } from 'typeorm';

import type { WorkList } from '#claims';
import { type DecidingClock, type ListedTable, PostgresWorkList } from '#claims/typeorm';

const LAYERS = {
  table: 'expanded_layers',
  key: ['digest'],
  subject: { layer: 'digest', isView: 'CASE WHEN stacks IS NOT NULL THEN true END', repository: 'repository' },
  wantedAt: 'wanted_at',
} as const;
const EXPANSIONS: ListedTable = {
  ...LAYERS,
  open: `state IN ('wanted', 'expanding')`,
  urgency: { column: 'priority', type: 'float8' },
  order: [{ column: 'wanted_at', type: 'timestamptz' }, { column: 'digest', type: 'text' }],
  blockedBy: () => `CASE WHEN work.stacks IS NOT NULL AND EXISTS (
    SELECT FROM expanded_layers AS part WHERE part.digest = ANY(work.stacks) AND part.state IN ('wanted', 'expanding')) THEN 'LAYERS_WANTED' END`,
};
const REFUSED: ListedTable = { ...LAYERS, open: `state = 'refused'`, order: [{ column: 'digest', type: 'text' }], refusal: `refusal_code || ': ' || refusal_message` };

/** What is to be expanded, for operators. */
export function expansionWork(dataSource: DataSource, clock: DecidingClock): WorkList {
  return new PostgresWorkList(dataSource, EXPANSIONS, clock);
}

/** What was refused, for operators. */
export function refusedWork(dataSource: DataSource, clock: DecidingClock): WorkList {
  return new PostgresWorkList(dataSource, REFUSED, clock);
}
