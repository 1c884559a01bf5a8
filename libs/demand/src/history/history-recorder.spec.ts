import { beforeEach, describe, expect, it } from 'vitest';

import { ManualClock } from '#clock/testing';
import { digestOf } from '#oci';

import { MemoryPullHistory } from '../testing/memory-pull-history.js';
import { HistoryRecorder } from './history-recorder.js';
import { HISTORY_LINES_MAX, type HistoryBatch } from './pull-history.js';

const IMAGE = digestOf('image');

describe('a recorder of history', () => {
  let clock: ManualClock;
  let history: MemoryPullHistory;
  const failures: unknown[] = [];
  const recorder = (tell: boolean, kept = history) => new HistoryRecorder({ history: kept, clock, flushEveryMs: 1000, tell, onFailure: (error) => failures.push(error) });
  const pull = (client: string, region = 'eastus') => ({ region, repository: 'team/app', image: IMAGE, at: clock.now(), clientHash: client });
  const total = async (region = 'eastus') => (await history.totals(region, [{ repository: 'team/app', digest: IMAGE }]))[0];
  const told = async () => (await history.events({ since: new Date(0), until: new Date(8e15), limit: 100 })).events;
  beforeEach(() => {
    clock = new ManualClock();
    history = new MemoryPullHistory();
    failures.length = 0;
  });

  it('counts pulls, and tells them one by one only where it is asked to', async () => {
    const [silent, telling] = [recorder(false), recorder(true)];
    for (const client of ['a', 'b']) silent.record(pull(client));
    telling.record(pull('c', 'westus'));
    expect([await silent.flush(), await telling.flush(), await telling.flush()]).toEqual([true, true, true]);
    expect([await total(), await total('westus')]).toEqual([2, 1]);
    expect(await told()).toEqual([{ kind: 'pull', at: clock.now(), region: 'westus', repository: 'team/app', image: IMAGE, client: 'c' }]);
  });

  it('doubles nothing when it is not told whether a batch was kept', async () => {
    const deaf = new (class extends MemoryPullHistory {
      isDeaf = true;

      override async keep(batch: HistoryBatch, now: Date): ReturnType<MemoryPullHistory['keep']> {
        const outcome = await super.keep(batch, now);
        if (this.isDeaf) throw new Error('the answer was lost');
        return outcome;
      }
    })();
    history = deaf;
    const of = recorder(true, deaf);
    of.record(pull('a'));
    expect(await of.flush()).toBe(false);
    of.record(pull('b'));
    deaf.isDeaf = false;
    expect(await of.flush()).toBe(true);
    expect([await total(), (await told()).map(({ client }) => client), failures.length]).toEqual([2, ['a', 'b'], 1]);
  });

  it('writes by itself, and once more when it stops', async () => {
    const of = recorder(false);
    of.start();
    of.record(pull('a'));
    await clock.advance(1000);
    await new Promise((resolve) => setImmediate(resolve));
    expect(await total()).toBe(1);
    of.record(pull('b'));
    expect(await of.stop()).toBe(true);
    expect(await total()).toBe(2);
  });

  it('goes on counting when there are more pulls than it may tell, and says how many it did not', async () => {
    const of = recorder(true);
    for (let n = 0; n < HISTORY_LINES_MAX + 3; n += 1) of.record(pull(`client ${n}`));
    await of.flush();
    expect([await total(), of.losses]).toEqual([HISTORY_LINES_MAX + 3, { pulls: 0, lines: 3 }]);
  });
});
