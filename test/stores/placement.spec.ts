import type { EntityManager } from 'typeorm';
import { expect, it } from 'vitest';

import { describeOnEveryDatabase } from '#database/testing';
import { MIGRATIONS } from '#migrations';
import { forecastLedgerConformance, plannerTurnConformance, planStoreConformance } from '#placement/testing';
import { PostgresForecastLedger, PostgresPlannerTurn, PostgresPlanStore } from '#placement/typeorm';

/** Waits until some statement that names `table` waits for a lock. */
async function waitingFor(manager: EntityManager, table: string): Promise<void> {
  for (;;) {
    const rows = await manager.query<unknown[]>(`SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database() AND query LIKE '%' || $1 || '%'`, [table]);
    if (rows.length > 0) return;
  }
}

describeOnEveryDatabase('placement', MIGRATIONS, (dataSource, database) => {
  forecastLedgerConformance('PostgresForecastLedger', () => new PostgresForecastLedger(dataSource()));
  planStoreConformance('PostgresPlanStore', () => new PostgresPlanStore(dataSource(), 'caller'));
  plannerTurnConformance('PostgresPlannerTurn', () => new PostgresPlannerTurn(dataSource(), 'caller'), (use) => dataSource().transaction((manager) => use(manager)));

  if (database.severalSessions) {
    it('is given to nobody else while what is written under it has not been committed', async () => {
      const turn = new PostgresPlannerTurn(dataSource(), 'caller');
      const now = new Date();
      const token = await turn.acquire('writer', now, 1);
      let taking: Promise<unknown> | undefined;
      let isTaken = false;
      await dataSource().transaction(async (manager) => {
        await turn.fence(token!).hold(manager);
        taking = turn.acquire('other', new Date(now.getTime() + 1000), 1000).then((taken) => (isTaken = taken !== undefined));
        // The other one stands in the server's queue for the row.
        await waitingFor(manager, 'planner_turn');
        expect(isTaken).toBe(false);
      });
      await taking;
      expect(isTaken).toBe(true);
    });
  }
});
