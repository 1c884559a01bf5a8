import { expect, it } from 'vitest';

import { ChangeFeed, wholeTransactionsUpTo } from '#database';
import { describeOnEveryDatabase } from '#database/testing';
import { MIGRATIONS } from '#migrations';

import { transactionInAnotherDatabase } from './neighbour.js';
import { endBehindAll } from './told-changes.js';

describeOnEveryDatabase('the change feed', MIGRATIONS, (dataSource, database) => {
  const write = (topic: string, ...key: string[]): Promise<unknown> =>
    dataSource().query('INSERT INTO changes (topic, key) VALUES ($1, $2)', [topic, key]);

  it('tells what follows a position, oldest first and each change once', async () => {
    const feed = new ChangeFeed(dataSource());
    await write('before', 'x');
    const start = await endBehindAll(dataSource());
    for (const key of ['a', 'b', 'c']) await write('replica', key, 'share');
    await endBehindAll(dataSource());
    const first = await feed.readAfter(start, 2);
    expect(first.changes.map((change) => change.key)).toEqual([['a', 'share'], ['b', 'share']]);
    const second = await feed.readAfter(first.position, 2);
    expect(second.changes.map((change) => change.key)).toEqual([['c', 'share']]);
    expect((await feed.readAfter(second.position, 2)).changes).toEqual([]);
  });

  it('says of a batch how far it is known, which goes on while nothing changes, and of a change that others of its transaction may follow', async () => {
    const feed = new ChangeFeed(dataSource());
    const start = await endBehindAll(dataSource());
    await write('replica', 'a');
    const end = await endBehindAll(dataSource());
    const batch = await feed.readAfter(start, 1);
    expect(wholeTransactionsUpTo(batch.end!)).toBeGreaterThanOrEqual(wholeTransactionsUpTo(end));
    expect(wholeTransactionsUpTo(batch.position)).toBe(BigInt(batch.position.transaction) - 1n);
    expect(wholeTransactionsUpTo(end)).toBe(BigInt(end.transaction));
    await dataSource().query('SELECT pg_current_xact_id()');
    const later = await endBehindAll(dataSource());
    const quiet = await feed.readAfter(batch.position, 1);
    expect([quiet.changes, quiet.position]).toEqual([[], batch.position]);
    expect(wholeTransactionsUpTo(quiet.end!)).toBeGreaterThanOrEqual(wholeTransactionsUpTo(later));
  });

  it('says that there is a gap when the changes after a position have been pruned', async () => {
    const feed = new ChangeFeed(dataSource());
    const start = await feed.end();
    await write('replica', 'a');
    await write('replica', 'b');
    await endBehindAll(dataSource());
    const read = await feed.readAfter(start, 1);
    expect(await feed.prune(new Date(Date.now() + 60_000), 10)).toBe(2);
    expect((await feed.readAfter(start, 10)).gap).toBe(true);
    expect((await feed.readAfter(read.position, 10)).gap).toBe(true);
    expect((await feed.readAfter(await feed.end(), 10)).gap).toBe(false);
  });

  /** The feed as a dump brings it along: its changes, and what was pruned from it, by transactions that this server will not reach for long. */
  const restore = async (): Promise<void> => {
    await dataSource().query(`INSERT INTO changes (transaction, topic, key) VALUES ('900000000001', 'replica', '{old}')`);
    await dataSource().query(`INSERT INTO change_horizon (transaction, sequence) VALUES ('900000000000', 5)`);
  };

  it('is usable when it was restored from a server with more transactions, and has one gap for its readers once it is repaired', async () => {
    const feed = new ChangeFeed(dataSource());
    await restore();
    const before = await endBehindAll(dataSource());
    await write('replica', 'new');
    await endBehindAll(dataSource());
    const { changes, gap, heldBackMs } = await feed.readAfter(before, 10);
    expect([changes.map(({ key }) => key), gap, heldBackMs]).toEqual([[['new']], false, undefined]);
    expect(await feed.repair()).toBe(true);
    expect((await feed.readAfter(before, 10)).gap).toBe(true);
    expect((await feed.readAfter(await feed.end(), 10)).gap).toBe(false);
    expect(await dataSource().query('SELECT FROM changes')).toEqual([]);
    expect(await feed.repair()).toBe(false);
  });

  it('has a gap for a reader that stands where the server has not come to yet', async () => {
    const feed = new ChangeFeed(dataSource());
    expect((await feed.readAfter({ transaction: '900000000000', sequence: '7' }, 10)).gap).toBe(true);
    expect((await feed.readAfter(await feed.end(), 10)).gap).toBe(false);
  });

  it('keeps everything when there is nothing to repair', async () => {
    const feed = new ChangeFeed(dataSource());
    const start = await endBehindAll(dataSource());
    await write('replica', 'a');
    expect(await feed.repair()).toBe(false);
    await endBehindAll(dataSource());
    expect(await feed.readAfter(start, 10)).toMatchObject({ changes: [{ key: ['a'] }], gap: false });
  });

  if (database.severalSessions) {
    it('says how long it has held changes back for a transaction in another database of the server', async () => {
      const feed = new ChangeFeed(dataSource());
      const start = await endBehindAll(dataSource());
      await using neighbour = await transactionInAnotherDatabase();
      await write('replica', 'committed');
      await dataSource().query(`UPDATE changes SET changed_at = changed_at - interval '1 minute'`);
      const held = await feed.readAfter(start, 10);
      expect(held).toMatchObject({ changes: [], position: start, gap: false });
      expect(held.heldBackMs).toBeGreaterThanOrEqual(60_000);
      expect(held.heldBackMs).toBeLessThan(90_000);
      await neighbour.end();
      await endBehindAll(dataSource());
      const told = await feed.readAfter(start, 10);
      expect(told.changes.map((change) => change.key)).toEqual([['committed']]);
      expect((await feed.readAfter(told.position, 10)).heldBackMs).toBeUndefined();
    });

    it('is not held back by a transaction that only reads', async () => {
      const feed = new ChangeFeed(dataSource());
      const start = await endBehindAll(dataSource());
      const reader = dataSource().createQueryRunner();
      await reader.startTransaction('REPEATABLE READ');
      await reader.query('SELECT count(*) FROM changes');
      await write('replica', 'a');
      await endBehindAll(dataSource());
      const { changes, heldBackMs } = await feed.readAfter(start, 10);
      await reader.commitTransaction();
      await reader.release();
      expect([changes.length, heldBackMs]).toEqual([1, undefined]);
    });

    it('holds changes back while an older transaction is running, and loses nothing', async () => {
      const feed = new ChangeFeed(dataSource());
      const start = await feed.end();
      const slow = dataSource().createQueryRunner();
      await slow.startTransaction();
      await slow.query(`INSERT INTO changes (topic, key) VALUES ('replica', '{slow}')`);
      await write('replica', 'quick');
      expect((await feed.readAfter(start, 10)).changes).toEqual([]);
      await slow.commitTransaction();
      await slow.release();
      await endBehindAll(dataSource());
      expect((await feed.readAfter(start, 10)).changes.map((change) => change.key)).toEqual([['slow'], ['quick']]);
    });
  }
});
