import { describe, expect, it } from 'vitest';

import { digestOf } from '#oci';
import { HOUR_MS, MINUTE_MS } from '#quantities';

import { CLIENT_PULLS_PER_HOUR_MAX, ClientLimits, type PullVerdict, REPOSITORY_PULLS_PER_HOUR_MAX } from './client-limits.js';

const FULL_HOUR_MS = Date.parse('2026-05-01T12:00:00.000Z');

interface Pull {
  readonly client?: string;
  readonly repository?: string;
  readonly image?: string;
  readonly region?: string;
  readonly afterMs?: number;
}

function opened(rememberedMax?: number): (pull: Pull) => PullVerdict {
  const limits = new ClientLimits(rememberedMax);
  return ({ client, repository = 'team/app', image = 'image', region = 'eastus', afterMs = 0 }) =>
    limits.take({ region, repository, image: digestOf(image), ...(client === undefined ? {} : { clientHash: client }) }, FULL_HOUR_MS + afterMs);
}

const times = (count: number, pull: (n: number) => PullVerdict): PullVerdict[] => Array.from({ length: count }, (_, n) => pull(n));

describe('the limits of a client', () => {
  it('let three pulls of a repository count within an hour, whatever images they are of', () => {
    const take = opened();
    const verdicts = times(8, (n) => take({ client: 'a', image: `tag ${n}`, afterMs: n * MINUTE_MS }));
    expect(verdicts).toEqual([...Array<string>(REPOSITORY_PULLS_PER_HOUR_MAX).fill('counted'), ...Array<string>(5).fill('capped')]);
    expect(take({ client: 'a', image: 'next', afterMs: HOUR_MS })).toBe('counted');
  });

  it('hold for each client, repository and region by itself', () => {
    const take = opened();
    times(4, (n) => take({ client: 'a', image: `tag ${n}` }));
    expect([take({ client: 'b' }), take({ client: 'a', repository: 'team/other' }), take({ client: 'a', region: 'westeurope' })]).toEqual(['counted', 'counted', 'counted']);
  });

  it('let of who walks through a registry no more count than a node has room for pods', () => {
    const take = opened();
    const verdicts = times(500, (n) => take({ client: 'crawler', repository: `team/app-${n}`, afterMs: n * 7000 }));
    expect(verdicts.filter((verdict) => verdict === 'counted')).toHaveLength(CLIENT_PULLS_PER_HOUR_MAX);
    expect(take({ client: 'node', repository: 'team/app-1' })).toBe('counted');
  });

  it('do not hold for pulls of clients without a name', () => {
    const take = opened();
    expect(new Set(times(500, () => take({})))).toEqual(new Set(['counted']));
  });

  it('let as many count in whatever order pulls come', () => {
    const pulls = Array.from({ length: 40 }, (_, n) => ({ client: 'a', image: `tag ${n}`, afterMs: n * 11 * MINUTE_MS }));
    const countedOf = (ordered: readonly Pull[]): number => {
      const take = opened();
      return ordered.filter((pull) => take(pull) === 'counted').length;
    };
    expect(countedOf(pulls.toReversed())).toBe(countedOf(pulls));
    expect(countedOf(pulls.toSorted((one, other) => (one.image < other.image ? -1 : 1)))).toBe(countedOf(pulls));
  });

  it('are forgotten for clients of longest ago when there are too many', () => {
    const take = opened(10);
    times(3, (n) => take({ client: 'a', image: `tag ${n}` }));
    expect(take({ client: 'a', image: 'tag 4' })).toBe('capped');
    times(20, (n) => take({ client: `other ${n}` }));
    expect(take({ client: 'a', image: 'tag 0' })).toBe('counted');
  });

  it('take back what counted of who walks through a registry, once, and of nobody who pulls the same again', () => {
    const limits = new ClientLimits();
    const take = (client: string, n: number, afterMs = n * 1000): PullVerdict => limits.take({ region: 'eastus', repository: `team/app${n}`, image: digestOf('image'), clientHash: client }, FULL_HOUR_MS + afterMs);
    times(CLIENT_PULLS_PER_HOUR_MAX, (n) => take('crawler', n));
    // A proxy of many nodes: of what they pull every third is what another one pulled, within ten minutes or after.
    times(CLIENT_PULLS_PER_HOUR_MAX, (n) => [take('proxy', n), ...(n % 3 === 0 ? [take('proxy', n)] : [])][0]!);
    expect(limits.takenBack()).toEqual([]);
    expect([take('proxy', 500), limits.takenBack()]).toEqual(['capped', []]);
    expect(take('crawler', 500)).toBe('capped');
    const taken = limits.takenBack();
    expect(taken.map(({ key, atMs }) => `${key.repository} ${(atMs - FULL_HOUR_MS) / 1000}`)).toEqual(Array.from({ length: CLIENT_PULLS_PER_HOUR_MAX }, (_, n) => `team/app${n} ${n}`));
    expect([take('crawler', 501), limits.takenBack()]).toEqual(['capped', []]);
  });

  it('take back no more than they remember', () => {
    const limits = new ClientLimits(CLIENT_PULLS_PER_HOUR_MAX);
    const take = (client: string, n: number): PullVerdict => limits.take({ region: 'eastus', repository: `team/app${n}`, image: digestOf('image'), clientHash: client }, FULL_HOUR_MS + n);
    times(CLIENT_PULLS_PER_HOUR_MAX, (n) => take('first', n));
    times(CLIENT_PULLS_PER_HOUR_MAX, (n) => take('second', n));
    times(3, (n) => take('first', 1000 + n));
    expect(limits.takenBack().length).toBeLessThanOrEqual(CLIENT_PULLS_PER_HOUR_MAX);
  });
});
