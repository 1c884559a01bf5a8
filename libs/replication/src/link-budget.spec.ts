import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { ManualClock } from '#clock/testing';
import { DAY_MS, MiB } from '#quantities';

import { LinkBudget, nextDay } from './link-budget.js';
import { MemoryLinkLedger } from './testing/memory-link-ledger.js';

const link = { from: 'westeurope', to: 'eastus' };
const never = new AbortController().signal;

describe('bytes per second', () => {
  it('lets the first piece pass at once and makes the next ones wait for their turn', async () => {
    const clock = new ManualClock();
    const budget = new LinkBudget(() => ({ bytesPerSecond: 4 * MiB }), new MemoryLinkLedger(), clock);
    const passed: number[] = [];
    const all = [0, 1, 2].map((n) => budget.take(link, 4 * MiB, never).then(() => passed.push(n)));
    for (const expected of [[0], [0, 1], [0, 1, 2]]) {
      await new Promise((resolve) => setImmediate(resolve));
      expect(passed).toEqual(expected);
      await clock.advance(1000);
    }
    await Promise.all(all);
  });

  it('never lets more pass in any span of time than the rate times the span, and one piece', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ bytes: fc.integer({ min: 1, max: 1000 }), pauseMs: fc.integer({ min: 0, max: 3000 }) }), { minLength: 1, maxLength: 30 }),
        async (takes) => {
          const clock = new ManualClock();
          const budget = new LinkBudget(() => ({ bytesPerSecond: 500 }), new MemoryLinkLedger(), clock);
          const passed: { atMs: number; bytes: number }[] = [];
          for (const { bytes, pauseMs } of takes) {
            let done = false;
            const taking = budget.take(link, bytes, never).then(() => (done = true));
            for (;;) {
              await new Promise((resolve) => setImmediate(resolve));
              if (done) break;
              await clock.advance(100);
            }
            await taking;
            passed.push({ atMs: clock.now().getTime(), bytes });
            await clock.advance(pauseMs);
          }
          for (let first = 0; first < passed.length; first += 1) {
            let sum = 0;
            for (let last = first; last < passed.length; last += 1) {
              sum += passed[last]!.bytes;
              const spanMs = passed[last]!.atMs - passed[first]!.atMs;
              // A tick of this test is 100 ms: what waited may be seen to pass that much later than it could.
              expect(sum).toBeLessThanOrEqual((500 * (spanMs + 100)) / 1000 + passed[last]!.bytes);
            }
          }
        },
      ),
      { numRuns: 30 },
    );
  });

  it('does not wait for a clock that steps back, only for the bytes before', async () => {
    const clock = new ManualClock();
    const budget = new LinkBudget(() => ({ bytesPerSecond: 1000 }), new MemoryLinkLedger(), clock);
    const passed: number[] = [];
    const take = (n: number): Promise<unknown> => budget.take(link, 1000, never).then(() => passed.push(n));
    const all = [take(0), take(1)];
    clock.stepBack(3_600_000);
    all.push(take(2));
    for (const expected of [[0], [0, 1], [0, 1, 2]]) {
      await new Promise((resolve) => setImmediate(resolve));
      expect(passed).toEqual(expected);
      await clock.advance(1000);
    }
    clock.stepBack(3_600_000);
    all.push(take(3));
    await clock.advance(3000);
    await Promise.all(all);
  });

  it('ends a wait with the reason of the signal', async () => {
    const clock = new ManualClock();
    const budget = new LinkBudget(() => ({ bytesPerSecond: 1 }), new MemoryLinkLedger(), clock);
    const stop = new AbortController();
    await budget.take(link, 1000, stop.signal);
    const waiting = budget.take(link, 1000, stop.signal);
    stop.abort(new Error('shutdown'));
    await expect(waiting).rejects.toThrow('shutdown');
  });

  it('holds for each direction of each link by itself', async () => {
    const budget = new LinkBudget(() => ({ bytesPerSecond: 1 }), new MemoryLinkLedger(), new ManualClock());
    await budget.take(link, 1000, never);
    await budget.take({ from: link.to, to: link.from }, 1000, never);
  });
});

describe('bytes per day', () => {
  it('refuses what the day does not hold, says when to come back, and keeps the promise', async () => {
    const clock = new ManualClock('2026-03-01T23:00:00.000Z');
    const budget = new LinkBudget(() => ({ bytesPerDay: 10 }), new MemoryLinkLedger(), clock);
    await budget.take(link, 6, never);
    await expect(budget.take(link, 6, never)).rejects.toMatchObject({ code: 'LINK_BUDGET_USED', transient: true, details: { retryAt: new Date('2026-03-02T00:00:00.000Z') } });
    await budget.take(link, 4, never);
    await clock.advance(3_600_000);
    await budget.take(link, 6, never);
  });

  it('never lets several workers together pass more than the day’s bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 300 * MiB }), fc.array(fc.integer({ min: 1, max: 4 * MiB }), { maxLength: 150 }), async (bytesPerDay, pieces) => {
        const [clock, ledger] = [new ManualClock(), new MemoryLinkLedger()];
        const workers = [0, 1, 2].map(() => new LinkBudget(() => ({ bytesPerDay }), ledger, clock));
        const passed = await Promise.all(
          pieces.map((bytes, n) => workers[n % 3]!.take(link, bytes, never).then(() => bytes, (error: { code: string }) => (expect(error.code).toBe('LINK_BUDGET_USED'), 0))),
        );
        expect(passed.reduce((sum, bytes) => sum + bytes, 0)).toBeLessThanOrEqual(bytesPerDay);
      }),
      { numRuns: 50 },
    );
  });

  it('does not carry what was left of one day into the next', async () => {
    const [clock, ledger] = [new ManualClock('2026-03-01T12:00:00.000Z'), new MemoryLinkLedger()];
    const budget = new LinkBudget(() => ({ bytesPerDay: 100 }), ledger, clock);
    await budget.take(link, 1, never);
    await clock.advance(DAY_MS);
    await budget.take(link, 100, never);
    await expect(budget.take(link, 1, never)).rejects.toMatchObject({ code: 'LINK_BUDGET_USED' });
  });

  it('writes once for many pieces', async () => {
    const ledger = new MemoryLinkLedger();
    let writes = 0;
    const reserve = ledger.reserve.bind(ledger);
    ledger.reserve = (...args) => ((writes += 1), reserve(...args));
    const budget = new LinkBudget(() => ({ bytesPerDay: 1e12 }), ledger, new ManualClock());
    await Promise.all(Array.from({ length: 32 }, () => budget.take(link, 4 * MiB, never)));
    expect(writes).toBe(2);
  });
});

it('ends the day at midnight in UTC', () => {
  expect(nextDay(new Date('2026-03-01T00:00:00.000Z'))).toEqual(new Date('2026-03-02T00:00:00.000Z'));
  expect(nextDay(new Date('2026-02-28T23:59:59.999Z'))).toEqual(new Date('2026-03-01T00:00:00.000Z'));
});
