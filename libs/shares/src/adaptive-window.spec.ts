import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { AdaptiveWindow, type WindowBounds } from './adaptive-window.js';

const BOUNDS: WindowBounds = { min: 2, start: 8, max: 64 };

/** A link that carries a piece in `serviceMs`, one after the other, behind `delayMs` of distance, and refuses what finds `queueMax` before it. */
interface ModelLink {
  readonly serviceMs: number;
  readonly delayMs: number;
  readonly queueMax: number;
}

interface Flight {
  readonly startedAtMs: number;
  readonly endsAtMs: number;
  readonly refused: boolean;
  readonly windowFull: boolean;
  readonly owner: AdaptiveWindow;
}

/** Keeps every window full of calls over one link until `untilMs`; answers what the link carried, and how it went, in the second half. */
function drive(windows: readonly AdaptiveWindow[], link: ModelLink, untilMs: number, fromMs = 0): { busyRatio: number; refused: number; meanLatencyMs: number; meanSizes: number[] } {
  const flights: Flight[] = [];
  let freeAtMs = fromMs;
  const halfMs = (fromMs + untilMs) / 2;
  const seen = { busyMs: 0, refused: 0, latencyMs: 0, calls: 0, sizes: windows.map(() => 0) };
  const launch = (owner: AdaptiveWindow, nowMs: number): void => {
    const own = flights.filter((flight) => flight.owner === owner).length;
    const refused = (freeAtMs - nowMs) / link.serviceMs > link.queueMax;
    if (!refused) freeAtMs = Math.max(freeAtMs, nowMs) + link.serviceMs;
    const endsAtMs = (refused ? nowMs : freeAtMs) + link.delayMs;
    flights.push({ startedAtMs: nowMs, endsAtMs, refused, windowFull: own + 1 >= owner.size, owner });
  };
  const fill = (nowMs: number): void => {
    for (const owner of windows) while (flights.filter((flight) => flight.owner === owner).length < owner.size) launch(owner, nowMs);
  };
  fill(fromMs);
  for (;;) {
    flights.sort((a, b) => a.endsAtMs - b.endsAtMs);
    const next = flights.shift()!;
    const nowMs = next.endsAtMs;
    if (nowMs > untilMs) break;
    const call = { startedAtMs: next.startedAtMs, endedAtMs: nowMs, windowFull: next.windowFull, bulk: true };
    if (next.refused) next.owner.throttled(call);
    else next.owner.served(call);
    if (nowMs > halfMs) {
      if (next.refused) seen.refused += 1;
      else seen.busyMs += link.serviceMs;
      seen.latencyMs += nowMs - next.startedAtMs;
      seen.calls += 1;
      for (const [n, window] of windows.entries()) seen.sizes[n]! += window.size;
    }
    fill(nowMs);
  }
  return { busyRatio: seen.busyMs / (untilMs - halfMs), refused: seen.refused / seen.calls, meanLatencyMs: seen.latencyMs / seen.calls, meanSizes: seen.sizes.map((sum) => sum / seen.calls) };
}

describe('an adaptive window', () => {
  it.each([
    ['50 MB/s, near', { serviceMs: 84, delayMs: 5, queueMax: 1000 }],
    ['50 MB/s, 80 ms away', { serviceMs: 84, delayMs: 80, queueMax: 1000 }],
    ['200 MB/s, 80 ms away', { serviceMs: 21, delayMs: 80, queueMax: 1000 }],
    ['400 MB/s, 300 ms away', { serviceMs: 10.5, delayMs: 300, queueMax: 1000 }],
    ['200 MB/s, refusing what queues', { serviceMs: 21, delayMs: 80, queueMax: 12 }],
  ])('fills a link of %s, and queues little', (_title, link) => {
    const { busyRatio, meanLatencyMs, refused } = drive([new AdaptiveWindow(BOUNDS)], link, 120_000);
    expect(busyRatio).toBeGreaterThan(0.95);
    expect(meanLatencyMs).toBeLessThan(Math.max(300, 5 * (BOUNDS.min * link.serviceMs + link.delayMs)));
    expect(refused).toBeLessThan(0.05);
  });

  it('comes to share a bottleneck that throttles with others, and soon after they began', () => {
    const early = new AdaptiveWindow(BOUNDS);
    drive([early], { serviceMs: 20, delayMs: 80, queueMax: 20 }, 30_000);
    const late = new AdaptiveWindow(BOUNDS);
    const { meanSizes, busyRatio } = drive([early, late], { serviceMs: 20, delayMs: 80, queueMax: 20 }, 230_000, 30_000);
    expect(busyRatio).toBeGreaterThan(0.9);
    expect(Math.min(...meanSizes) / Math.max(...meanSizes)).toBeGreaterThan(0.5);
  });

  it('takes all refusals of one round for one', () => {
    const window = new AdaptiveWindow({ min: 1, start: 32, max: 64 });
    for (let n = 0; n < 32; n += 1) window.throttled({ startedAtMs: n, endedAtMs: 100 + n, windowFull: true, bulk: true });
    expect(window.size).toBe(16);
    window.throttled({ startedAtMs: 200, endedAtMs: 300, windowFull: true, bulk: true });
    expect(window.size).toBe(8);
  });

  it('does not grow while it is not used', () => {
    const window = new AdaptiveWindow(BOUNDS);
    for (let n = 0; n < 1000; n += 1) window.served({ startedAtMs: n, endedAtMs: n + 1, windowFull: false, bulk: false });
    expect(window.size).toBe(BOUNDS.start);
  });

  it('takes a route that has become longer for what it is after a minute', () => {
    const window = new AdaptiveWindow(BOUNDS);
    drive([window], { serviceMs: 1, delayMs: 60, queueMax: 1000 }, 20_000);
    let nowMs = 20_000;
    const longer = (): void => {
      nowMs += 400;
      window.served({ startedAtMs: nowMs - 400, endedAtMs: nowMs, windowFull: true, bulk: true });
    };
    for (let n = 0; n < 100; n += 1) longer();
    const narrow = window.size;
    for (let n = 0; n < 1000; n += 1) longer();
    expect(window.size).toBeGreaterThan(narrow);
  });

  it('stays within its bounds, whatever happens', () => {
    const event = fc.record({ refused: fc.boolean(), lengthMs: fc.integer({ min: 0, max: 100_000 }), gapMs: fc.integer({ min: -1000, max: 100_000 }), windowFull: fc.boolean(), bulk: fc.boolean() });
    fc.assert(
      fc.property(fc.array(event, { maxLength: 200 }), (events) => {
        const window = new AdaptiveWindow(BOUNDS);
        let nowMs = 0;
        for (const { refused, lengthMs, gapMs, ...rest } of events) {
          nowMs += gapMs;
          const call = { startedAtMs: nowMs, endedAtMs: nowMs + lengthMs, ...rest };
          if (refused) window.throttled(call);
          else window.served(call);
          expect(Number.isInteger(window.size)).toBe(true);
          expect(window.size).toBeGreaterThanOrEqual(BOUNDS.min);
          expect(window.size).toBeLessThanOrEqual(BOUNDS.max);
        }
      }),
    );
  });
});
