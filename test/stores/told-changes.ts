import type { DataSource } from 'typeorm';
import { vi } from 'vitest';

import { type Change, ChangeFeed, type FeedPosition } from '#database';

/** Waits that are over as soon as every other transaction on the server has ended. Tests of other files, in databases of their own, have some open for as long as a process takes to start; only a stuck one lasts so long. */
export const PATIENCE = { timeout: 100_000, interval: 20 };

/** The feed's end once everything that has been committed is behind it. Transactions of other databases on the same server keep it from there for a while. */
export async function endBehindAll(dataSource: DataSource): Promise<FeedPosition> {
  const feed = new ChangeFeed(dataSource);
  const [last] = await dataSource.query<{ transaction: string }[]>('SELECT pg_current_xact_id()::text AS transaction');
  return vi.waitFor(async () => {
    const end = await feed.end();
    if (BigInt(end.transaction) < BigInt(last!.transaction)) throw new Error('an older transaction is still running');
    return end;
  }, PATIENCE);
}

/**
 * Reads the feed step by step in a test: every call gives what was told since the call before, as `topic key…`.
 * Transactions of other databases on the same server hold the feed back as well, so each call puts a mark at its end and waits until that can be read.
 */
export async function readToldChanges(dataSource: DataSource): Promise<() => Promise<string[]>> {
  const feed = new ChangeFeed(dataSource);
  // What was committed just before may not be behind the feed's end yet: somebody else's transaction keeps it.
  let position = await endBehindAll(dataSource);
  let marks = 0;
  return async () => {
    marks += 1;
    await dataSource.query(`INSERT INTO changes (topic, key) VALUES ('mark', $1)`, [[String(marks)]]);
    const seen: Change[] = [];
    await vi.waitFor(
      async () => {
        const batch = await feed.readAfter(position, 100);
        position = batch.position;
        seen.push(...batch.changes);
        if (!seen.some((change) => change.topic === 'mark' && change.key[0] === String(marks))) throw new Error('the mark is not told yet');
      },
      PATIENCE,
    );
    return seen.filter((change) => change.topic !== 'mark').map((change) => `${change.topic} ${change.key.join(' ')}`);
  };
}
