import { describe, expect, it } from 'vitest';

import { atOnce, inSlices, SLICE_MAX_MS } from './slices.js';

/** Takes `stepMs` for each of `count` steps, and comes to their sum. */
function* counting(count: number, stepMs: number): Generator<void, number> {
  let sum = 0;
  for (let n = 0; n < count; n += 1) {
    for (const endMs = performance.now() + stepMs; performance.now() < endMs; );
    sum += n;
    yield;
  }
  return sum;
}

describe('a calculation in slices', () => {
  it('comes to what it comes to at once', async () => {
    expect([await inSlices(counting(50, 0)), atOnce(counting(50, 0))]).toEqual([1225, 1225]);
  });

  it.each([
    ['after every slice', 12 * SLICE_MAX_MS, 1, 10, Number.POSITIVE_INFINITY],
    ['not after every step', 100_000, 0, 0, 50_000],
  ])('lets everything else go on %s', async (_when, steps, stepMs, least, most) => {
    let turns = 0;
    let isDone = false;
    const others = (async () => {
      while (!isDone) {
        await new Promise((resolve) => setImmediate(resolve));
        turns += 1;
      }
    })();
    await inSlices(counting(steps, stepMs)).finally(() => (isDone = true));
    await others;
    expect(turns).toBeGreaterThanOrEqual(least);
    expect(turns).toBeLessThan(most);
  });

  it('passes on what is thrown in the middle', async () => {
    await expect(inSlices((function* () {
      yield;
      throw new Error('the middle');
    })())).rejects.toThrow('the middle');
  });
});
