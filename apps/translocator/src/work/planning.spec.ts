import { setImmediate as turn } from 'node:timers/promises';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { ManualClock } from '#clock/testing';
import { configSchema } from '#config';
import type { ChangeBatch, FeedPosition } from '#database';
import type { PlanningReport, PlanTriggerKind } from '#placement';
import { createLogger, Metrics } from '#telemetry';

import { Planning } from './planning.js';
import { WorkSignals } from './work-signals.js';
import { WorkSurroundings } from './work-surroundings.js';

/** A planner that notes what it was asked, and answers what it is told to. */
class NotedPlanner {
  readonly asked: PlanTriggerKind[] = [];
  readonly outcomes: (PlanningReport['outcome'] | Error)[] = [];

  planAll(kind: PlanTriggerKind): Promise<PlanningReport> {
    this.asked.push(kind);
    const outcome = this.outcomes.shift() ?? 'planned';
    return outcome instanceof Error ? Promise.reject(outcome) : Promise.resolve({ outcome, trigger: kind, regions: [] });
  }
}

/** A feed whose next batch is what a test puts in. */
class OneBatchFeed {
  next: ChangeBatch['changes'] = [];

  end(): Promise<FeedPosition> {
    return Promise.resolve({ transaction: '1', sequence: '1' });
  }

  readAfter(position: FeedPosition): Promise<ChangeBatch> {
    const changes = this.next;
    this.next = [];
    return Promise.resolve({ changes, position, gap: false, heldBackSince: undefined });
  }
}

describe('planning', () => {
  let clock: ManualClock;
  let planner: NotedPlanner;
  let feed: OneBatchFeed;
  let planning: Planning;
  beforeEach(() => {
    clock = new ManualClock();
    planner = new NotedPlanner();
    feed = new OneBatchFeed();
    const config = configSchema.parse({});
    const surroundings = new WorkSurroundings({ owner: 'me', config, clock, logger: createLogger('fatal'), metrics: new Metrics(), signals: new WorkSignals() });
    planning = new Planning(surroundings, planner, feed);
  });
  afterEach(() => planning.onApplicationShutdown());

  const settle = async (): Promise<void> => {
    for (let count = 0; count < 5; count += 1) await turn();
  };
  const pass = async (ms: number): Promise<void> => {
    await clock.advance(ms);
    await settle();
  };

  it('plans once when the service starts, for whatever changed before', async () => {
    planning.onApplicationBootstrap();
    await settle();
    expect(planner.asked).toEqual(['push']);
  });

  it('plans when images or layers change, and not when replicas do', async () => {
    planning.onApplicationBootstrap();
    await settle();
    feed.next = [{ topic: 'replica', key: ['x', 'eastus'], changedAt: clock.now() }];
    await pass(1000);
    await pass(1000);
    expect(planner.asked).toEqual(['push']);
    feed.next = [{ topic: 'layer', key: ['x'], changedAt: clock.now() }];
    await pass(500);
    expect(planner.asked).toEqual(['push', 'push']);
  });

  it('makes one plan of what several ask for meanwhile, named by the weightiest', async () => {
    planning.planSoon('schedule');
    planning.planSoon('pin');
    planning.planSoon('push');
    await settle();
    await pass(1000);
    expect(planner.asked).toEqual(['schedule', 'pin']);
  });

  it('plans again after another planner had the turn or a plan failed, waiting longer each time', async () => {
    planner.outcomes.push('busy', 'turn-lost', new Error('the database is down'));
    planning.planSoon('pin');
    await settle();
    for (const waitMs of [2000, 4000, 8000]) {
      const before = planner.asked.length;
      await pass(waitMs - 1);
      expect(planner.asked).toHaveLength(before);
      await pass(1);
      expect(planner.asked).toHaveLength(before + 1);
    }
    await pass(100_000);
    expect(planner.asked).toEqual(['pin', 'pin', 'pin', 'pin']);
  });
});
