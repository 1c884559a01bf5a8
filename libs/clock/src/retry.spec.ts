import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { jitteredWaitMs, parseRetryAfterMs, retrying, type RetryPolicy } from './retry.js';
import { ManualClock } from './testing/index.js';

const POLICY: RetryPolicy = { triesMax: 4, firstWaitMs: 100, waitMaxMs: 1000, askedWaitMaxMs: 30_000 };

/** Runs `call` under the policy, moving the clock whenever everybody sleeps; answers the waits that were made. */
async function waitsOf(call: (tryNumber: number) => Promise<unknown>, askedWaitMs?: number, retry = true) {
  const clock = new ManualClock();
  const start = clock.now().getTime();
  const waits: number[] = [];
  let last = start;
  const done = retrying({ clock, policy: POLICY, judge: () => ({ retry, askedWaitMs }), random: () => 0.5 }, (tryNumber) => {
    waits.push(clock.now().getTime() - last);
    last = clock.now().getTime();
    return call(tryNumber);
  }).then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  const turns = async (): Promise<void> => {
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
  };
  await turns();
  while (clock.sleeperCount > 0) {
    await clock.advance(1);
    await turns();
  }
  return { waits: waits.slice(1), ...(await done) };
}

describe('retrying', () => {
  it('doubles the bound of its waits up to the policy’s tries, then throws the last failure', async () => {
    const result = await waitsOf((tryNumber) => Promise.reject(new Error(`try ${tryNumber}`)));
    expect(result).toMatchObject({ waits: [50, 100, 200], error: { message: 'try 4' } });
  });

  it('waits as long as the other side asks, and gives up where it asks for too long', async () => {
    expect((await waitsOf(() => Promise.reject(new Error('busy')), 5000)).waits).toEqual([5000, 5000, 5000]);
    expect((await waitsOf(() => Promise.reject(new Error('busy')), 30_001)).waits).toEqual([]);
  });

  it('begins no try after the policy’s time in all, also when tries themselves take long', async () => {
    const clock = new ManualClock();
    const started = clock.now().getTime();
    const begun: number[] = [];
    const policy = { ...POLICY, triesMax: 100, totalMaxMs: 2500 };
    const done = retrying({ clock, policy, judge: () => ({ retry: true }), random: () => 0 }, async () => {
      begun.push(clock.now().getTime() - started);
      await clock.advance(1000);
      throw new Error('slow');
    }).catch((error: unknown) => error);
    while (begun.length < 3) {
      await clock.advance(0);
      await Promise.resolve();
    }
    expect(await done).toMatchObject({ message: 'slow' });
    expect(begun).toEqual([0, 1000, 2000]);
  });

  it('does not repeat a final failure', async () => {
    expect((await waitsOf(() => Promise.reject(new Error('no')), undefined, false)).waits).toEqual([]);
  });

  it('stops with the signal’s reason', async () => {
    const clock = new ManualClock();
    const abort = new AbortController();
    const done = retrying({ clock, policy: POLICY, judge: () => ({ retry: true }), signal: abort.signal }, () => Promise.reject(new Error('busy')));
    abort.abort(new Error('enough'));
    await expect(done).rejects.toThrow('enough');
  });

  it('never waits longer than its bound', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1000 }), fc.double({ min: 0, max: 0.999, noNaN: true }), (tryNumber, draw) => {
        const wait = jitteredWaitMs(POLICY, tryNumber, draw);
        expect(wait).toBeGreaterThanOrEqual(0);
        expect(wait).toBeLessThan(POLICY.waitMaxMs);
      }),
    );
  });
});

describe('Retry-After', () => {
  const now = new Date('2026-01-01T00:00:00Z');

  it('is read as seconds or as a date, never negative', () => {
    expect(parseRetryAfterMs('120', now)).toBe(120_000);
    expect(parseRetryAfterMs('Thu, 01 Jan 2026 00:00:30 GMT', now)).toBe(30_000);
    expect(parseRetryAfterMs('Wed, 31 Dec 2025 00:00:00 GMT', now)).toBe(0);
  });

  it.each([null, undefined, '', 'soon', '-5x'])('is nothing when it is %j', (header) => {
    expect(parseRetryAfterMs(header, now)).toBeUndefined();
  });
});
