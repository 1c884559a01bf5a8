import type { DataSource } from 'typeorm';

import { type FencedTransaction, WriteFence } from '#claims';
import { callersNow, type DecidingClock, decidingNow, millisecondsOf, onCallersClock } from '#claims/typeorm';

import { turnLost } from '../placement-error.js';
import { type PlannerToken, PlannerTurn } from '../planner-turn.js';

interface TurnRow {
  readonly fence: string;
  readonly owner: string;
  readonly expires_at: Date;
  readonly decided: Date;
}

const NOW = decidingNow('$2');
const ENDS = `${NOW} + ${millisecondsOf('$3')}`;
const COLUMNS = `fence::text AS fence, owner, expires_at, ${NOW} AS decided`;

/** The planners' turn in the single row of the table `planner_turn`; it runs out by the clock that decides. Every method is one statement. */
export class PostgresPlannerTurn extends PlannerTurn {
  readonly #dataSource: DataSource;
  readonly #clock: DecidingClock;

  constructor(dataSource: DataSource, clock: DecidingClock = 'database') {
    super();
    this.#dataSource = dataSource;
    this.#clock = clock;
  }

  async acquire(owner: string, now: Date, leaseMs: number): Promise<PlannerToken | undefined> {
    const rows = await this.#dataSource.query<TurnRow[]>(
      `INSERT INTO planner_turn (singleton, fence, owner, expires_at) VALUES (true, 1, $1, ${ENDS})
       ON CONFLICT (singleton) DO UPDATE SET fence = planner_turn.fence + 1, owner = excluded.owner, expires_at = excluded.expires_at
       WHERE planner_turn.owner IS NULL OR planner_turn.expires_at <= ${NOW}
       RETURNING ${COLUMNS}`,
      [owner, callersNow(this.#clock, now), leaseMs],
    );
    return tokenOf(rows[0], now);
  }

  async renew(token: PlannerToken, now: Date, leaseMs: number): Promise<PlannerToken | undefined> {
    const [rows] = (await this.#dataSource.query(
      `UPDATE planner_turn SET expires_at = ${ENDS} WHERE fence = $1::bigint AND owner IS NOT NULL RETURNING ${COLUMNS}`,
      [token.fence, callersNow(this.#clock, now), leaseMs],
    )) as [TurnRow[], number];
    return tokenOf(rows[0], now);
  }

  fence(token: PlannerToken): WriteFence {
    return new TurnFence(token.fence);
  }

  async release(token: PlannerToken): Promise<boolean> {
    const [, count] = (await this.#dataSource.query('UPDATE planner_turn SET owner = NULL WHERE fence = $1::bigint AND owner IS NOT NULL', [token.fence])) as [unknown, number];
    return count > 0;
  }
}

/** Locks the turn's row for sharing: who would take the turn waits until the guarded transaction has ended. */
class TurnFence extends WriteFence {
  constructor(private readonly fence: string) {
    super();
  }

  async hold(transaction?: FencedTransaction): Promise<void> {
    const rows = await transaction?.query<unknown[]>('SELECT FROM planner_turn WHERE fence = $1::bigint AND owner IS NOT NULL FOR SHARE', [this.fence]);
    if (rows?.length !== 1) throw turnLost(this.fence);
  }
}

function tokenOf(row: TurnRow | undefined, now: Date): PlannerToken | undefined {
  return row === undefined ? undefined : { fence: row.fence, owner: row.owner, expiresAt: onCallersClock(row.expires_at, { decided: row.decided, now }) };
}
