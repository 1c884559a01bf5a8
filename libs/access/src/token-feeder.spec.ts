import { describe, expect, it } from 'vitest';

import { ManualClock } from '#clock/testing';

import { aKeptToken } from './testing/service-token-builder.js';
import { MemoryServiceTokenStore } from './testing/memory-service-token-store.js';
import { TokenBook } from './token-book.js';
import type { SavedTokens } from './token-snapshot.js';
import { TOKEN_LOOK_EVERY_MS, TOKEN_USES_EVERY_MS, TokenFeeder } from './token-feeder.js';

/** A store that can be cut off. */
class CutStore extends MemoryServiceTokenStore {
  cut = false;
  readCount = 0;

  override async version(): Promise<string> {
    if (this.cut) throw new Error('no route to the database');
    return super.version();
  }

  override async read(): ReturnType<MemoryServiceTokenStore['read']> {
    this.readCount += 1;
    return super.read();
  }
}

function start() {
  const clock = new ManualClock(new Date('2026-01-02T00:00:00.000Z'));
  const store = new CutStore();
  const book = new TokenBook({ clock, bootstrap: [] });
  const failures: unknown[] = [];
  const feeder = new TokenFeeder({ store, book, clock, onFailure: (error) => failures.push(error) });
  /** Moves time, and lets everything be done that is due. */
  const advance = async (ms: number): Promise<void> => {
    await clock.advance(ms);
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { clock, store, book, feeder, failures, advance };
}

describe('a token feeder', () => {
  it('has every process know of a revocation within its bound', async () => {
    const { clock, store, book, feeder, advance } = start();
    const kept = aKeptToken();
    await store.create(kept);
    feeder.start();
    await advance(0);
    expect(book.check(kept.authorization, 'lookup').kind).toBe('allowed');
    await store.revoke(kept.token.id, clock.now());
    await advance(TOKEN_LOOK_EVERY_MS);
    expect(book.check(kept.authorization, 'lookup').kind).toBe('refused');
    await feeder.stop();
  });

  it('reads tokens only when something was changed', async () => {
    const { store, feeder } = start();
    await store.create(aKeptToken());
    for (let count = 0; count < 5; count += 1) await feeder.look();
    expect(store.readCount).toBe(1);
  });

  it('goes on by what it knows while the database is away, says so once, and catches up', async () => {
    const { store, book, feeder, failures, advance } = start();
    const [kept, late] = [aKeptToken(), aKeptToken()];
    await store.create(kept);
    feeder.start();
    await advance(0);
    const agreedAtMs = feeder.lookedAtMs;
    store.cut = true;
    await store.create(late);
    await advance(TOKEN_LOOK_EVERY_MS);
    await advance(TOKEN_LOOK_EVERY_MS);
    expect(failures).toHaveLength(1);
    expect(feeder.lookedAtMs).toBe(agreedAtMs);
    expect([book.check(kept.authorization, 'lookup').kind, book.check(late.authorization, 'lookup').kind]).toEqual(['allowed', 'refused']);
    store.cut = false;
    await advance(TOKEN_LOOK_EVERY_MS);
    expect(book.check(late.authorization, 'lookup').kind).toBe('allowed');
    await feeder.stop();
  });

  it('begins without the database by the last snapshot, when that is not too old, and keeps it fresh', async () => {
    const first = start();
    let saved: SavedTokens | undefined;
    const snapshot = { kept: { save: async (given: SavedTokens) => void (saved = given), load: async () => saved }, ageMaxMs: 600_000 };
    const feederOf = (world: ReturnType<typeof start>) => new TokenFeeder({ ...world, snapshot, onFailure: (error) => world.failures.push(error) });
    const [kept, revoked] = [aKeptToken(), aKeptToken()];
    for (const each of [kept, revoked]) await first.store.create(each);
    const feeder = feederOf(first);
    await feeder.fill();
    feeder.start();
    await first.advance(0);
    expect(saved?.tokens).toHaveLength(2);
    await first.store.revoke(revoked.token.id, first.clock.now());
    await first.advance(TOKEN_LOOK_EVERY_MS);
    await feeder.stop();
    expect(saved?.tokens.map(({ token }) => token.id)).toEqual([kept.token.id]);

    const begin = async (afterMs: number): Promise<ReturnType<typeof start>> => {
      const later = start();
      later.store.cut = true;
      await later.advance(TOKEN_LOOK_EVERY_MS + afterMs);
      await feederOf(later).fill();
      expect(later.failures).toHaveLength(1);
      return later;
    };
    const soon = await begin(600_000);
    expect([soon.book.check(kept.authorization, 'lookup').kind, soon.book.check(revoked.authorization, 'lookup').kind]).toEqual(['allowed', 'refused']);
    expect((await begin(600_001)).book.check(kept.authorization, 'lookup').kind).toBe('refused');
  });

  it('writes uses now and then, and at its end', async () => {
    const { clock, store, book, feeder, advance } = start();
    const kept = aKeptToken();
    await store.create(kept);
    feeder.start();
    await advance(0);
    const usedAt = clock.now();
    book.check(kept.authorization, 'lookup');
    await advance(TOKEN_LOOK_EVERY_MS);
    expect((await store.get(kept.token.id))?.lastUsedAt).toBeUndefined();
    await advance(TOKEN_USES_EVERY_MS);
    expect((await store.get(kept.token.id))?.lastUsedAt).toEqual(usedAt);
    const lastAt = clock.now();
    book.check(kept.authorization, 'lookup');
    await feeder.stop();
    expect((await store.get(kept.token.id))?.lastUsedAt).toEqual(lastAt);
  });
});
