import { describe, expect, it } from 'vitest';

import { ManualClock } from '#clock/testing';
import type { Change, ChangeBatch, FeedPosition } from '#database';

import { FeedFollower } from './feed-follower.js';

/** A feed in memory: one transaction for each change. */
class MemoryFeed {
  readonly changes: Change[] = [];
  reads = 0;
  gap = false;
  failure: Error | undefined;

  tell(...keys: string[]): void {
    for (const key of keys) this.changes.push({ topic: 'tag', key: [key], changedAt: new Date(0) });
  }

  end(): Promise<FeedPosition> {
    return Promise.resolve({ transaction: String(this.changes.length), sequence: '0' });
  }

  readAfter(position: FeedPosition, limit: number): Promise<ChangeBatch> {
    this.reads += 1;
    if (this.failure !== undefined) return Promise.reject(this.failure);
    const from = Number(position.transaction);
    const changes = this.changes.slice(from, from + limit);
    const { gap } = this;
    this.gap = false;
    return Promise.resolve({ changes, gap, heldBackSince: undefined, position: { transaction: String(from + changes.length), sequence: '0' } });
  }
}

function follow(feed = new MemoryFeed()) {
  const clock = new ManualClock();
  const heard: { readonly keys: string[]; readonly gap: boolean }[] = [];
  const failures: unknown[] = [];
  const follower = new FeedFollower({
    feed, clock, everyMs: 1000,
    onChanges: (changes, gap) => heard.push({ keys: changes.map((change) => change.key.join(' ')), gap }),
    onFailure: (error) => failures.push(error),
  });
  return { feed, clock, heard, failures, follower };
}

/** Lets everything that is due happen. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

describe('whoever follows the feed', () => {
  it('hears of changes from its first look on, each once, and not of those before', async () => {
    const { feed, follower, heard } = follow();
    feed.tell('before');
    await follower.look();
    feed.tell('a', 'b');
    await follower.look();
    await follower.look();
    feed.tell('c');
    await follower.look();
    expect(heard).toEqual([{ keys: ['a', 'b'], gap: false }, { keys: ['c'], gap: false }]);
  });

  it('reads to the end in one look, in bounded batches', async () => {
    const { feed, follower, heard } = follow();
    await follower.look();
    feed.tell(...Array.from({ length: 2500 }, (_, n) => String(n)));
    await follower.look();
    expect(heard.map(({ keys }) => keys.length)).toEqual([1000, 1000, 500]);
    expect(heard.flatMap(({ keys }) => keys)).toEqual(feed.changes.map((change) => change.key[0]));
  });

  it('hears of a gap once, and goes on behind it', async () => {
    const { feed, follower, heard } = follow();
    await follower.look();
    feed.tell('lost');
    feed.gap = true;
    await follower.look();
    feed.tell('next');
    await follower.look();
    expect(heard).toEqual([{ keys: ['lost'], gap: true }, { keys: ['next'], gap: false }]);
  });

  it('looks again after its interval, and after a failure, losing nothing', async () => {
    const { feed, clock, follower, heard, failures } = follow();
    follower.start();
    follower.start();
    await settle();
    expect(feed.reads).toBe(1);
    feed.failure = new Error('the database is away');
    feed.tell('a');
    await clock.advance(1000);
    await settle();
    expect(failures).toEqual([feed.failure]);
    feed.failure = undefined;
    feed.tell('b');
    await clock.advance(1000);
    await settle();
    expect(heard).toEqual([{ keys: ['a', 'b'], gap: false }]);
    await follower.stop();
  });

  it('looks no more once it was stopped, also in the middle of its rest', async () => {
    const { feed, clock, follower, failures } = follow();
    follower.start();
    await settle();
    await follower.stop();
    const { reads } = feed;
    await clock.advance(10_000);
    await settle();
    expect([feed.reads, failures]).toEqual([reads, []]);
  });
});
