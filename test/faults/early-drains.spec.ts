import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { MINUTE_MS, SECOND_MS } from '#quantities';

import { AnsweringWorld, DrainWorld, STALE_MAX_MS, TTL_MS } from './drain-world.js';

const LAYERS = ['a', 'b'];

/** Two processes answer: `steps` are what happens to them, in order. */
type Does = 'follow' | 'flush' | 'beat' | 'write' | 'restart' | 'crash' | 'cut' | 'mend';
type Step =
  | { readonly of: 0 | 1; readonly does: Does }
  | { readonly of: 0 | 1; readonly does: 'answer'; readonly layer: string }
  | { readonly layer: string; readonly does: 'drain' | 'order' }
  | { readonly ms: number; readonly does: 'wait' }
  | { readonly does: 'remove' };

async function play(steps: readonly Step[]): Promise<DrainWorld> {
  const world = new DrainWorld(LAYERS);
  await world.fill();
  const processes = [new AnsweringWorld(world), new AnsweringWorld(world)];
  for (const step of steps) {
    if (step.does === 'wait') await world.clock.advance(step.ms);
    else if (step.does === 'remove') await world.removeWhatIsDue();
    else if (step.does === 'answer') await processes[step.of]!.answer(step.layer);
    else if ('layer' in step) await world[step.does](step.layer);
    else await processes[step.of]![step.does]();
    expect(world.wrongs).toEqual([]);
  }
  return world;
}

const all = (does: Does): Step[] => [{ of: 0, does }, { of: 1, does }];
const wait = (ms: number): Step => ({ ms, does: 'wait' });
const REMOVE: Step = { does: 'remove' };
/** What happens every few seconds where nothing is wrong; maps are written less often. */
const TICK: readonly Step[] = [...all('follow'), ...all('flush'), ...all('beat'), REMOVE, wait(5 * SECOND_MS)];
/** The same before leases are written in their turn. */
const LEARN: readonly Step[] = [...all('follow'), ...all('write'), ...all('beat'), REMOVE];
const answer = (of: 0 | 1): Step => ({ of, does: 'answer', layer: 'a' });
const DRAIN: Step = { layer: 'a', does: 'drain' };
/** As long as it takes without knowing anything. */
const GRACE_MS = STALE_MAX_MS + TTL_MS;

describe('a replica that drains', () => {
  it('goes within seconds when all that answer know, unless a node holds it', async () => {
    const unheld = await play([...TICK, DRAIN, ...TICK, ...TICK]);
    expect([unheld.endedEarly, unheld.removed]).toEqual([1, 1]);
    const held = await play([...TICK, answer(0), DRAIN, ...TICK, ...TICK]);
    expect([held.endedEarly, held.removed]).toEqual([1, 0]);
  });

  it('stays as long as it ever did when one of them was cut off right before', async () => {
    const minutes = (count: number): Step[] => Array.from({ length: count * 3 }, () => [answer(1), ...TICK, wait(15 * SECOND_MS)]).flat();
    const cutOff: Step[] = [...TICK, { of: 1, does: 'cut' }, DRAIN, answer(1)];
    const before = await play([...cutOff, ...minutes(GRACE_MS / MINUTE_MS - 1)]);
    expect([before.endedEarly, before.removed]).toEqual([0, 0]);
    const over = await play([...cutOff, ...minutes(GRACE_MS / MINUTE_MS + 1)]);
    expect(over.removed).toBe(1);
  });

  const of = fc.constantFrom<0 | 1>(0, 1);
  const layer = fc.constantFrom(...LAYERS);
  const steps: fc.Arbitrary<readonly Step[]> = fc.oneof(
    { weight: 8, arbitrary: fc.constant(TICK) },
    { weight: 8, arbitrary: fc.record({ of, does: fc.constantFrom<Does>('follow', 'flush', 'beat', 'write') }).map((step) => [step]) },
    { weight: 5, arbitrary: fc.record({ of, layer, does: fc.constant('answer' as const) }).map((step) => [step]) },
    { weight: 3, arbitrary: fc.constant(LEARN) },
    { weight: 3, arbitrary: fc.record({ of, does: fc.constantFrom<Does>('restart', 'crash', 'cut', 'mend') }).map((step) => [step]) },
    { weight: 4, arbitrary: fc.record({ layer, does: fc.constantFrom('drain' as const, 'drain' as const, 'order' as const) }).map((step) => [step]) },
    { weight: 2, arbitrary: fc.constantFrom(SECOND_MS, 16 * SECOND_MS, 29 * SECOND_MS).map((ms) => [wait(ms)]) },
    { weight: 1, arbitrary: fc.constantFrom(5 * MINUTE_MS, TTL_MS + MINUTE_MS, GRACE_MS).map((ms) => [...all('mend'), wait(ms)]) },
    // Of one process: cut off or not, it dies and its successor answers.
    { weight: 1, arbitrary: fc.record({ of, isCut: fc.boolean(), ends: fc.constantFrom<Does>('crash', 'restart') }).map(({ of: which, isCut, ends }): Step[] => [
      ...(isCut ? [{ of: which, does: 'cut' } as const] : []), { of: which, does: ends }, answer(which),
    ]) },
  );

  it('never goes while a node may hold it, nor is handed out when it is gone, whatever is cut, crashes, lags or is lost', async () => {
    let endedEarly = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(steps, { minLength: 20, maxLength: 60 }), async (some) => {
        endedEarly += (await play(some.flat())).endedEarly;
      }),
      { numRuns: 300 },
    );
    // Otherwise it would say nothing.
    expect(endedEarly).toBeGreaterThan(20);
  });
});
