import type { DataSource } from 'typeorm';
import { vi } from 'vitest';

import { type Change, ChangeFeed } from '#database';

/**
 * Reads the feed step by step in a test: every call gives what was told since the call before, as `topic key…`.
 * Transactions of other databases on the same server hold the feed back as well, so each call puts a mark at its end and waits until that can be read.
 */
export async function readToldChanges(dataSource: DataSource): Promise<() => Promise<string[]>> {
  const feed = new ChangeFeed(dataSource);
  let position = await feed.end();
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
      { timeout: 20_000, interval: 20 },
    );
    return seen.filter((change) => change.topic !== 'mark').map((change) => `${change.topic} ${change.key.join(' ')}`);
  };
}
