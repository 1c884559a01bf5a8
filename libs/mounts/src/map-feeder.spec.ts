import { describe, expect, it } from 'vitest';

import { ManualClock } from '#clock/testing';

import { type FeedReport, MapFeeder } from './map-feeder.js';
import { digestNamed, expandedRow, imageRow, MemoryMapSource } from './testing/index.js';

const STARTED_AT = '2026-03-01T12:00:00.000Z';

function setUp(batchMax = 10): { source: MemoryMapSource; clock: ManualClock; feeder: MapFeeder<number>; reports: FeedReport[] } {
  const source = new MemoryMapSource();
  const clock = new ManualClock(STARTED_AT);
  const reports: FeedReport[] = [];
  const feeder = new MapFeeder({ source, clock, batchMax, onReport: (report) => reports.push(report) });
  return { source, clock, feeder, reports };
}

const ready = (layer: string, share: string) => ({ topic: 'replica', layer: digestNamed(layer), share, state: 'ready' }) as const;

describe('MapFeeder', () => {
  it('has an empty map of no age before the first load', () => {
    const { feeder } = setUp();
    expect(feeder.map.asOf).toBeUndefined();
    expect(feeder.map.counts.layers).toBe(0);
  });

  it('loads everything, then follows every change', async () => {
    const { source, clock, feeder } = setUp();
    source.write({ topic: 'repository', name: 'team/app', enabled: true }, imageRow('team/app', 'image', ['a', 'b', 'c']));
    source.write(expandedRow('a'), ready('a', 'east'), ready('b', 'east'), ready('c', 'east'));
    await feeder.poll();
    expect(feeder.map.counts).toEqual({ repositories: 1, tags: 0, images: 1, layers: 3, replicas: 3 });
    await clock.advance(1000);
    source.write({ ...ready('a', 'east'), state: 'draining' });
    source.delete('replica', [digestNamed('b'), 'east']);
    await feeder.poll();
    expect(['a', 'b', 'c'].map((layer) => feeder.map.replicaState(digestNamed(layer), 'east'))).toEqual(['draining', undefined, 'ready']);
    expect(feeder.map.asOf).toEqual(new Date('2026-03-01T12:00:01.000Z'));
  });

  it('misses nothing that changes while it loads', async () => {
    const { source, feeder } = setUp();
    source.write({ topic: 'repository', name: 'team/app', enabled: true }, expandedRow('a'), ready('a', 'east'), ready('b', 'east'));
    let once = true;
    source.before = (call, topic) => {
      if (call !== 'load' || topic !== 'replica' || !once) return;
      once = false;
      // Its topic has been loaded already.
      source.write({ topic: 'repository', name: 'team/app', enabled: false });
      source.write({ ...ready('a', 'east'), state: 'draining' }, ready('c', 'east'));
      source.delete('replica', [digestNamed('b'), 'east']);
    };
    await feeder.poll();
    expect(feeder.map.enabled('team/app')).toBe(false);
    expect(['a', 'b', 'c'].map((layer) => feeder.map.replicaState(digestNamed(layer), 'east'))).toEqual(['draining', undefined, 'ready']);
  });

  it('shows what was changed together together', async () => {
    const { source, feeder } = setUp();
    source.write({ topic: 'repository', name: 'team/app', enabled: true });
    await feeder.poll();
    source.write(imageRow('team/app', 'image', ['a']), expandedRow('a'), ready('a', 'east'));
    const seen: number[] = [];
    source.before = (call) => {
      if (call === 'read') seen.push(feeder.map.counts.images);
    };
    await feeder.poll();
    expect(seen).toEqual([0, 0, 0]);
    expect(feeder.map.counts).toMatchObject({ images: 1, layers: 1, replicas: 1 });
  });

  it('ends with the rows as they are when changes come twice, late and of topics that it does not keep', async () => {
    const { source, feeder } = setUp();
    await feeder.poll();
    source.write(ready('a', 'east'));
    source.delete('replica', [digestNamed('a'), 'east']);
    source.tell('replica', [digestNamed('a'), 'east']);
    source.write(ready('b', 'east'));
    source.tell('replica', [digestNamed('b'), 'east']);
    source.tell('pin', ['7']);
    await feeder.poll();
    source.tell('replica', [digestNamed('a'), 'east']);
    await feeder.poll();
    expect(feeder.map.replicaState(digestNamed('a'), 'east')).toBeUndefined();
    expect(feeder.map.replicaState(digestNamed('b'), 'east')).toBe('ready');
  });

  it('reads a burst in batches until there is no more', async () => {
    const { source, feeder, reports } = setUp(4);
    await feeder.poll();
    for (let index = 0; index < 11; index += 1) source.write(ready(`layer ${index}`, 'east'));
    await feeder.poll();
    expect(feeder.map.counts.replicas).toBe(11);
    expect(reports.filter((report) => report.kind === 'followed').map((report) => report.keyCount)).toEqual([4, 4, 3]);
  });

  it('loads anew into another map when changes were lost, and answers from the old one meanwhile', async () => {
    const { source, feeder, reports } = setUp();
    source.write(ready('a', 'east'));
    await feeder.poll();
    const old = feeder.map;
    source.delete('replica', [digestNamed('a'), 'east']);
    source.write(ready('b', 'east'));
    source.loseChanges();
    const seen: (string | undefined)[] = [];
    source.before = (call) => {
      if (call === 'load') seen.push(feeder.map.replicaState(digestNamed('a'), 'east'));
    };
    await feeder.poll();
    expect(seen).toEqual(['ready']);
    expect(feeder.map).not.toBe(old);
    expect(feeder.map.replicaState(digestNamed('a'), 'east')).toBeUndefined();
    expect(feeder.map.replicaState(digestNamed('b'), 'east')).toBe('ready');
    expect(reports.map((report) => report.kind)).toEqual(['loaded', 'gap', 'loaded']);
  });

  it.each(['changesAfter', 'read'] as const)('keeps the old map and its age while %s fails, and catches up after', async (failing) => {
    const { source, clock, feeder } = setUp();
    source.write(ready('a', 'east'));
    await feeder.poll();
    source.write({ ...ready('a', 'east'), state: 'draining' });
    await clock.advance(5000);
    source.before = (call) => {
      if (call === failing) throw new Error('the database is down');
    };
    await expect(feeder.poll()).rejects.toThrow('the database is down');
    expect(feeder.map.asOf).toEqual(new Date(STARTED_AT));
    expect(feeder.map.replicaState(digestNamed('a'), 'east')).toBe('ready');
    source.before = () => undefined;
    await feeder.poll();
    expect(feeder.map.replicaState(digestNamed('a'), 'east')).toBe('draining');
    expect(feeder.map.asOf).toEqual(clock.now());
  });

  it('calls the map no fresher than the oldest change that is held back', async () => {
    const { source, clock, feeder } = setUp();
    source.write({ topic: 'repository', name: 'team/app', enabled: true });
    await feeder.poll();
    await clock.advance(1000);
    const disabledAt = clock.now();
    source.holdBack(() => clock.now().getTime() - disabledAt.getTime());
    source.write({ topic: 'repository', name: 'team/app', enabled: false });
    await clock.advance(5000);
    await feeder.poll();
    expect(feeder.map.enabled('team/app')).toBe(true);
    expect(feeder.map.asOf).toEqual(disabledAt);
    source.letGo();
    await feeder.poll();
    expect(feeder.map.enabled('team/app')).toBe(false);
    expect(feeder.map.asOf).toEqual(clock.now());
  });

  it('knows after a load what the feed still holds back, and is as fresh as that load', async () => {
    const { source, clock, feeder } = setUp();
    source.holdBack(() => 60_000);
    source.write(ready('a', 'east'));
    await feeder.poll();
    expect(feeder.map.replicaState(digestNamed('a'), 'east')).toBe('ready');
    expect(feeder.map.asOf).toEqual(clock.now());
    await clock.advance(1000);
    await feeder.poll();
    expect(feeder.map.asOf).toEqual(new Date(STARTED_AT));
  });

  it('begins a load again that failed half-way, also after a gap', async () => {
    const { source, feeder } = setUp();
    source.write(ready('a', 'east'));
    await feeder.poll();
    source.write(ready('b', 'east'));
    source.loseChanges();
    source.before = (call, topic) => {
      if (call === 'load' && topic === 'replica') throw new Error('the database is down');
    };
    await expect(feeder.poll()).rejects.toThrow('the database is down');
    expect(feeder.map.replicaState(digestNamed('a'), 'east')).toBe('ready');
    source.before = () => undefined;
    await feeder.poll();
    expect(feeder.map.counts.replicas).toBe(2);
  });

  it('loads once in a poll, rests and stops when every question finds a gap', async () => {
    const { source, clock, feeder, reports } = setUp();
    source.before = (call) => {
      if (call !== 'changesAfter') return;
      source.tell('pin', ['7']);
      source.loseChanges();
    };
    const loads = (): number => reports.filter((report) => report.kind === 'loaded').length;
    feeder.start();
    await untilSleeping(clock);
    expect(loads()).toBe(1);
    await clock.advance(500);
    await untilSleeping(clock);
    expect(loads()).toBe(2);
    await feeder.stop();
    expect(loads()).toBe(2);
  });

  it('polls by itself, again after failures, and stops when it is told to', async () => {
    const { source, clock, feeder, reports } = setUp();
    const polled = { count: 0, failing: true };
    source.before = (call) => {
      if (call === 'position' && polled.failing) throw new Error('the database is down');
      if (call === 'changesAfter') polled.count += 1;
    };
    feeder.start();
    await untilSleeping(clock);
    expect(reports.map((report) => report.kind)).toEqual(['failed']);
    polled.failing = false;
    await clock.advance(20_000);
    await untilSleeping(clock);
    expect(polled.count).toBe(1);
    source.write(ready('a', 'east'));
    feeder.nudge();
    await untilSleeping(clock);
    expect(feeder.map.replicaState(digestNamed('a'), 'east')).toBe('ready');
    await feeder.stop();
    await clock.advance(60_000);
    expect(polled.count).toBe(2);
  });

  it('knows beyond its position that nothing changed, where a batch is not full, and reads on from its position all the same', async () => {
    const { source, feeder } = setUp(2);
    const asked: number[] = [];
    const after = source.changesAfter.bind(source);
    source.changesAfter = async (position, limit) => {
      asked.push(position);
      const batch = await after(position, limit);
      return { ...batch, end: batch.position + 100 };
    };
    await feeder.poll();
    expect(feeder.held).toMatchObject({ position: 0, knownTo: 100, loads: 1, withdrawals: 0 });
    source.write(expandedRow('a'), { ...ready('a', 'east'), state: 'draining' });
    let inTheMiddle: unknown;
    source.before = (call) => {
      if (call === 'changesAfter' && asked.at(-1) === 2) inTheMiddle = feeder.held;
    };
    await feeder.poll();
    expect(inTheMiddle).toMatchObject({ position: 2, knownTo: 2 });
    expect(feeder.held).toMatchObject({ position: 2, knownTo: 102, loads: 1, withdrawals: 1 });
    expect(asked).toEqual([0, 0, 2]);
    source.loseChanges();
    source.tell('tag', ['a', 'b']);
    source.loseChanges();
    await feeder.poll();
    await feeder.poll();
    expect(feeder.held).toMatchObject({ position: 3, knownTo: 103, loads: 2 });
  });
});

/** Lets everything that waits for nothing but each other run, until the feeder rests. */
async function untilSleeping(clock: ManualClock): Promise<void> {
  do await new Promise((resolve) => setImmediate(resolve));
  while (clock.sleeperCount === 0);
}
