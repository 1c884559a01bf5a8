import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { ManualClock } from '#clock/testing';

import { ByteRate } from './byte-rate.js';

describe('a byte rate', () => {
  it('lets through no more than the rate times the time and one call, whatever is asked when', () => {
    const call = fc.record({ bytes: fc.integer({ min: 1, max: 4_194_304 }), pauseMs: fc.integer({ min: 0, max: 5000 }) });
    fc.assert(
      fc.property(fc.integer({ min: 1000, max: 1e9 }), fc.array(call, { minLength: 1, maxLength: 60 }), (bytesPerSecond, calls) => {
        const rate = new ByteRate(bytesPerSecond);
        let nowMs = 1_000_000;
        const passed: { atMs: number; bytes: number }[] = [];
        for (const { bytes, pauseMs } of calls) {
          nowMs += pauseMs;
          passed.push({ atMs: nowMs + rate.waitMsFor(bytes, new Date(nowMs)), bytes });
        }
        for (const [from, first] of passed.entries()) {
          let sum = 0;
          for (const later of passed.slice(from)) {
            const largest = Math.max(...passed.map((each) => each.bytes));
            sum += later.bytes;
            expect(sum - largest).toBeLessThanOrEqual(((later.atMs - first.atMs) / 1000) * bytesPerSecond * (1 + 1e-9) + 1);
          }
        }
      }),
    );
  });

  it('makes callers wait in their order, and lets an idle time pay off no more than one call', async () => {
    const clock = new ManualClock();
    const rate = new ByteRate(1000);
    await rate.take(500, clock);
    await clock.advance(60_000);
    const done: string[] = [];
    await rate.take(500, clock);
    const waiting = ['first', 'second'].map((name) => rate.take(500, clock).then(() => done.push(name)));
    await clock.advance(500);
    expect(done).toEqual(['first']);
    await clock.advance(500);
    await Promise.all(waiting);
    expect(done).toEqual(['first', 'second']);
  });

  it('without a bound never waits', () => {
    for (const unbounded of [undefined, Number.POSITIVE_INFINITY]) expect(new ByteRate(unbounded).waitMsFor(1e12, new Date())).toBe(0);
  });

  it('neither forgives nor adds when the clock steps back', () => {
    const rate = new ByteRate(1000);
    rate.waitMsFor(1000, new Date(100_000));
    expect(rate.waitMsFor(1000, new Date(50_000))).toBe(1000);
    expect(rate.waitMsFor(1000, new Date(50_500))).toBe(1500);
  });

  it('ends a wait with the reason of the signal', async () => {
    const clock = new ManualClock();
    const rate = new ByteRate(1);
    await rate.take(1, clock);
    const stop = new AbortController();
    const waiting = rate.take(1, clock, stop.signal);
    stop.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
  });
});
