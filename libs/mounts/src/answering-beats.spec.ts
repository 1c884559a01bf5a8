import { describe, expect, it } from 'vitest';

import { ManualClock } from '#clock/testing';

import { AnsweringBeats, type MapOnDisk } from './answering-beats.js';
import { AnsweringEntry, BEAT_AGE_MAX_MS } from './answering-entry.js';
import type { AnsweringBeat } from './answering-processes.js';
import { LeaseBook } from './lease-book.js';
import { MapFeeder } from './map-feeder.js';
import { digestNamed, MemoryAnsweringProcesses, MemoryLeaseStore, MemoryMapSource } from './testing/index.js';

const WAIT_MS = 60_000;
const HELD = [{ layer: digestNamed('base'), share: 'east' }];

function setUp({ pendingMax }: { pendingMax?: number } = {}) {
  const [clock, source, leaseStore, store] = [new ManualClock(), new MemoryMapSource(), new MemoryLeaseStore(), new MemoryAnsweringProcesses()];
  const said: AnsweringBeat[] = [];
  store.beforeHeard = (beat) => void said.push(beat);
  const feeder = new MapFeeder<number>({ source, clock });
  const leases = new LeaseBook({ store: leaseStore, clock, ttlMs: WAIT_MS, ...(pendingMax === undefined ? {} : { pendingMax }) });
  const disk: { onDisk: MapOnDisk<number>; wanted: number; want(): void } = {
    onDisk: { kind: 'none' }, wanted: 0,
    want() {
      this.wanted += 1;
    },
  };
  const entry = new AnsweringEntry({ id: 'me', name: 'a lookup', store, clock, removalWaitMs: WAIT_MS });
  const failures: unknown[] = [];
  const beats = new AnsweringBeats<number>({ entry, feeder, leases, disk, placeOf: BigInt, clock, onFailure: (error) => failures.push(error) });
  /** What it says next. */
  const next = async (): Promise<Pick<AnsweringBeat, 'knownTo' | 'isUnleased' | 'isEnded'>> => {
    await beats.beat();
    const { knownTo, isUnleased, isEnded } = said.at(-1)!;
    return { knownTo, isUnleased, isEnded };
  };
  const drain = (name: string): void => source.write({ topic: 'replica', layer: digestNamed(name), share: 'east', state: 'draining' });
  const write = (): void => {
    const { knownTo, loads, withdrawals } = feeder.held!;
    disk.onDisk = { kind: 'held', knownTo, loads, withdrawals };
  };
  return { clock, source, leaseStore, store, said, feeder, leases, disk, entry, beats, failures, next, drain, write };
}

describe('what a process that answers acknowledges', () => {
  it('is nothing before its map is loaded, and then the place where its map is', async () => {
    const { source, feeder, drain, next } = setUp();
    expect(await next()).toEqual({ knownTo: undefined, isUnleased: false, isEnded: false });
    drain('a');
    await feeder.poll();
    expect((await next()).knownTo).toBe(1n);
    source.tell('replica', [digestNamed('a'), 'east']);
    expect((await next()).knownTo).toBe(1n);
    await feeder.poll();
    expect((await next()).knownTo).toBe(2n);
  });

  it('is no place that it learns of while leases are being written: they may be of what left the answers there', async () => {
    const { clock, leaseStore, feeder, leases, drain, beats, said } = setUp();
    await feeder.poll();
    leases.grant('eastus', HELD, clock.now());
    leaseStore.beforeGrant = async () => {
      drain('a');
      await feeder.poll();
    };
    await beats.beat();
    expect([said.at(-1)?.knownTo, leaseStore.size]).toEqual([0n, 1]);
  });

  it('comes when the leases are written that were granted before, also those that a flush under way does not write', async () => {
    const { clock, leaseStore, feeder, leases, beats, said } = setUp();
    await feeder.poll();
    const gates: (() => void)[] = [];
    leaseStore.beforeGrant = () => new Promise((resolve) => gates.push(resolve));
    leases.grant('eastus', HELD, clock.now());
    const flushing = leases.flush();
    leases.grant('eastus', [{ layer: digestNamed('late'), share: 'east' }], clock.now());
    const beating = beats.beat();
    gates.shift()!();
    await flushing;
    expect(said).toEqual([]);
    await expect.poll(() => gates.length).toBe(1);
    gates.shift()!();
    await beating;
    expect([said.map(({ knownTo }) => knownTo), leaseStore.size]).toEqual([[0n], 2]);
  });

  it('stays where it was while leases cannot be written, and the process is heard all the same', async () => {
    const { clock, leaseStore, feeder, leases, drain, next, failures } = setUp();
    await feeder.poll();
    expect((await next()).knownTo).toBe(0n);
    leases.grant('eastus', HELD, clock.now());
    leaseStore.beforeGrant = async () => Promise.reject(new Error('the table is locked'));
    drain('a');
    await feeder.poll();
    expect([(await next()).knownTo, failures]).toMatchObject([0n, [{ message: 'the table is locked' }]]);
    leaseStore.beforeGrant = async () => undefined;
    expect((await next()).knownTo).toBe(1n);
  });

  it('tells once that mounts were given without a lease, also when it could not be told at first', async () => {
    const { clock, store, feeder, leases, next, beats } = setUp({ pendingMax: 0 });
    await feeder.poll();
    expect((await next()).isUnleased).toBe(false);
    expect(leases.grant('eastus', HELD, clock.now())).toBeUndefined();
    const hear = store.beforeHeard;
    store.beforeHeard = () => {
      throw new Error('the database is away');
    };
    await expect(beats.beat()).rejects.toThrow('the database is away');
    store.beforeHeard = hear;
    expect([(await next()).isUnleased, (await next()).isUnleased]).toEqual([true, false]);
  });

  it('is never beyond the map on disk, which is asked for when a replica has left the answers since', async () => {
    const { source, feeder, disk, drain, write, next } = setUp();
    await feeder.poll();
    write();
    source.tell('tag', ['team/app', 'v1']);
    await feeder.poll();
    expect([(await next()).knownTo, disk.wanted]).toEqual([0n, 0]);
    drain('a');
    await feeder.poll();
    expect([(await next()).knownTo, disk.wanted]).toEqual([0n, 1]);
    write();
    expect([(await next()).knownTo, disk.wanted]).toEqual([2n, 1]);
  });

  it('is nothing while what is on disk may be of any age', async () => {
    const { feeder, disk, write, next } = setUp();
    disk.onDisk = { kind: 'unknown' };
    await feeder.poll();
    expect([(await next()).knownTo, disk.wanted]).toEqual([undefined, 1]);
    write();
    expect((await next()).knownTo).toBe(0n);
  });

  it('is nothing after everything was loaded anew, until the map on disk is of that time: places may count from elsewhere', async () => {
    const { source, feeder, drain, write, next } = setUp();
    await feeder.poll();
    write();
    drain('a');
    source.loseChanges();
    expect((await next()).knownTo).toBe(0n);
    await feeder.poll();
    expect((await next()).knownTo).toBeUndefined();
    write();
    expect((await next()).knownTo).toBe(1n);
  });

  it('is said a last time by who ends; who leaves no map behind is forgotten', async () => {
    const [tidy, other] = [setUp(), setUp()];
    for (const { feeder, beats } of [tidy, other]) {
      await feeder.poll();
      await beats.beat();
    }
    other.write();
    for (const { beats, clock, said } of [tidy, other]) {
      await clock.advance(1);
      await beats.leave();
      expect(said.at(-1)).toMatchObject({ knownTo: 0n, isEnded: true });
    }
    expect(await tidy.store.list(tidy.clock.now())).toEqual([]);
    expect(await other.store.list(other.clock.now())).toMatchObject([{ standing: 'ended' }]);
  });

  it('is not said by who ends and was never heard', async () => {
    const { feeder, beats, said } = setUp();
    await feeder.poll();
    await beats.leave();
    expect(said).toEqual([]);
  });
});

describe('the entry of a process', () => {
  it('has it be heard before it learns anything, and again when that is long ago', async () => {
    const { clock, store, entry, said } = setUp();
    store.beforeHeard = () => {
      throw new Error('the database is read-only');
    };
    await expect(entry.ensure()).rejects.toThrow('read-only');
    store.beforeHeard = (beat) => void said.push(beat);
    await entry.ensure();
    await entry.ensure();
    await clock.advance(BEAT_AGE_MAX_MS);
    await entry.ensure();
    expect(said).toHaveLength(1);
    await clock.advance(1);
    await entry.ensure();
    expect(said).toMatchObject([{ knownTo: undefined, countsForMs: WAIT_MS + BEAT_AGE_MAX_MS }, { knownTo: undefined }]);
  });

  it('speaks for the map of its predecessor when it is heard, and not before', async () => {
    const { entry, said } = setUp();
    entry.follow('before');
    expect(entry.speaker).toBe('before');
    await entry.ensure();
    expect([entry.speaker, said.map(({ predecessor }) => predecessor)]).toEqual(['me', ['before']]);
    await entry.say({ knownTo: 3n, isUnleased: false, isEnded: false });
    expect(said.at(-1)?.predecessor).toBeUndefined();
  });
});
