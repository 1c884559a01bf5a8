import { describe, expect, it } from 'vitest';

import { runUntilEnded } from './run-until-ended.js';

const never = new Promise<never>(() => undefined);
const goneDatabase = (): Promise<never> => Promise.reject(new Error('the embedded database ended with code 1'));

async function run(service: { failed: Promise<never>; stop: () => Promise<void> }, asked: Promise<unknown> = never): Promise<{ well: boolean; told: string[] }> {
  const told: string[] = [];
  const well = await runUntilEnded(service, { asked, stopMaxMs: 20, complain: (line) => told.push(line) });
  return { well, told };
}

describe('a running service', () => {
  it('that is asked to stop ends well', async () => {
    expect(await run({ failed: never, stop: () => Promise.resolve() }, Promise.resolve('SIGTERM'))).toEqual({ well: true, told: [] });
  });

  it('that cannot go on says why, and is stopped', async () => {
    let stopped = 0;
    const { well, told } = await run({ failed: goneDatabase(), stop: async () => void (stopped += 1) });
    expect([well, stopped]).toEqual([false, 1]);
    expect(told).toEqual([expect.stringMatching(/^the service ended: .*the embedded database ended with code 1/)]);
  });

  it('whose stop never comes to an end is not waited for longer than the bound', async () => {
    const { well, told } = await run({ failed: goneDatabase(), stop: () => never });
    expect(well).toBe(false);
    expect(told).toEqual([expect.stringContaining('the service ended'), expect.stringMatching(/did not stop well: .*longer than 20 ms/)]);
  });

  it('whose stop fails says so', async () => {
    const { well, told } = await run({ failed: never, stop: () => Promise.reject(new Error('the lock is gone')) }, Promise.resolve('SIGTERM'));
    expect([well, told]).toEqual([false, [expect.stringContaining('the lock is gone')]]);
  });
});
