import { afterEach, describe, expect, it } from 'vitest';

import { eventually } from '../../../../test/e2e/support/eventually.js';
import { LoopLoad } from './loop-load.js';

const LATE_MAX_MS = 2000;
let load: LoopLoad;
afterEach(() => load.onApplicationShutdown());

function block(ms: number): void {
  const endsAt = performance.now() + ms;
  while (performance.now() < endsAt);
}

describe('the load of the event loop', () => {
  it('is seen while it lasts and for a moment after, and then is over', async () => {
    load = new LoopLoad(LATE_MAX_MS);
    load.onApplicationBootstrap();
    block(LATE_MAX_MS + 100);
    expect(load.isLoaded).toBe(true);
    await new Promise((resolve) => setImmediate(resolve));
    await eventually('the load is over', () => !load.isLoaded);
  });

  it('is none while nobody looks', () => {
    load = new LoopLoad(LATE_MAX_MS);
    expect(load.isLoaded).toBe(false);
    load.onApplicationBootstrap();
    load.onApplicationShutdown();
    block(100);
    expect(load.isLoaded).toBe(false);
  });
});
