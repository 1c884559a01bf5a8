import { describe, expect, it } from 'vitest';

import { ManualClock } from '#clock/testing';

import { type Claimed, type ClaimRequest, ClaimSource, type Postponement } from './claim.js';
import { ClaimLoop, type ClaimLoopOptions } from './claim-loop.js';

/** Work that is a list of names, in memory. */
class NameSource extends ClaimSource<string> {
  readonly waiting: string[];
  readonly held = new Map<string, Claimed<string>>();
  readonly postponed: (Postponement & { readonly name: string })[] = [];
  readonly released: string[] = [];
  readonly lost = new Set<string>();
  #next = 1;

  constructor(...waiting: string[]) {
    super();
    this.waiting = waiting;
  }

  claim({ owner, limit, now, leaseMs }: ClaimRequest): Promise<Claimed<string>[]> {
    const taken = this.waiting.splice(0, limit).map((item) => {
      const claimed = { item, claim: { id: `claim-${this.#next++}`, owner, expiresAt: new Date(now.getTime() + leaseMs), attempt: 1 } };
      this.held.set(claimed.claim.id, claimed);
      return claimed;
    });
    return Promise.resolve(taken);
  }

  renew(claimIds: readonly string[]): Promise<Set<string>> {
    return Promise.resolve(new Set(claimIds.filter((id) => this.held.has(id) && !this.lost.has(this.held.get(id)?.item ?? ''))));
  }

  release(claimId: string): Promise<boolean> {
    this.released.push(this.held.get(claimId)?.item ?? '');
    return Promise.resolve(this.held.delete(claimId));
  }

  postpone(claimId: string, postponement: Postponement): Promise<boolean> {
    this.postponed.push({ name: this.held.get(claimId)?.item ?? '', ...postponement });
    return Promise.resolve(this.held.delete(claimId));
  }
}

function loopOver(source: NameSource, clock: ManualClock, work: ClaimLoopOptions<string>['work'], concurrency = 2) {
  const ends: string[] = [];
  const loop = new ClaimLoop<string>({
    name: 'test', owner: 'me', source, work, clock, concurrency, leaseMs: 3000, pollMs: 1000,
    backoff: { triesMax: 1, firstWaitMs: 100, waitMaxMs: 1000, askedWaitMaxMs: 0 },
    onEnd: ({ item, outcome }) => ends.push(`${item ?? '-'} ${outcome}`),
  });
  return { loop, ends };
}

/** Lets everything that is ready run: promises settle in microtasks, of which a macrotask waits for all. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a claim loop', () => {
  it('runs all work there is, never more at once than it may', async () => {
    const clock = new ManualClock();
    const source = new NameSource('a', 'b', 'c', 'd', 'e');
    let running = 0;
    let most = 0;
    const { loop, ends } = loopOver(source, clock, async () => {
      running += 1;
      most = Math.max(most, running);
      await settle();
      running -= 1;
    });
    loop.start();
    for (let turn = 0; turn < 20; turn += 1) await settle();
    expect(ends.toSorted()).toEqual(['a settled', 'b settled', 'c settled', 'd settled', 'e settled']);
    expect(most).toBe(2);
    await loop.stop(0);
  });

  it('finds new work at the next poll, or at once when nudged', async () => {
    const clock = new ManualClock();
    const source = new NameSource();
    const { loop, ends } = loopOver(source, clock, () => Promise.resolve());
    loop.start();
    await settle();
    source.waiting.push('polled');
    await settle();
    expect(ends).toEqual([]);
    await clock.advance(1000);
    await settle();
    expect(ends).toEqual(['polled settled']);
    source.waiting.push('nudged');
    loop.nudge();
    await settle();
    expect(ends).toEqual(['polled settled', 'nudged settled']);
    await loop.stop(0);
  });

  it('gives failed work back for later, with the reason', async () => {
    const clock = new ManualClock();
    const source = new NameSource('a');
    const { loop, ends } = loopOver(source, clock, () => Promise.reject(new Error('share is down')));
    loop.start();
    await settle();
    expect(ends).toEqual(['a postponed']);
    expect(source.postponed).toMatchObject([{ name: 'a', reason: 'share is down', now: clock.now() }]);
    expect(source.postponed[0]?.waitMs).toBeGreaterThan(0);
    await loop.stop(0);
  });

  it('aborts work whose claim was lost, and does not give it back', async () => {
    const clock = new ManualClock();
    const source = new NameSource('a');
    const { loop, ends } = loopOver(source, clock, (_claimed, signal) => new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))));
    loop.start();
    await settle();
    source.lost.add('a');
    await clock.advance(1000);
    await settle();
    expect(ends).toEqual(['a lost']);
    expect(source.released).toEqual([]);
    await loop.stop(0);
  });

  it('lets running work finish when it stops in time, and claims nothing more', async () => {
    const clock = new ManualClock();
    const source = new NameSource('a');
    let finish = (): void => undefined;
    const { loop, ends } = loopOver(source, clock, () => new Promise((resolve) => (finish = resolve)));
    loop.start();
    await settle();
    const stopped = loop.stop(60_000);
    source.waiting.push('b');
    finish();
    await stopped;
    expect(ends).toEqual(['a settled']);
    expect(source.waiting).toEqual(['b']);
  });

  it('releases work that does not finish in time, so that another worker takes it at once', async () => {
    const clock = new ManualClock();
    const source = new NameSource('a');
    const { loop, ends } = loopOver(source, clock, (_claimed, signal) => new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))));
    loop.start();
    await settle();
    const stopped = loop.stop(5000);
    await settle();
    await clock.advance(5000);
    await stopped;
    expect(ends).toEqual(['a released']);
    expect(source.released).toEqual(['a']);
  });

  it('goes on after the database refused to give out work', async () => {
    const clock = new ManualClock();
    const source = new NameSource();
    const claim = source.claim.bind(source);
    let broken = true;
    source.claim = (request) => (broken ? Promise.reject(new Error('database is down')) : claim(request));
    const { loop, ends } = loopOver(source, clock, () => Promise.resolve());
    loop.start();
    await settle();
    expect(ends).toEqual(['- lost']);
    broken = false;
    source.waiting.push('a');
    await clock.advance(1000);
    await settle();
    expect(ends).toEqual(['- lost', 'a settled']);
    await loop.stop(0);
  });
});
