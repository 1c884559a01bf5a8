import { setImmediate as turn } from 'node:timers/promises';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { ManualClock } from '#clock/testing';
import { configSchema } from '#config';
import type { ChangeBatch, FeedPosition } from '#database';
import type { PlanningReport, PlanTriggerKind } from '#placement';
import { createLogger, Metrics } from '#telemetry';

import { Planning } from './planning.js';
import { PUSHED_REPOSITORIES_MAX } from './pushed-repositories.js';
import { WorkSignals } from './work-signals.js';
import { WorkSurroundings } from './work-surroundings.js';

/** A planner that notes what it was asked, and answers what it is told to. */
class NotedPlanner {
  /** Kinds of plans for everything, and names of repositories. */
  readonly asked: (PlanTriggerKind | readonly string[])[] = [];
  readonly outcomes: (PlanningReport['outcome'] | 'cramped' | Error)[] = [];

  planAll(kind: PlanTriggerKind): Promise<PlanningReport> {
    return this.#plan(kind, kind);
  }

  planRepositories(names: readonly string[]): Promise<PlanningReport> {
    return this.#plan(names, 'push');
  }

  #plan(asked: PlanTriggerKind | readonly string[], trigger: PlanTriggerKind): Promise<PlanningReport> {
    this.asked.push(asked);
    const outcome = this.outcomes.shift() ?? 'planned';
    if (outcome instanceof Error) return Promise.reject(outcome);
    return Promise.resolve({ outcome: outcome === 'cramped' ? 'planned' : outcome, trigger, regions: [], cramped: outcome === 'cramped' });
  }
}

/** Whose layers are: of a layer named after its repository. */
const catalogue = { repositoriesOfLayers: (layers: readonly string[], limit: number) => Promise.resolve([...new Set(layers.map((layer) => layer.split(' ')[0] ?? ''))].toSorted().slice(0, limit)) };

/** A feed whose next batch is what a test puts in. */
class OneBatchFeed {
  next: ChangeBatch['changes'] = [];
  gap = false;

  end(): Promise<FeedPosition> {
    return Promise.resolve({ transaction: '1', sequence: '1' });
  }

  readAfter(position: FeedPosition): Promise<ChangeBatch> {
    const changes = this.next;
    this.next = [];
    return Promise.resolve({ changes, position, gap: this.gap, heldBackMs: undefined });
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
    planning = new Planning(surroundings, planner, { feed, catalogue });
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

  const tell = (...changes: (readonly [string, ...string[]])[]): void => {
    feed.next = changes.map(([topic, ...key]) => ({ topic, key, changedAt: clock.now() }));
  };

  it('plans for a repository when its images or layers change, and not when replicas do', async () => {
    planning.onApplicationBootstrap();
    await settle();
    tell(['replica', 'x', 'eastus']);
    await pass(1000);
    await pass(1000);
    expect(planner.asked).toEqual(['push']);
    tell(['layer', 'team/app top'], ['tag', 'team/web', 'v1'], ['image', 'team/web', 'x'], ['layer', 'team/app base']);
    await pass(500);
    expect(planner.asked).toEqual(['push', ['team/app', 'team/web']]);
  });

  it('plans for everything when a repository is enabled, changes are lost, or too many repositories are pushed to at once', async () => {
    planning.onApplicationBootstrap();
    await settle();
    tell(['repository', 'team/app'], ['tag', 'team/app', 'v1']);
    await pass(1000);
    feed.gap = true;
    await pass(1000);
    feed.gap = false;
    tell(...Array.from({ length: PUSHED_REPOSITORIES_MAX + 1 }, (_, n) => ['tag', `team/${n}`, 'v1'] as const));
    await pass(1000);
    await pass(1000);
    expect(planner.asked).toEqual(['push', 'push', 'push', 'push']);
  });

  it('plans for everything after a plan for one repository that found no room, and forgets pushes that this one has seen', async () => {
    planning.onApplicationBootstrap();
    await settle();
    await pass(1000);
    planner.outcomes.push('cramped');
    tell(['tag', 'team/app', 'v1']);
    await pass(500);
    tell(['tag', 'team/web', 'v1']);
    await pass(500);
    await pass(1000);
    await pass(1000);
    expect(planner.asked).toEqual(['push', ['team/app'], 'push']);
  });

  it('plans for a repository again when that failed', async () => {
    planning.onApplicationBootstrap();
    await settle();
    planner.outcomes.push(new Error('the database is down'));
    await pass(1000);
    tell(['tag', 'team/app', 'v1']);
    await pass(500);
    tell(['tag', 'team/web', 'v1']);
    await pass(2000);
    expect(planner.asked).toEqual(['push', ['team/app'], ['team/app', 'team/web']]);
  });

  it('looks again within eight seconds, however long another planner has been at work', async () => {
    planner.outcomes.push(...Array.from({ length: 20 }, () => 'busy' as const));
    planning.planSoon('schedule');
    await settle();
    for (let look = 2; look < 10; look += 1) {
      await pass(8000);
      expect(planner.asked).toHaveLength(look);
    }
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
