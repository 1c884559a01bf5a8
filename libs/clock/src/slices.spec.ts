import { describe, expect, it } from 'vitest';

import { atOnce, foundInSlices, inSlices, SLICE_MAX_MS } from './slices.js';

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

  it('gives what it comes to on the way, in order, each as soon as it is there', async () => {
    const began: string[] = [];
    const found: string[] = [];
    const steps = (function* (): Generator<string | undefined, void> {
      for (const name of ['first', 'second', 'third']) {
        began.push(name);
        yield* counting(3, 0.1) as Generator<undefined>;
        yield name;
        yield;
      }
    })();
    for await (const name of foundInSlices(steps)) {
      found.push(name);
      expect(began).toEqual(found);
    }
    expect(found).toEqual(['first', 'second', 'third']);
  });

  it('has what waits done before each that it comes to, however short its steps', async () => {
    let turns = 0;
    const count = (): unknown => setImmediate(() => (turns += 1));
    count();
    for await (const before of foundInSlices((function* () {
      for (let n = 0; n < 5; n += 1) yield n;
    })())) {
      expect(turns).toBe(before + 1);
      count();
    }
  });

  it('passes on what is thrown in the middle', async () => {
    await expect(inSlices((function* () {
      yield;
      throw new Error('the middle');
    })())).rejects.toThrow('the middle');
  });
});
