import { describe, expect, it } from 'vitest';

import { ManualClock } from '#clock/testing';
import { digestOf } from '#oci';
import { SECOND_MS } from '#quantities';

import { DemandRecorder } from './demand-recorder.js';
import type { DemandBatch, MergeOutcome } from './demand-store.js';
import { ObservationBuffer } from './observation-buffer.js';
import { MemoryDemandStore } from './testing/memory-demand-store.js';

const KEY = { region: 'eastus', repository: 'team/app', image: digestOf('image') };

/** A real store whose connection can be cut: before a merge reaches it, or before its answer comes back. */
class CutStore extends MemoryDemandStore {
  cut: 'request' | 'answer' | undefined;
  readonly offered: string[] = [];

  override async merge(batch: DemandBatch, now: Date): Promise<MergeOutcome> {
    this.offered.push(batch.batchId);
    if (this.cut === 'request') throw new Error('connection refused');
    const outcome = await super.merge(batch, now);
    if (this.cut === 'answer') throw new Error('connection reset');
    return outcome;
  }
}

function open(keysMax = 100): { clock: ManualClock; store: CutStore; buffer: ObservationBuffer; recorder: DemandRecorder; pull: () => void; flushes: string[] } {
  const clock = new ManualClock('2026-05-01T12:00:00.000Z');
  const store = new CutStore();
  const buffer = new ObservationBuffer({ keysMax });
  const flushes: string[] = [];
  const recorder = new DemandRecorder({
    buffer, store, clock, flushEveryMs: 5 * SECOND_MS, onFlush: (flush) => flushes.push('outcome' in flush ? flush.outcome : String(flush.error)),
  });
  return { clock, store, buffer, recorder, flushes, pull: () => recorder.observe({ ...KEY, at: clock.now() }) };
}

/** Lets promises that are ready run. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a demand recorder', () => {
  it('merges every few seconds, and nothing when nothing was pulled', async () => {
    const { clock, store, recorder, pull } = open();
    recorder.start();
    recorder.start();
    pull();
    await clock.advance(5 * SECOND_MS);
    await settle();
    await clock.advance(5 * SECOND_MS);
    await settle();
    expect(store.offered).toHaveLength(1);
    expect((await store.weightsOfImage(KEY, clock.now()))[1]).toBeCloseTo(1, 3);
    await recorder.stop();
    expect(clock.sleeperCount).toBe(0);
  });

  it('loses nothing while the database is away', async () => {
    const { clock, store, recorder, pull, flushes } = open();
    store.cut = 'request';
    for (let n = 0; n < 7; n += 1) {
      pull();
      expect(await recorder.flush()).toBe(false);
    }
    store.cut = undefined;
    expect(await recorder.flush()).toBe(true);
    expect((await store.weightsOfImage(KEY, clock.now()))[1]).toBe(7);
    expect(flushes).toEqual([...Array<string>(7).fill('Error: connection refused'), 'merged', 'merged']);
  });

  it('doubles nothing when the answer to a merge is lost', async () => {
    const { clock, store, recorder, pull, flushes } = open();
    pull();
    store.cut = 'answer';
    expect(await recorder.flush()).toBe(false);
    pull();
    expect(await recorder.flush()).toBe(false);
    store.cut = undefined;
    expect(await recorder.flush()).toBe(true);
    expect((await store.weightsOfImage(KEY, clock.now()))[1]).toBe(2);
    expect(new Set(store.offered).size).toBe(2);
    expect(flushes.slice(-2)).toEqual(['repeated', 'merged']);
  });

  it('stays within its bound while the database is away, and says what went', async () => {
    const { store, buffer, recorder, clock } = open(10);
    store.cut = 'request';
    for (let n = 0; n < 200; n += 1) {
      recorder.observe({ ...KEY, repository: `team/app-${n}`, at: clock.now() });
      await recorder.flush();
    }
    store.cut = undefined;
    await recorder.flush();
    const stored = (await store.snapshot(clock.now())).counts.length;
    expect(stored).toBeLessThanOrEqual(11);
    expect(stored + buffer.losses.keys).toBe(200);
  });

  it('shares one attempt between calls at the same time', async () => {
    const { store, recorder, pull } = open();
    pull();
    await Promise.all([recorder.flush(), recorder.flush(), recorder.flush()]);
    expect(store.offered).toHaveLength(1);
  });

  it('merges what is left when it stops, and says when that failed', async () => {
    const { clock, store, recorder, pull } = open();
    recorder.start();
    pull();
    expect(await recorder.stop()).toBe(true);
    expect((await store.weightsOfImage(KEY, clock.now()))[1]).toBe(1);
    const other = open();
    other.store.cut = 'request';
    other.pull();
    expect(await other.recorder.stop()).toBe(false);
  });
});
