import { describe, expect, it } from 'vitest';

import { after } from '#clock';
import { ManualClock } from '#clock/testing';

import { OWN_LEASES_MAX } from './lease-sharing.js';
import { LEASE_BATCH_MAX, LEASE_BATCH_REPLICAS_MAX, LeaseBook, type LeaseBookOptions } from './lease-book.js';
import { digestNamed, MemoryLeaseStore } from './testing/index.js';

const TTL_MS = 60_000;
const HELD = [{ layer: digestNamed('base'), share: 'east' }];

function heldNamed(name: string): typeof HELD {
  return [{ layer: digestNamed(name), share: 'east' }];
}

function setUp(options: Partial<LeaseBookOptions> = {}): { store: MemoryLeaseStore; clock: ManualClock; book: LeaseBook } {
  const store = new MemoryLeaseStore();
  const clock = new ManualClock();
  return { store, clock, book: new LeaseBook({ store, clock, ttlMs: TTL_MS, ...options }) };
}

describe('LeaseBook', () => {
  it('grants without the store, and writes behind', async () => {
    const { store, clock, book } = setUp();
    const lease = book.grant('eastus', HELD, clock.now());
    expect(lease?.expiresAt).toEqual(after(clock.now(), TTL_MS));
    expect(store.size).toBe(0);
    await book.flush();
    expect(await store.heldUntil(HELD[0]!.layer, 'east', clock.now())).toEqual(lease?.expiresAt);
    expect(book.pendingCount).toBe(0);
  });

  it('keeps what could not be written and writes it later', async () => {
    const { store, clock, book } = setUp();
    book.grant('eastus', HELD, clock.now());
    store.beforeGrant = async () => Promise.reject(new Error('the database is down'));
    await expect(book.flush()).rejects.toThrow('the database is down');
    expect(book.pendingCount).toBe(1);
    store.beforeGrant = async () => undefined;
    await book.flush();
    expect(store.size).toBe(1);
  });

  it('grants no lease when too many wait, and grants again when they are written', async () => {
    const { clock, book } = setUp({ pendingMax: 2 });
    const granted = [1, 2, 3].map(() => book.grant('eastus', HELD, clock.now()) !== undefined);
    expect(granted).toEqual([true, true, false]);
    await book.flush();
    expect(book.grant('eastus', HELD, clock.now())).toBeDefined();
  });

  it('writes in batches', async () => {
    const { store, clock, book } = setUp();
    const sizes: number[] = [];
    store.beforeGrant = async (leases) => void sizes.push(leases.length);
    for (let count = 0; count < LEASE_BATCH_MAX + 1; count += 1) book.grant('eastus', heldNamed(`layer ${count}`), clock.now());
    await book.flush();
    expect(sizes).toEqual([LEASE_BATCH_MAX, 1]);
  });

  it('writes few leases at once where they hold many replicas, and one that holds more than a batch alone', async () => {
    const { store, clock, book } = setUp();
    const sizes: number[] = [];
    store.beforeGrant = async (leases) => void sizes.push(leases.length);
    const many = (name: string, count: number): typeof HELD => Array.from({ length: count }, (_, n) => ({ layer: digestNamed(`${name} ${n}`), share: 'east' }));
    for (const [name, count] of [['a', 0.6 * LEASE_BATCH_REPLICAS_MAX], ['b', 0.4 * LEASE_BATCH_REPLICAS_MAX], ['c', 1], ['d', LEASE_BATCH_REPLICAS_MAX + 1], ['e', 1]] as const) book.grant('eastus', many(name, count), clock.now());
    await book.flush();
    expect(sizes).toEqual([2, 1, 1, 1]);
  });

  it('makes leases at an even rate, also of images that were all asked for at once', async () => {
    const { clock, book } = setUp();
    const windowMs = TTL_MS / 15;
    const made: number[] = [];
    for (let step = 0; step < 20; step += 1, await clock.advance(windowMs / 10)) {
      const before = book.pendingCount;
      for (let image = 0; image < 100; image += 1) for (let pull = 0; pull <= OWN_LEASES_MAX; pull += 1) book.grant('eastus', heldNamed(`image ${image}`), clock.now());
      made.push(book.pendingCount - before);
    }
    const [first, ...later] = made;
    expect(first).toBe(100 * (OWN_LEASES_MAX + 1));
    expect(Math.max(...later)).toBeLessThan(40 * (OWN_LEASES_MAX + 1));
    expect(later.slice(0, 10).reduce((sum, count) => sum + count)).toBe(100 * (OWN_LEASES_MAX + 1));
  });

  it('makes a few leases for many pulls of the same replicas, and a few more in the next window', async () => {
    const { store, clock, book } = setUp();
    const grant = () => book.grant('eastus', [...HELD], clock.now())!;
    const ids = new Set(Array.from({ length: 10_000 }, () => grant().id));
    expect(ids.size).toBe(OWN_LEASES_MAX + 1);
    book.grant('westus', HELD, clock.now());
    await book.flush();
    expect(store.size).toBe(OWN_LEASES_MAX + 2);
    await clock.advance(TTL_MS / 15);
    expect(ids.has(grant().id)).toBe(false);
  });

  it('has a shared lease hold for the last who is given it, also when it was written before and another releases it', async () => {
    const { store, clock, book } = setUp();
    const grant = () => book.grant('eastus', HELD, clock.now())!;
    for (let count = 0; count < OWN_LEASES_MAX; count += 1) await book.release(grant().id);
    const first = grant();
    await book.release(first.id);
    await book.flush();
    await clock.advance(leftOfWindowMs(clock, HELD) - 1);
    const last = grant();
    expect([last.id, last.expiresAt]).toEqual([first.id, after(clock.now(), TTL_MS)]);
    await book.release(first.id);
    await clock.advance(TTL_MS - 1);
    expect((await store.heldUntil(HELD[0]!.layer, 'east', clock.now()))!.getTime()).toBeGreaterThanOrEqual(last.expiresAt.getTime());
    expect(await book.renew(last.id, clock.now())).toEqual(after(clock.now(), TTL_MS));
  });

  it('begins to count anew when the clock is set back', () => {
    const { clock, book } = setUp();
    for (let count = 0; count <= OWN_LEASES_MAX; count += 1) book.grant('eastus', HELD, clock.now());
    const earlier = after(clock.now(), -600_000);
    const lease = book.grant('eastus', HELD, earlier)!;
    expect([lease.shared, lease.expiresAt]).toEqual([false, after(earlier, TTL_MS)]);
  });

  it('renews many at once, those that are not written yet too, and says which cannot return', async () => {
    const { clock, book } = setUp();
    const early = book.grant('eastus', heldNamed('early'), clock.now())!;
    await book.flush();
    await clock.advance(TTL_MS);
    const [one, two] = [book.grant('eastus', heldNamed('one'), clock.now())!, book.grant('eastus', heldNamed('two'), clock.now())!];
    expect(await book.renewMany([early.id, one.id, two.id], clock.now())).toEqual(new Map([one, two].map(({ id }) => [id, after(clock.now(), TTL_MS)])));
  });

  it('renews a lease that is not written yet, also while an older batch is being written', async () => {
    const { store, clock, book } = setUp();
    const writing = Promise.withResolvers<void>();
    store.beforeGrant = () => writing.promise;
    book.grant('eastus', HELD, clock.now());
    const flushed = book.flush();
    const lease = book.grant('eastus', HELD, clock.now())!;
    await clock.advance(30_000);
    const renewed = book.renew(lease.id, clock.now());
    writing.resolve();
    expect(await renewed).toEqual(after(clock.now(), TTL_MS));
    await flushed;
  });

  it('does not renew a lease that a crash lost before it was written', async () => {
    const { store, clock, book } = setUp();
    const lost = book.grant('eastus', HELD, clock.now())!;
    const afterCrash = new LeaseBook({ store, clock, ttlMs: TTL_MS });
    expect(await afterCrash.renew(lost.id, clock.now())).toBeUndefined();
  });

  it('leaves nothing of a lease that is released before or while it is written', async () => {
    const { store, clock, book } = setUp();
    const early = book.grant('eastus', HELD, clock.now())!;
    await book.release(early.id);
    const writing = Promise.withResolvers<void>();
    store.beforeGrant = () => writing.promise;
    const late = book.grant('eastus', HELD, clock.now())!;
    const flushed = book.flush();
    const released = book.release(late.id);
    writing.resolve();
    await Promise.all([flushed, released]);
    await book.flush();
    expect(await store.leasedLayers('east', clock.now())).toEqual(new Set());
  });

  it('writes by itself, and what is left when it stops', async () => {
    const failures: unknown[] = [];
    const { store, clock, book } = setUp({ onFailure: (error) => failures.push(error) });
    book.start();
    await rested(clock);
    book.grant('eastus', HELD, clock.now());
    store.beforeGrant = async () => Promise.reject(new Error('the database is down'));
    await clock.advance(2000);
    await rested(clock);
    expect(failures).toHaveLength(1);
    store.beforeGrant = async () => undefined;
    await book.stop();
    expect(store.size).toBe(1);
  });
});

/** How long the window of these replicas still is, as another book shows. */
function leftOfWindowMs(clock: ManualClock, held: typeof HELD): number {
  const { book } = setUp();
  const shared = (atMs: number): string => book.grant('eastus', held, after(clock.now(), atMs))!.id;
  for (let count = 0; count < OWN_LEASES_MAX; count += 1) shared(0);
  const first = shared(0);
  let leftMs = 1;
  while (shared(leftMs) === first) leftMs += 1;
  return leftMs;
}

async function rested(clock: ManualClock): Promise<void> {
  do await new Promise((resolve) => setImmediate(resolve));
  while (clock.sleeperCount === 0);
}
