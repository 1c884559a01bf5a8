import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { ManualClock } from '#clock/testing';
import { AnsweringBeats, AnsweringEntry, LeaseBook, MapFeeder } from '#mounts';
import { expandedRow, MemoryAnsweringProcesses, MemoryLeaseStore, MemoryMapSource } from '#mounts/testing';
import { createLogger, Metrics } from '#telemetry';

import { eventually } from '../../../../test/e2e/support/eventually.js';
import { DatabaseOpening } from '../foundation/tokens.js';
import { MapFollowing } from './map-following.js';
import { MapSnapshotFile } from './map-snapshot-file.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'translocator-following-'));
});
afterEach(() => rm(folder, { recursive: true }));

/** A process whose database cannot be reached until `open` is called. */
function startAway() {
  const [clock, source] = [new ManualClock(), new MemoryMapSource()];
  source.write(expandedRow('a'));
  let isOpen = false;
  let looks = 0;
  source.before = () => {
    looks += 1;
    if (!isOpen) throw new Error('the database cannot be reached');
  };
  const feeder: MapFeeder = new MapFeeder({ source, clock });
  const leases = new LeaseBook({ store: new MemoryLeaseStore(), clock });
  const snapshot = new MapSnapshotFile({ path: join(folder, 'map.snapshot'), origin: 'here', feeder, clock, ageMaxMs: 600_000, onReport: () => {} });
  const entry = new AnsweringEntry({ store: new MemoryAnsweringProcesses(), id: 'me', name: 'a lookup', clock, removalWaitMs: 60_000 });
  const beats = new AnsweringBeats({ entry, feeder, leases, disk: snapshot, placeOf: (position) => BigInt(position as number), clock, onFailure: () => {} });
  const { promise: opened, resolve } = Promise.withResolvers<void>();
  const following = new MapFollowing(feeder, leases, snapshot, entry, beats, new DatabaseOpening(opened), clock, createLogger('silent'), new Metrics());
  const open = (): void => {
    isOpen = true;
    resolve();
  };
  return { following, open, looks: () => looks };
}

describe('following the database', () => {
  it('begins the moment that the database is open, however long it could not be reached', async () => {
    const { following, open, looks } = startAway();
    await following.onModuleInit();
    following.onApplicationBootstrap();
    try {
      await eventually('it has looked in vain', () => looks() > 0);
      expect(following.loaded).toBe(false);
      open();
      // No time passes on this clock: nothing but the opening has it look again.
      await eventually('the map is loaded', () => following.loaded, { withinMs: 5000 });
    } finally {
      await following.onApplicationShutdown();
    }
  });
});
