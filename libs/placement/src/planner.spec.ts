import { randomUUID } from 'node:crypto';

import { describe, expect, it } from 'vitest';

import { SystemClock } from '#clock';
import { ManualClock } from '#clock/testing';
import { StoredForecasts } from '#demand';
import { MemoryDemandStore } from '#demand/testing';
import { type Digest } from '#oci';
import { aPin, MemoryPinStore } from '#pins/testing';
import { MiB } from '#quantities';

import { PLACEMENT_IMAGES_MAX } from './gather-round.js';
import { ORDERS_AT_ONCE_MAX, Planner, type PlannerOptions, TURN_LEASE_DEFAULT_MS, TURN_WAIT_DEFAULT_MS } from './planner.js';
import { type PlacementImage } from './region-facts.js';
import { MemoryPlacementWorld } from './testing/memory-placement-world.js';
import { MemoryPlanStore } from './testing/memory-plan-store.js';
import { MemoryPlannerTurn } from './testing/memory-planner-turn.js';
import { aLayer, anImage, PLAIN_PARAMETERS, replicasOf, SCENE_NOW } from './testing/region-scene.js';

const base = aLayer('base', 100);
const app = anImage('team/app:v1', [base, aLayer('code', 20)]);

interface Open extends PlannerOptions {
  readonly demand: MemoryDemandStore;
  readonly world: MemoryPlacementWorld;
  readonly clock: ManualClock;
  readonly planner: Planner;
  another(changes?: Partial<PlannerOptions>): Planner;
}

/** Three regions with room for 500 MiB each; `team/app:v1` is expanded at home. */
function open(): Open {
  const world = new MemoryPlacementWorld();
  for (const region of ['westeurope', 'eastus', 'southeastasia']) world.setRegion({ region, home: region === 'westeurope', capacityBytes: 500 * MiB });
  world.push(app);
  world.hold('westeurope', replicasOf(app.layers));
  const clock = new ManualClock(SCENE_NOW);
  const demand = new MemoryDemandStore();
  const options: PlannerOptions = {
    facts: world, orders: world.orders, pins: new MemoryPinStore(), forecasts: new StoredForecasts(demand),
    plans: new MemoryPlanStore(), turn: new MemoryPlannerTurn(), clock, owner: 'one', parameters: PLAIN_PARAMETERS,
    turnLeaseMs: TURN_LEASE_DEFAULT_MS, turnWaitMs: TURN_WAIT_DEFAULT_MS,
  };
  const another = (changes: Partial<PlannerOptions> = {}): Planner => new Planner({ ...options, ...changes });
  return { ...options, demand, world, clock, planner: another(), another };
}

async function pull(at: Open, image: PlacementImage, region: string, weight: number): Promise<void> {
  const now = at.clock.now();
  await at.demand.merge({ batchId: randomUUID(), drainedAt: now, counts: [{ region, repository: image.repository, image: image.digest, weights: [weight, weight, weight], at: now }] }, now);
}

const layersHeld = (world: MemoryPlacementWorld, region: string): Digest[] => world.held(region).map((replica) => replica.layer).toSorted();
const layersOf = (...images: PlacementImage[]): Digest[] => [...new Set(images.flatMap((image) => image.layers.map((layer) => layer.digest)))].toSorted();

describe('a planner', () => {
  it('brings an image where it is pulled, keeps every region\'s plan, and orders nothing the second time', async () => {
    const at = open();
    await pull(at, app, 'eastus', 5);
    const report = await at.planner.planAll('schedule');
    expect(report).toMatchObject({ outcome: 'planned', trigger: 'schedule' });
    expect(report.regions.map(({ region, counts }) => [region, counts.wants])).toEqual([['eastus', 2], ['southeastasia', 0], ['westeurope', 0]]);
    expect(layersHeld(at.world, 'eastus')).toEqual(layersOf(app));
    expect(await at.plans.latest('eastus')).toMatchObject({ id: report.regions[0]?.id, decisions: [{ verdict: 'placed', reason: 'DEMAND' }] });
    const again = await at.planner.planAll('operator');
    expect(again.regions.map(({ counts }) => counts.wants + counts.drains + counts.withdrawals)).toEqual([0, 0, 0]);
  });

  it('follows a tag with its pin, and does not follow with a pin by digest', async () => {
    const at = open();
    const byTag = aPin({ regions: ['southeastasia'], reference: { kind: 'tag', tag: 'stable' } });
    const byDigest = aPin({ regions: ['eastus'], reference: { kind: 'digest', digest: app.digest } });
    for (const pin of [byTag, byDigest]) await at.pins.create(pin);
    expect((await at.planner.planAll('pin')).regions.map(({ unresolvedPins }) => unresolvedPins)).toEqual([[], [byTag.id], []]);
    const moved = { ...anImage('team/app:v2', [base, aLayer('code 2', 20)]), tags: ['v2', 'stable'] };
    at.world.push(moved);
    const report = await at.planner.planAll('push');
    expect(report.regions[1]).toMatchObject({ trigger: 'push', counts: { pinned: 1 }, unresolvedPins: [] });
    expect(layersHeld(at.world, 'southeastasia')).toEqual(layersOf(moved));
    expect(layersHeld(at.world, 'eastus')).toEqual(layersOf(app));
  });

  it('holds on to what a pinned tag named before, from the push of its new image until that is expanded and there', async () => {
    const at = open();
    await at.pins.create(aPin({ regions: ['southeastasia'], reference: { kind: 'tag', tag: 'v1' } }));
    await at.planner.planAll('pin');
    at.world.settle();
    const code = aLayer('code 2', 20);
    const moved = { ...anImage('team/app:v2', [base, code], 0), tags: ['v1'] };
    at.world.untag('team/app', 'v1');
    at.world.push(moved);
    at.world.setExpanded([code], false);
    const report = await at.planner.planAll('push');
    expect(report.regions[1]?.unresolvedPins).toHaveLength(1);
    expect(at.world.held('southeastasia').map(({ state }) => state)).toEqual(['ready', 'ready']);
    at.world.setExpanded([code], true);
    await at.planner.planAll('push');
    expect(layersHeld(at.world, 'southeastasia')).toEqual(layersOf(app, moved));
    at.world.settle();
    await at.planner.planAll('schedule');
    at.world.settle();
    expect(layersHeld(at.world, 'southeastasia')).toEqual(layersOf(moved));
  });

  it('drains what a pin brought once the pin is gone', async () => {
    const at = open();
    const pin = aPin({ regions: ['southeastasia'], reference: { kind: 'tag', tag: 'v1' } });
    await at.pins.create(pin);
    await at.planner.planAll('pin');
    at.world.settle();
    await at.pins.delete(pin.id);
    await at.planner.planAll('pin');
    expect(at.world.held('southeastasia').map((replica) => replica.state)).toEqual(['draining', 'draining']);
    at.world.settle();
    expect(at.world.held('southeastasia')).toEqual([]);
  });

  it('recalls what drains when it is pinned again, and orders what is being removed anew once it is gone', async () => {
    const at = open();
    at.world.hold('eastus', replicasOf(app.layers));
    at.world.hold('southeastasia', replicasOf(app.layers));
    await at.planner.planAll('schedule');
    at.world.beginRemovals('eastus');
    await at.pins.create(aPin({ regions: ['eastus', 'southeastasia'], reference: { kind: 'tag', tag: 'v1' } }));
    await at.planner.planAll('pin');
    expect(at.world.held('southeastasia').map(({ state }) => state)).toEqual(['ready', 'ready']);
    expect(at.world.held('eastus').map(({ state }) => state)).toEqual(['draining', 'draining']);
    at.world.settle();
    await at.planner.planAll('schedule');
    expect(at.world.held('eastus').map(({ state }) => state)).toEqual(['wanted', 'wanted']);
  });

  it('brings back to home what home lacks and another region has', async () => {
    const at = open();
    at.world.setRegion({ region: 'westeurope', home: false, capacityBytes: 500 * MiB });
    at.world.setRegion({ region: 'eastus', home: true, capacityBytes: 500 * MiB });
    const report = await at.planner.planAll('schedule');
    expect(report.regions.map(({ counts }) => counts.wants)).toEqual([2, 0, 0]);
    expect(await at.plans.latest('eastus')).toMatchObject({ decisions: [{ verdict: 'placed', reason: 'HOME_REGION' }] });
    expect(layersHeld(at.world, 'eastus')).toEqual(layersOf(app));
    expect(at.world.held('westeurope').map(({ state }) => state)).toEqual(['ready', 'ready']);
  });

  it('drains nothing of a repository that is pinned after the facts were read', async () => {
    const at = open();
    const idle = anImage('team/idle:v1', [aLayer('idle', 5)]);
    at.world.push(idle);
    at.world.hold('westeurope', replicasOf(idle.layers));
    at.world.hold('eastus', replicasOf([...app.layers, ...idle.layers]));
    const pin = aPin({ regions: ['eastus'], reference: { kind: 'tag', tag: 'v1' } });
    const demand = new (class extends MemoryDemandStore {
      override async snapshot(now: Date): ReturnType<MemoryDemandStore['snapshot']> {
        await at.pins.create(pin);
        return super.snapshot(now);
      }
    })();
    await at.another({ forecasts: new StoredForecasts(demand) }).planAll('schedule');
    const states = new Map(at.world.held('eastus').map(({ layer, state }) => [layer, state]));
    expect([...app.layers, ...idle.layers].map((layer) => states.get(layer.digest))).toEqual(['ready', 'ready', 'draining']);
  });

  it('hands orders over part by part, and stops at the part before which its turn is lost', async () => {
    const at = open();
    const many = Array.from({ length: 2 * ORDERS_AT_ONCE_MAX + 1 }, (_, n) => aLayer(`part ${n}`, 1));
    at.world.push(anImage('team/many:v1', many));
    at.world.hold('westeurope', replicasOf(many));
    at.world.hold('eastus', replicasOf(many));
    const sizes: number[] = [];
    const orders: PlannerOptions['orders'] = {
      want: (...wanted) => at.world.orders.want(...wanted),
      drain: async (...drained) => {
        sizes.push(drained[1].length);
        await at.world.orders.drain(...drained);
        if (sizes.length < 2) return;
        await at.clock.advance(TURN_LEASE_DEFAULT_MS);
        await at.turn.acquire('other', at.clock.now(), TURN_LEASE_DEFAULT_MS);
      },
    };
    expect(await at.another({ orders }).planAll('schedule')).toMatchObject({ outcome: 'turn-lost', regions: [] });
    expect(sizes).toEqual([ORDERS_AT_ONCE_MAX, ORDERS_AT_ONCE_MAX]);
    expect(at.world.held('eastus').filter(({ state }) => state === 'ready')).toHaveLength(1);
  });

  it('keeps one ready replica of a referenced layer when home has none, and no more than one', async () => {
    const at = open();
    const lost = aLayer('lost at home', 30);
    at.world.push(anImage('team/lost:v1', [lost]));
    for (const region of ['eastus', 'southeastasia']) at.world.hold(region, replicasOf([lost]));
    await at.planner.planAll('schedule');
    expect(['eastus', 'southeastasia'].map((region) => at.world.held(region).map((replica) => replica.state))).toEqual([['draining'], ['ready']]);
  });

  it('drains everywhere, home too, what nothing references any more', async () => {
    const at = open();
    at.world.hold('eastus', replicasOf(app.layers));
    at.world.remove((image) => image.digest === app.digest);
    const report = await at.planner.planAll('schedule');
    expect(report.regions.map(({ counts }) => counts.drains)).toEqual([2, 0, 2]);
  });

  it('keeps of plans after pushes only those that order something or decide otherwise, and every one that was asked for', async () => {
    const at = open();
    const keptAfter = async (trigger: 'push' | 'schedule' | 'pin' | 'operator'): Promise<boolean | undefined> => {
      await at.clock.advance(1000);
      return (await at.planner.planAll(trigger)).regions[0]?.kept;
    };
    expect([await keptAfter('push'), await keptAfter('push')]).toEqual([true, false]);
    await pull(at, app, 'eastus', 5);
    // Placed, then kept.
    expect([await keptAfter('push'), await keptAfter('push')]).toEqual([true, true]);
    at.world.settle();
    expect([await keptAfter('push'), await keptAfter('push')]).toEqual([false, false]);
    at.world.push(anImage('team/idle:v1', []));
    expect([await keptAfter('push'), await keptAfter('push')]).toEqual([true, false]);
    expect([await keptAfter('schedule'), await keptAfter('pin'), await keptAfter('operator')]).toEqual([true, true, true]);
    expect((await at.plans.history({ region: 'eastus', limit: 20 })).plans).toHaveLength(7);
  });

  it('plans once at a time: a second planner waits, and does nothing when its patience ends', async () => {
    const at = open();
    const held = await at.turn.acquire('elsewhere', at.clock.now(), TURN_LEASE_DEFAULT_MS);
    const waiting = at.planner.planAll('schedule');
    for (let ms = 0; ms <= TURN_WAIT_DEFAULT_MS; ms += 250) {
      await new Promise((resolve) => setImmediate(resolve));
      await at.clock.advance(250);
    }
    expect(await waiting).toEqual({ outcome: 'busy', trigger: 'schedule', regions: [], cramped: false });
    expect(await at.plans.latest('eastus')).toBeUndefined();
    expect(held && (await at.turn.release(held))).toBe(true);
    expect((await at.planner.planAll('schedule')).outcome).toBe('planned');
  });

  it('keeps its turn while it reads facts for longer than the turn holds', async () => {
    const at = open();
    const read: string[] = [];
    const facts = new (class extends MemoryPlacementWorld {
      override async regions(): ReturnType<MemoryPlacementWorld['regions']> {
        for (let step = 0; step < 9; step += 1) {
          await at.clock.advance(TURN_LEASE_DEFAULT_MS / 3);
          await new Promise((resolve) => setImmediate(resolve));
        }
        read.push((await at.turn.acquire('other', at.clock.now(), TURN_LEASE_DEFAULT_MS)) === undefined ? 'still ours' : 'taken');
        return at.world.regions();
      }
    })();
    expect((await at.another({ facts }).planAll('schedule')).outcome).toBe('planned');
    expect(read).toEqual(['still ours']);
  });

  it('makes one plan of many calls that come while it waits for its turn, and calls it by what was asked for', async () => {
    const at = open();
    const reports = await Promise.all((['push', 'operator', 'push'] as const).map((trigger) => at.planner.planAll(trigger)));
    expect(new Set(reports.map((report) => report.regions[0]?.id)).size).toBe(1);
    expect(reports[0]?.trigger).toBe('operator');
    expect((await at.plans.history({ region: 'eastus', limit: 10 })).plans).toHaveLength(1);
  });

  it('writes nothing more once its turn is lost in the middle', async () => {
    const at = open();
    for (const region of ['eastus', 'southeastasia']) await pull(at, app, region, 5);
    const plans = new (class extends MemoryPlanStore {
      override async save(...saved: Parameters<MemoryPlanStore['save']>): Promise<void> {
        await super.save(...saved);
        // Paused for longer than the lease, while another planner takes over.
        await at.clock.advance(TURN_LEASE_DEFAULT_MS);
        await at.turn.acquire('other', at.clock.now(), TURN_LEASE_DEFAULT_MS);
      }
    })();
    const report = await at.another({ plans }).planAll('schedule');
    expect(report).toMatchObject({ outcome: 'turn-lost', regions: [] });
    expect(await plans.latest('southeastasia')).toBeUndefined();
    expect([...at.world.held('eastus'), ...at.world.held('southeastasia')]).toEqual([]);
  });

  it('keeps its turn while it decides, however long that takes', async () => {
    const at = open();
    at.world.push(...Array.from({ length: 8000 }, (_, n) => anImage(`team/app-${n % 40}:w${n}`, [base, aLayer(`own ${n}`, 1 + (n % 7)), aLayer(`shared ${n % 300}`, 9)])));
    let [renewals, renewedBefore] = [0, 0];
    const turn = new (class extends MemoryPlannerTurn {
      override async renew(...renewed: Parameters<MemoryPlannerTurn['renew']>): ReturnType<MemoryPlannerTurn['renew']> {
        renewals += 1;
        return super.renew(...renewed);
      }
    })();
    const forecasts = new (class extends StoredForecasts {
      override async ofAll(...asked: Parameters<StoredForecasts['ofAll']>): ReturnType<StoredForecasts['ofAll']> {
        const foretold = await super.ofAll(...asked);
        renewedBefore = renewals;
        return foretold;
      }
    })(at.demand);
    let renewedSince = 0;
    const plans = new (class extends MemoryPlanStore {
      override async save(...saved: Parameters<MemoryPlanStore['save']>): Promise<void> {
        renewedSince ||= renewals - renewedBefore;
        await super.save(...saved);
      }
    })();
    // A third of it is what a slice of deciding takes.
    const report = await at.another({ clock: new SystemClock(), turn, forecasts, plans, turnLeaseMs: 30 }).planAll('schedule');
    expect(report.outcome).toBe('planned');
    // One more would be that of the end of reading, one that before the first write.
    expect(renewedSince).toBeGreaterThan(3);
  });

  it('writes nothing when it was paused between looking at its turn and writing, and says which plan was not ordered to the end', async () => {
    const at = open();
    for (const region of ['eastus', 'southeastasia']) await pull(at, app, region, 5);
    const orders: PlannerOptions['orders'] = {
      want: async (region, wanted, fence) => {
        if (region === 'southeastasia') {
          // Its turn was renewed right before; now another planner has it.
          await at.clock.advance(TURN_LEASE_DEFAULT_MS);
          await at.turn.acquire('other', at.clock.now(), TURN_LEASE_DEFAULT_MS);
        }
        await at.world.orders.want(region, wanted, fence);
      },
      drain: (...drained) => at.world.orders.drain(...drained),
    };
    expect(await at.another({ orders }).planAll('schedule')).toMatchObject({ outcome: 'turn-lost', regions: [{ region: 'eastus' }] });
    expect([layersHeld(at.world, 'eastus'), layersHeld(at.world, 'southeastasia')]).toEqual([layersOf(app), []]);
    expect((await at.plans.latest('eastus'))?.orderedAt).toEqual(SCENE_NOW);
    expect((await at.plans.latest('southeastasia'))?.orderedAt).toBeUndefined();
  });

  it('gives its turn back when it fails, and a repeated plan finishes what was begun', async () => {
    const at = open();
    for (const region of ['eastus', 'southeastasia']) await pull(at, app, region, 5);
    let failures = 1;
    const orders: PlannerOptions['orders'] = {
      want: async (region, wanted, fence) => {
        if (region === 'southeastasia' && failures-- > 0) throw new Error('connection reset');
        await at.world.orders.want(region, wanted, fence);
      },
      drain: (...drained) => at.world.orders.drain(...drained),
    };
    const planner = at.another({ orders });
    await expect(planner.planAll('schedule')).rejects.toThrow('connection reset');
    expect((await planner.planAll('schedule')).outcome).toBe('planned');
    expect(layersHeld(at.world, 'southeastasia')).toEqual(layersOf(app));
  });

  describe('after a push to one repository', () => {
    const pushed = anImage('team/app:v2', [base, aLayer('code 2', 20)], 0);
    const idle = anImage('team/idle:v1', [aLayer('idle', 300)]);
    const images = ['eastus', 'southeastasia'] as const;

    it('brings its image where it is wanted, and moves nothing else', async () => {
      const at = open();
      at.world.push(idle, pushed);
      at.world.hold('eastus', [...replicasOf([...app.layers, ...idle.layers]), ...replicasOf([aLayer('of nobody', 5)], 'wanted')]);
      await pull(at, app, 'eastus', 5);
      const before = at.world.held('eastus');
      const report = await at.planner.planRepositories(['team/app']);
      expect(report).toMatchObject({ outcome: 'planned', trigger: 'push', cramped: false });
      expect(report.regions.map(({ region, counts, kept, repositories }) => [region, counts.wants, counts.drains, kept, repositories])).toEqual([['eastus', 1, 0, true, ['team/app']], ['southeastasia', 0, 0, false, ['team/app']]]);
      expect(at.world.held('eastus').slice(0, before.length)).toEqual(before);
      expect(layersHeld(at.world, 'eastus')).toEqual(expect.arrayContaining(layersOf(pushed)));
      expect((await at.planner.planRepositories(['team/app'])).regions.map(({ counts }) => counts.wants)).toEqual([0, 0]);
    });

    it('never uses room that other repositories have, and says that there was none', async () => {
      const at = open();
      at.world.push(idle, pushed);
      at.world.hold('eastus', replicasOf([...app.layers, ...idle.layers, aLayer('of nobody', 65)]));
      await pull(at, app, 'eastus', 5);
      const report = await at.planner.planRepositories(['team/app']);
      expect(report).toMatchObject({ outcome: 'planned', cramped: true, regions: [{ capacityBytes: 500 * MiB, usedBytes: 485 * MiB }, {}] });
      expect(layersHeld(at.world, 'eastus')).not.toEqual(expect.arrayContaining(layersOf(pushed)));
      expect((await at.planner.planAll('push')).cramped).toBe(false);
      expect(layersHeld(at.world, 'eastus')).toEqual(expect.arrayContaining(layersOf(pushed)));
    });

    it('follows a pinned tag to its new image in every region of the pin', async () => {
      const at = open();
      await at.pins.create(aPin({ regions: [...images], reference: { kind: 'tag', tag: 'v2' } }));
      at.world.push(pushed);
      await at.planner.planRepositories(['team/app', 'team/idle']);
      for (const region of images) expect(layersHeld(at.world, region)).toEqual(layersOf(pushed));
      expect(await at.plans.latest('eastus')).toBeUndefined();
      expect((await at.plans.history({ region: 'eastus', limit: 1 })).plans).toMatchObject([{ repositories: ['team/app', 'team/idle'], counts: { pinned: 1 } }]);
    });
  });

  it('refuses to plan on a part of the images', async () => {
    const at = open();
    at.world.push(...Array.from({ length: PLACEMENT_IMAGES_MAX }, () => app));
    await expect(at.planner.planAll('schedule')).rejects.toMatchObject({ code: 'FACTS_TOO_MANY' });
    expect(await at.turn.acquire('next', at.clock.now(), 1)).toBeDefined();
  });
});
