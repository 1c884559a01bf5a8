import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { ManualClock } from '#clock/testing';
import { FAILED_PROBES_MAX, GOOD_PROBES_MIN, ShareHealth } from '#mounts';
import { ShareError } from '#shares';
import { MemoryShare } from '#shares/testing';
import { createLogger, Metrics } from '#telemetry';

import { ShareProbing } from './share-probing.js';

let east: MemoryShare;
let west: MemoryShare;
let health: ShareHealth;
let probing: ShareProbing;
let metrics: Metrics;
const clock = new ManualClock();
const lines: string[] = [];

beforeEach(() => {
  [east, west] = [new MemoryShare({ name: 'east', region: 'east' }), new MemoryShare({ name: 'west', region: 'west' })];
  health = new ShareHealth(['east', 'west']);
  metrics = new Metrics();
  lines.length = 0;
  probing = new ShareProbing({ shares: [east, west], health, everyMs: 60_000, clock, metrics, logger: createLogger('info', { write: (line: string) => void lines.push(line) }) });
});
afterEach(() => probing.onApplicationShutdown());

async function probe(times: number): Promise<void> {
  for (let count = 0; count < times; count += 1) await probing.probe();
}

describe('probes of shares', () => {
  it('take a share out that does not answer, say so once, and bring it back by themselves', async () => {
    const failing = (error: Error | undefined) => {
      east.before = async () => {
        if (error !== undefined) throw error;
      };
    };
    failing(new ShareError('SHARE_UNAVAILABLE', 'no answer', { transient: true }));
    await probe(FAILED_PROBES_MAX - 1);
    expect(health.isDown('east', clock.now())).toBe(false);
    await probe(3);
    expect([health.isDown('east', clock.now()), health.isDown('west', clock.now())]).toEqual([true, false]);
    expect(await metrics.text()).toMatch(/translocator_share_up\{region="east"\} 0\n(.*\n)*?translocator_share_up\{region="west"\} 1/);
    failing(undefined);
    await probe(GOOD_PROBES_MIN);
    expect(health.isDown('east', clock.now())).toBe(false);
    expect(lines).toHaveLength(2);
  });

  it('take a share that is busy or denies them for one that is there', async () => {
    for (const code of ['SHARE_BUSY', 'SHARE_DENIED'] as const) {
      east.before = async () => Promise.reject(new ShareError(code, 'not now'));
      await probe(FAILED_PROBES_MAX);
    }
    expect(health.isDown('east', clock.now())).toBe(false);
  });
});
