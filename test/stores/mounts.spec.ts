import { randomUUID } from 'node:crypto';

import { describe, expect, it } from 'vitest';

import { after } from '#clock';
import { describeOnEveryDatabase } from '#database/testing';
import { MIGRATIONS } from '#migrations';
import { answeringProcessesConform, digestNamed, leaseStoreConformance } from '#mounts/testing';
import { PostgresAnsweringProcesses, PostgresLeaseStore } from '#mounts/typeorm';
import { MINUTE_MS } from '#quantities';

describeOnEveryDatabase('PostgresLeaseStore', MIGRATIONS, (dataSource) => {
  leaseStoreConformance(() => new PostgresLeaseStore(dataSource(), 'caller'));

  answeringProcessesConform(() => ({
    store: new PostgresAnsweringProcesses(dataSource(), 'caller'),
    // What a backup brings along: everything that is there, of another server.
    restore: async () => void (await dataSource().query(`UPDATE answering_history SET identity = 'another server'`)),
  }));

  describe('the processes that answer, of a database that had no replicas when it was made', () => {
    const known = async (): Promise<bigint | undefined> => {
      const store = new PostgresAnsweringProcesses(dataSource());
      await dataSource().query(`INSERT INTO answering_history (unbroken_since) VALUES ('-infinity')`);
      const beat = { name: 'first', countsForMs: MINUTE_MS, knownTo: 5n, isUnleased: false, isEnded: false };
      await Promise.all(Array.from({ length: 8 }, () => store.heard({ ...beat, id: randomUUID() }, new Date())));
      return store.knownToAll(new Date());
    };

    it('know something at once, for nobody was given anything before', async () => {
      expect(await known()).toBe(5n);
    });

    it('know nothing where the server does not tell which one it is, and are heard all the same', async () => {
      await dataSource().query('ALTER FUNCTION database_identity RENAME TO told_identity');
      await dataSource().query(`CREATE FUNCTION database_identity() RETURNS text LANGUAGE sql AS 'SELECT NULL::text'`);
      try {
        expect(await known()).toBeUndefined();
        expect(await new PostgresAnsweringProcesses(dataSource()).list(new Date())).toHaveLength(8);
      } finally {
        await dataSource().query('DROP FUNCTION database_identity');
        await dataSource().query('ALTER FUNCTION told_identity RENAME TO database_identity');
      }
    });

    it('do not when there are leases all the same', async () => {
      const now = new Date();
      await new PostgresLeaseStore(dataSource()).grantMany([{ id: randomUUID(), region: 'eastus', replicas: [], grantedAt: now, expiresAt: now, shared: false }], now);
      expect(await known()).toBeUndefined();
    });
  });
});

describeOnEveryDatabase('PostgresLeaseStore by the clock of the database', MIGRATIONS, (dataSource) => {
  const SKEW_MS = 10 * MINUTE_MS;
  const TTL_MS = 5 * MINUTE_MS;
  const layer = digestNamed('base');
  /** What a process whose clock is off by that much calls now. */
  const nowOff = (byMs: number): Date => new Date(Date.now() + byMs);
  const lease = (now: Date, ttlMs = TTL_MS) => ({ id: randomUUID(), region: 'eastus', replicas: [{ layer, share: 'east' }], grantedAt: now, expiresAt: after(now, ttlMs), shared: false });

  it.each([[-SKEW_MS, SKEW_MS], [SKEW_MS, -SKEW_MS], [0, SKEW_MS]])('is held as long for a process that is off by %i ms as the one that granted it, off by %i ms, means', async (asker, granter) => {
    const store = new PostgresLeaseStore(dataSource());
    const granted = lease(nowOff(granter));
    await store.grantMany([granted], nowOff(granter));
    const now = nowOff(asker);
    const leftMs = (await store.heldUntil(layer, 'east', now))!.getTime() - now.getTime();
    // Statements take time, in which the lease grows shorter: never longer.
    expect(leftMs).toBeLessThanOrEqual(TTL_MS);
    expect(leftMs).toBeGreaterThan(TTL_MS - MINUTE_MS);
    expect(await store.leasedLayers('east', now)).toEqual(new Set([layer]));
    const until = (await store.renewMany([granted.id], now, 2 * TTL_MS)).get(granted.id)!;
    expect(until.getTime() - now.getTime()).toBeGreaterThanOrEqual(2 * TTL_MS);
    expect(until.getTime() - now.getTime()).toBeLessThan(2 * TTL_MS + MINUTE_MS);
  });

  it.each([[-SKEW_MS, SKEW_MS], [SKEW_MS, -SKEW_MS]])('is listed by the clock of a process that is off by %i ms, though one that is off by %i ms granted it', async (asker, granter) => {
    const store = new PostgresLeaseStore(dataSource());
    const granted = lease(nowOff(granter));
    await store.grantMany([granted, lease(nowOff(granter), -1)], nowOff(granter));
    const now = nowOff(asker);
    const [listed, ...others] = await store.page({ limit: 10 }, now);
    expect([listed?.id, others]).toEqual([granted.id, []]);
    expect(listed!.expiresAt.getTime() - listed!.grantedAt.getTime()).toBe(TTL_MS);
    expect(Math.abs(listed!.grantedAt.getTime() - now.getTime())).toBeLessThan(MINUTE_MS);
  });

  it('does not let a lease return that has run out, whatever the clock of who renews it', async () => {
    const store = new PostgresLeaseStore(dataSource());
    const late = lease(nowOff(0), -1);
    await store.grantMany([late], nowOff(0));
    for (const off of [-SKEW_MS, 0, SKEW_MS]) {
      expect(await store.renewMany([late.id], nowOff(off), TTL_MS)).toEqual(new Map());
      expect(await store.heldUntil(layer, 'east', nowOff(off))).toBeUndefined();
    }
  });
});
