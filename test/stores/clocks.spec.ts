import { randomUUID } from 'node:crypto';

import { beforeEach, describe, expect, it } from 'vitest';

import type { ClaimSource } from '#claims';
import { after } from '#clock';
import { describeOnEveryDatabase } from '#database/testing';
import { wantedLayer } from '#expansion/testing';
import { PostgresExpandedLayerStore } from '#expansion/typeorm';
import { MIGRATIONS } from '#migrations';
import { digestOf } from '#oci';
import { planRegion, storedPlan } from '#placement';
import { aRegion } from '#placement/testing';
import { PostgresPlannerTurn, PostgresPlanStore } from '#placement/typeorm';
import { MINUTE_MS } from '#quantities';
import { sampleEvent } from '#registry/testing';
import { PostgresBackfillStore, PostgresExaminationStore, PostgresRepositoryStore } from '#registry/typeorm';
import { replicaOrder } from '#replication/testing';
import { PostgresReplicaStore, PostgresRoomLedger, PostgresShareDrains } from '#replication/typeorm';

const SKEW_MS = 10 * MINUTE_MS;
/** Shorter than what clocks are off by. */
const LEASE_MS = 5 * MINUTE_MS;
/** What statements take at most, in which what is counted from now on grows shorter. */
const SLACK_MS = MINUTE_MS;
const EAST = { name: 'east', capacityBytes: 1e9 };
const LAYER = digestOf('a');

/** What a process whose clock is off by that much calls now. */
const nowOff = (byMs: number): Date => new Date(Date.now() + byMs);
const OFFS = [-SKEW_MS, 0, SKEW_MS];
const PAIRS = [[-SKEW_MS, SKEW_MS], [SKEW_MS, -SKEW_MS]] as const;
const TABLES: Readonly<Record<string, string>> = { copies: 'replicas', removals: 'replicas', expansions: 'expanded_layers', examinations: 'examinations', backfills: 'repositories' };

const aPlan = (madeAt: Date) => storedPlan(planRegion(aRegion({ region: 'eastus' })), { id: randomUUID(), madeAt, trigger: 'schedule', unresolvedPins: [] });

describeOnEveryDatabase('processes whose clocks are wrong', MIGRATIONS, (dataSource) => {
  const replicas = (): PostgresReplicaStore => new PostgresReplicaStore(dataSource());
  const ready = (share: string): Promise<boolean> => replicas().recordReady({ layer: LAYER, share, sizeBytes: 1000, reason: 'expanded' }, new Date());
  const drainedFrom = async (now: Date, graceMs: number): Promise<void> => {
    for (const share of ['home', 'east']) await ready(share);
    await replicas().drain({ layer: LAYER, share: 'east' }, { reason: 'no demand', now, graceMs });
  };
  const claimWith = (source: ClaimSource<unknown>, byMs: number, leaseMs = LEASE_MS) => source.claim({ owner: `off by ${byMs}`, limit: 1, now: nowOff(byMs), leaseMs });

  /** Each kind of stored work, with one piece of it. */
  const kinds: Readonly<Record<string, () => Promise<ClaimSource<unknown>>>> = {
    copies: async () => {
      await ready('home');
      await replicas().want(EAST, [replicaOrder('a')], new Date());
      return replicas().copies;
    },
    removals: async () => {
      await drainedFrom(new Date(), 0);
      return replicas().removals;
    },
    expansions: async () => {
      const store = new PostgresExpandedLayerStore(dataSource());
      await store.want([wantedLayer('a')], new Date());
      return store;
    },
    examinations: async () => {
      const store = new PostgresExaminationStore(dataSource());
      await store.intake([sampleEvent({ tag: 'v1' })], new Date());
      return store;
    },
    backfills: async () => {
      await new PostgresRepositoryStore(dataSource()).enable('team/app', new Date());
      return new PostgresBackfillStore(dataSource());
    },
  };

  /** Has waits be over that are `ms` long. */
  const waited = (table: string, ms: number): Promise<unknown> => dataSource().query(`UPDATE ${table} SET not_before = not_before - $1 * interval '1 millisecond'`, [ms]);

  describe.each(Object.keys(kinds))('with one of the %s', (kind) => {
    let source: ClaimSource<unknown>;
    beforeEach(async () => {
      source = await kinds[kind]!();
    });

    it('hold a claim as long as they mean, and take that of another over when it has run out, not before', async () => {
      for (const [holder, taker] of PAIRS) {
        const [held] = await claimWith(source, holder);
        expect(Math.abs(held!.claim.expiresAt.getTime() - nowOff(holder).getTime() - LEASE_MS)).toBeLessThan(SLACK_MS);
        expect(await claimWith(source, taker)).toEqual([]);
        expect(await source.renew([held!.claim.id], nowOff(holder), LEASE_MS)).toEqual(new Set([held!.claim.id]));
        expect(await claimWith(source, taker)).toEqual([]);
        await source.renew([held!.claim.id], nowOff(holder), -1);
        const [taken] = await claimWith(source, taker);
        expect(await source.release(held!.claim.id)).toBe(false);
        expect(await source.release(taken!.claim.id)).toBe(true);
      }
    });

    it('leave what another has put off alone until its wait is over, not longer', async () => {
      for (const [holder, taker] of PAIRS) {
        const [failed] = await claimWith(source, holder);
        expect(await source.postpone(failed!.claim.id, { now: nowOff(holder), waitMs: LEASE_MS, reason: 'the share is busy' })).toBe(true);
        for (const off of OFFS) expect(await claimWith(source, off)).toEqual([]);
        await waited(TABLES[kind]!, LEASE_MS);
        const [taken] = await claimWith(source, taker);
        expect(await source.release(taken!.claim.id)).toBe(true);
      }
    });
  });

  it('remove what another has taken out of the answers after its grace, not before, and know since when it drains', async () => {
    for (const [drainer, remover] of PAIRS) {
      await drainedFrom(nowOff(drainer), LEASE_MS);
      for (const off of OFFS) expect(await claimWith(replicas().removals, off)).toEqual([]);
      const { restingUntil } = await new PostgresShareDrains(dataSource()).left('east');
      expect(Math.abs(restingUntil!.getTime() - Date.now() - LEASE_MS)).toBeLessThan(SLACK_MS);
      await waited('replicas', LEASE_MS);
      const [removal] = await replicas().removals.claim({ owner: 'remover', limit: 1, now: nowOff(remover), leaseMs: LEASE_MS });
      // Leases on it may be renewed for as long as the operator says, which the remover counts by its own clock.
      expect(Math.abs(nowOff(remover).getTime() - removal!.item.drainingSince!.getTime())).toBeLessThan(SLACK_MS);
      await replicas().gone(removal!.claim.id);
    }
  });

  it('do not remove a copy that was taken back while another may still write it', async () => {
    for (const [copier, other] of PAIRS) {
      await ready('home');
      await replicas().want(EAST, [replicaOrder('a')], new Date());
      const [copy] = await claimWith(replicas().copies, copier);
      await replicas().progress(copy!.claim.id, 10, { path: '.partial/a', pieces: Buffer.of(1) });
      expect(await replicas().cancel({ layer: LAYER, share: 'east' }, { reason: 'no demand', now: nowOff(other), graceMs: 0 })).toBe('draining');
      for (const off of OFFS) expect(await claimWith(replicas().removals, off)).toEqual([]);
      await waited('replicas', LEASE_MS);
      const [removal] = await claimWith(replicas().removals, other);
      await replicas().gone(removal!.claim.id);
    }
  });

  it('make nothing of what passed that another makes, and remove what that one gave up at once', async () => {
    const passing = { layer: LAYER, sizeBytes: 1000, reason: 'it passed', unordered: { bytesMax: 1e9, stayingBytes: 1e9, togetherMs: 0, graceMs: 0 } };
    for (const [holder, taker] of PAIRS) {
      await ready('home');
      const take = (byMs: number) => replicas().takePassing(EAST, passing, { owner: `off by ${byMs}`, now: nowOff(byMs), leaseMs: LEASE_MS });
      const held = await take(holder);
      if ('refused' in held) throw new Error(held.refused);
      expect(Math.abs(held.claimed.claim.expiresAt.getTime() - nowOff(holder).getTime() - LEASE_MS)).toBeLessThan(SLACK_MS);
      expect(await take(taker)).toMatchObject({ refused: 'COPYING' });
      await replicas().abandon(held.claimed.claim.id, 'the bytes were wrong', nowOff(holder));
      const [removal] = await claimWith(replicas().removals, taker);
      expect(await replicas().gone(removal!.claim.id)).toBe(true);
    }
  });

  it('have what passed longest ago give way by one clock, whoever kept it, and remove it when its grace is over', async () => {
    for (const name of ['a', 'b', 'c', 'd']) await replicas().recordReady({ layer: digestOf(name), share: 'home', sizeBytes: 1000, reason: 'expanded' }, new Date());
    for (const [former, latter] of PAIRS) {
      const take = (name: string, byMs: number) => replicas().takePassing(
        EAST,
        { layer: digestOf(name), sizeBytes: 1000, reason: 'it passed', unordered: { bytesMax: 3000, stayingBytes: 2000, togetherMs: MINUTE_MS, graceMs: LEASE_MS } },
        { owner: 'gateway', now: nowOff(byMs), leaseMs: LEASE_MS },
      );
      for (const [name, byMs] of [['b', former], ['a', latter], ['c', former]] as const) {
        const outcome = await take(name, byMs);
        // All within a minute, by that clock.
        expect(outcome.gaveWay).toEqual([]);
        if ('claimed' in outcome) await replicas().complete(outcome.claimed.claim.id, 1000, nowOff(byMs));
      }
      expect((await take('d', latter)).gaveWay).toEqual([digestOf('b')]);
      for (const off of OFFS) expect(await claimWith(replicas().removals, off)).toEqual([]);
      await waited('replicas', LEASE_MS);
      expect(await claimWith(replicas().removals, former)).toMatchObject([{ item: { layer: digestOf('b') } }]);
      await dataSource().query(`DELETE FROM replicas WHERE share = 'east'`);
    }
  });

  it('take the plan that was made last for the newest, and keep when each was made and ordered by one clock', async () => {
    const plans = new PostgresPlanStore(dataSource());
    for (const [former, latter] of PAIRS) {
      for (const byMs of [former, latter]) {
        const plan = aPlan(nowOff(byMs - LEASE_MS));
        await plans.save(plan, nowOff(byMs));
        await plans.ordered(plan.id, nowOff(byMs));
        const kept = await plans.latest('eastus');
        expect(kept?.id).toBe(plan.id);
        expect(Math.abs(Date.now() - LEASE_MS - kept!.madeAt.getTime())).toBeLessThan(SLACK_MS);
        expect(Math.abs(Date.now() - kept!.orderedAt!.getTime())).toBeLessThan(SLACK_MS);
      }
    }
  });

  it('see the room that another has reserved for as long as it is meant to be, not longer', async () => {
    const ledger = new PostgresRoomLedger(dataSource());
    const reserve = (name: string, byMs: number, id = randomUUID()) => ledger.reserve(EAST, { id, layer: digestOf(name), bytes: 7e8, holdMs: LEASE_MS }, nowOff(byMs));
    for (const [holder, other] of PAIRS) {
      const id = randomUUID();
      expect(await reserve('a', holder, id)).toMatchObject({ reserved: true });
      expect(await reserve('b', other)).toMatchObject({ reserved: false, roomBytes: 3e8 });
      for (const off of OFFS) expect(await ledger.reservedBytes('east', nowOff(off))).toBe(7e8);
      expect(await replicas().want(EAST, [{ ...replicaOrder('c'), sizeBytes: 4e8 }], nowOff(other))).toEqual(['SHARE_FULL']);
      await dataSource().query(`UPDATE room_reservations SET reserved_until = reserved_until - $1 * interval '1 millisecond'`, [LEASE_MS]);
      for (const off of OFFS) expect(await ledger.reservedBytes('east', nowOff(off))).toBe(0);
      const taken = randomUUID();
      expect(await reserve('a', other, taken)).toMatchObject({ reserved: true });
      await ledger.release('east', { layer: LAYER, id });
      expect(await ledger.reservedBytes('east', nowOff(holder))).toBe(7e8);
      await ledger.release('east', { layer: LAYER, id: taken });
    }
  });

  it('release a layer that another has found unreferenced after the grace, not before', async () => {
    const store = new PostgresExpandedLayerStore(dataSource());
    const layer = wantedLayer('a');
    for (const [marker, releaser] of PAIRS) {
      await store.want([layer], new Date());
      await store.markUnreferenced([layer.digest], nowOff(marker));
      const grace = { now: nowOff(releaser), graceMs: LEASE_MS };
      expect([await store.unreferencedFor(grace, undefined, 1), await store.referencedAfter(grace, undefined, 1)]).toEqual([[], [layer.digest]]);
      await dataSource().query(`UPDATE expanded_layers SET unreferenced_since = unreferenced_since - $1 * interval '1 millisecond'`, [LEASE_MS]);
      expect([await store.unreferencedFor(grace, undefined, 1), await store.referencedAfter(grace, undefined, 1)]).toEqual([[layer.digest], []]);
    }
  });

  it('leave the other copies of a layer to whoever copies it', async () => {
    await ready('home');
    for (const [copier, other] of PAIRS) {
      for (const name of ['east', 'west']) await replicas().want({ ...EAST, name }, [replicaOrder('a')], new Date());
      const [first] = await claimWith(replicas().copies, copier);
      expect(await claimWith(replicas().copies, other)).toEqual([]);
      const [second] = await claimWith(replicas().copies, copier);
      for (const copy of [first, second]) await replicas().copies.release(copy!.claim.id);
    }
  });

  it('have the planners’ turn as long as they mean, and take it when it has run out, not before', async () => {
    const turn = new PostgresPlannerTurn(dataSource());
    for (const [holder, taker] of PAIRS) {
      const token = await turn.acquire('holder', nowOff(holder), LEASE_MS);
      expect(Math.abs(token!.expiresAt.getTime() - after(nowOff(holder), LEASE_MS).getTime())).toBeLessThan(SLACK_MS);
      expect(await turn.acquire('taker', nowOff(taker), LEASE_MS)).toBeUndefined();
      expect(await turn.renew(token!, nowOff(holder), LEASE_MS)).toMatchObject({ fence: token!.fence });
      expect(await turn.acquire('taker', nowOff(taker), LEASE_MS)).toBeUndefined();
      await turn.renew(token!, nowOff(holder), -1);
      const taken = await turn.acquire('taker', nowOff(taker), LEASE_MS);
      expect(taken).toMatchObject({ owner: 'taker' });
      expect(await turn.renew(token!, nowOff(holder), LEASE_MS)).toBeUndefined();
      expect(await turn.release(taken!)).toBe(true);
    }
  });
});
