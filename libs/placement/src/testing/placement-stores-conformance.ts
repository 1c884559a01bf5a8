import { randomUUID } from 'node:crypto';

import { beforeEach, describe, expect, it } from 'vitest';

import { type FencedTransaction, WriteFence } from '#claims';

import { HOUR_MS } from '#quantities';

import { planRegion } from '../plan-region.js';
import { type PlanCursor, type PlanStore, storedPlan, type StoredPlan, termsOf } from '../plan-store.js';
import type { PlannerToken, PlannerTurn } from '../planner-turn.js';
import { PLACEMENT_PARAMETERS_DEFAULT } from '../region-facts.js';
import { aLayer, anImage, aRegion, expecting, SCENE_NOW } from './region-scene.js';

const later = (ms: number): Date => new Date(SCENE_NOW.getTime() + ms);
const LEASE_MS = 1000;

function aPlan(minute: number, region = 'eastus'): StoredPlan {
  const images = [anImage('team/app:v1', [aLayer('a', 3)]), anImage('team/idle:v1', [aLayer('b', 4)])];
  const plan = planRegion(aRegion({ region, images, forecasts: expecting({ 'team/app:v1': 5 }), capacityBytes: 5 * 2 ** 40 }));
  return storedPlan(plan, { id: randomUUID(), madeAt: later(minute * 60_000), trigger: 'push', terms: termsOf(PLACEMENT_PARAMETERS_DEFAULT), unresolvedPins: [randomUUID()] });
}

/** Checks that an implementation keeps the contract of {@link PlanStore}; `open` gives an empty store for every test. */
export function planStoreConformance(name: string, open: () => PlanStore): void {
  describe(`${name} keeps the contract of a plan store`, () => {
    let store: PlanStore;
    beforeEach(() => {
      store = open();
    });

    it('gives a plan back with every decision and number', async () => {
      const plan = aPlan(0);
      await store.save(plan, later(HOUR_MS));
      expect(await store.get(plan.id)).toEqual(plan);
      expect(await store.latest('eastus')).toEqual(plan);
      expect(plan.counts).toMatchObject({ placed: 1, refused: 1, wants: 1 });
      await store.save({ ...aPlan(1), trigger: 'schedule' }, later(HOUR_MS));
      expect((await store.latest('eastus'))?.trigger).toBe('schedule');
    });

    it('gives plans of earlier versions back with as much as they tell of what they went by', async () => {
      const { terms: _terms, ...none } = aPlan(0);
      const three = { ...aPlan(1), terms: { horizonMs: HOUR_MS, breakEvenPulls: 2, keepPulls: 1 } };
      const fewer = { ...aPlan(2), terms: { ...three.terms, parameters: { horizonMs: HOUR_MS, minimumExpectedPulls: 2 } } };
      for (const plan of [none, three, fewer]) {
        await store.save(plan, later(HOUR_MS));
        expect(await store.get(plan.id)).toEqual(plan);
      }
    });

    it('notes when a plan was ordered to the end, once', async () => {
      const plan = aPlan(0);
      await store.save(plan, later(HOUR_MS));
      await store.ordered(plan.id, later(5));
      await store.ordered(plan.id, later(9));
      await store.ordered(randomUUID(), later(9));
      expect(await store.get(plan.id)).toEqual({ ...plan, orderedAt: later(5) });
    });

    it('shows plans for some repositories in the history, and never as what holds', async () => {
      const [whole, part] = [aPlan(0), { ...aPlan(1), repositories: ['team/app', 'team/idle'] }];
      for (const plan of [whole, part]) await store.save(plan, later(HOUR_MS));
      expect((await store.latest('eastus'))?.id).toBe(whole.id);
      expect((await store.history({ region: 'eastus', limit: 10 })).plans.map(({ repositories }) => repositories)).toEqual([part.repositories, undefined]);
      expect(await store.get(part.id)).toEqual(part);
      expect(await store.prune(1)).toBe(0);
    });

    it('keeps nothing under a fence that does not hold', async () => {
      const lost = new (class extends WriteFence {
        hold(): Promise<void> {
          return Promise.reject(new Error('taken over'));
        }
      })();
      const [plan, refused] = [aPlan(0), aPlan(1)];
      await store.save(plan, later(HOUR_MS));
      await expect(store.save(refused, later(HOUR_MS), lost)).rejects.toThrow('taken over');
      await expect(store.ordered(plan.id, later(5), lost)).rejects.toThrow('taken over');
      expect([await store.get(plan.id), await store.get(refused.id)]).toEqual([plan, undefined]);
    });

    it('keeps the first of plans saved under one id', async () => {
      const plan = aPlan(0);
      await store.save(plan, later(HOUR_MS));
      await store.save({ ...plan, usedBytes: 1 }, later(HOUR_MS));
      expect(await store.get(plan.id)).toEqual(plan);
    });

    it('knows no plan that was not saved', async () => {
      expect(await store.latest('eastus')).toBeUndefined();
      expect(await store.get(randomUUID())).toBeUndefined();
      expect(await store.get('no id at all')).toBeUndefined();
    });

    it('tells a region\'s history page by page, the newest first, without decisions', async () => {
      const plans = [2, 0, 1, 1].map((minute) => aPlan(minute));
      for (const plan of [...plans, aPlan(5, 'westeurope')]) await store.save(plan, later(HOUR_MS));
      const seen: string[] = [];
      let before: PlanCursor | undefined;
      do {
        const page = await store.history({ region: 'eastus', limit: 3, ...(before === undefined ? {} : { before }) });
        seen.push(...page.plans.map((plan) => plan.id));
        expect(page.plans.every((plan) => !('decisions' in plan))).toBe(true);
        before = page.next;
      } while (before !== undefined);
      const newestFirst = plans.toSorted((a, b) => b.madeAt.getTime() - a.madeAt.getTime() || (a.id < b.id ? 1 : -1));
      expect(seen).toEqual(newestFirst.map((plan) => plan.id));
    });

    it('prunes to the newest of every region', async () => {
      const plans = [aPlan(0), aPlan(1), aPlan(2), aPlan(0, 'westeurope')];
      for (const plan of plans) await store.save(plan, later(HOUR_MS));
      expect(await store.prune(1)).toBe(2);
      expect(await store.prune(1)).toBe(0);
      expect((await store.history({ region: 'eastus', limit: 10 })).plans.map((plan) => plan.id)).toEqual([plans[2]?.id]);
      expect((await store.latest('westeurope'))?.id).toBe(plans[3]?.id);
    });
  });
}

/** How a suite writes: in a transaction that commits when `use` resolves. Stores in memory have none. */
type Write = (use: (transaction?: FencedTransaction) => Promise<void>) => Promise<void>;

/** Checks that an implementation keeps the contract of {@link PlannerTurn}; `open` gives a turn that nobody has had, for every test. */
export function plannerTurnConformance(name: string, open: () => PlannerTurn, write: Write = (use) => use()): void {
  describe(`${name} keeps the contract of the planners' turn`, () => {
    let turn: PlannerTurn;
    beforeEach(() => {
      turn = open();
    });

    it('admits one of many that ask at the same instant', async () => {
      const tokens = await Promise.all(Array.from({ length: 8 }, (_, n) => turn.acquire(`planner-${n}`, SCENE_NOW, LEASE_MS)));
      expect(tokens.filter((token) => token !== undefined)).toHaveLength(1);
    });

    it('is nobody else\'s until it expires or is given back, not even its owner\'s', async () => {
      const token = await turn.acquire('a', SCENE_NOW, LEASE_MS);
      expect(token).toMatchObject({ owner: 'a', expiresAt: later(LEASE_MS) });
      expect(await turn.acquire('a', later(LEASE_MS - 1), LEASE_MS)).toBeUndefined();
      expect(token && (await turn.release(token))).toBe(true);
      expect(await turn.acquire('b', later(1), LEASE_MS)).toMatchObject({ owner: 'b' });
    });

    it('passes on when its holder died, and refuses that one from then on', async () => {
      const dead = await turn.acquire('dead', SCENE_NOW, LEASE_MS);
      const next = await turn.acquire('next', later(LEASE_MS), LEASE_MS);
      if (dead === undefined || next === undefined) throw new Error('the turn was not given');
      expect(BigInt(next.fence)).toBeGreaterThan(BigInt(dead.fence));
      expect(await turn.renew(dead, later(LEASE_MS), LEASE_MS)).toBeUndefined();
      expect(await turn.release(dead)).toBe(false);
      expect(await turn.renew(next, later(LEASE_MS + 1), LEASE_MS)).toMatchObject({ fence: next.fence, expiresAt: later(2 * LEASE_MS + 1) });
    });

    it('lets its holder write as long as it holds, and nobody under a turn that was taken over or given back', async () => {
      const first = await turn.acquire('first', SCENE_NOW, LEASE_MS);
      if (first === undefined) throw new Error('the turn was not given');
      const fenced = (token: PlannerToken): Promise<void> => write((transaction) => turn.fence(token).hold(transaction));
      await fenced(first);
      const next = await turn.acquire('next', later(LEASE_MS), LEASE_MS);
      if (next === undefined) throw new Error('the turn was not given');
      await expect(fenced(first)).rejects.toMatchObject({ code: 'TURN_LOST', transient: true });
      await fenced(next);
      await turn.release(next);
      await expect(fenced(next)).rejects.toMatchObject({ code: 'TURN_LOST' });
    });

    it('stays with a holder that was late, as long as nobody came', async () => {
      const token = await turn.acquire('late', SCENE_NOW, LEASE_MS);
      expect(token && (await turn.renew(token, later(5 * LEASE_MS), LEASE_MS))).toMatchObject({ owner: 'late' });
      expect(await turn.acquire('other', later(5 * LEASE_MS), LEASE_MS)).toBeUndefined();
    });

    it('cannot be renewed or given back twice once it was given back', async () => {
      const token = await turn.acquire('a', SCENE_NOW, LEASE_MS);
      if (token === undefined) throw new Error('the turn was not given');
      await turn.release(token);
      expect(await turn.release(token)).toBe(false);
      expect(await turn.renew(token, SCENE_NOW, LEASE_MS)).toBeUndefined();
    });
  });
}
