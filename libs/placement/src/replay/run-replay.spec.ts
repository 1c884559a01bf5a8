import { describe, expect, it } from 'vitest';

import { type Digest, digestOf } from '#oci';

import { NonePolicy } from './policies/fixed-policies.js';
import type { PlannedOptions } from './policies/planned-policy.js';
import { PLAIN_PARAMETERS } from '../testing/region-scene.js';
import { openCatalogue, type ReplayImage } from './replay-catalogue.js';
import type { ReplayEvent } from './replay-event.js';
import type { ReplayScore } from './replay-score.js';
import { type ReplayPolicyName, replayPolicy } from './replay-policies.js';
import type { SeenPull } from './replay-policy.js';
import { ReplayShare } from './replay-share.js';
import { Replay } from './run-replay.js';

const image = (tag: string): ReplayImage => ({ repository: 'team/app', digest: digestOf(tag), layers: [{ digest: digestOf('base'), sizeBytes: 60 }, { digest: digestOf(`${tag} top`), sizeBytes: 40 }] });
const [first, second, third] = ['1', '2', '3'].map(image) as [ReplayImage, ReplayImage, ReplayImage];
const at = (minute: number): Date => new Date(Date.UTC(2026, 5, 1, 0, minute));
const push = (minute: number, of: { readonly digest: Digest }): ReplayEvent => ({ kind: 'push', at: at(minute), region: 'westus', repository: 'team/app', image: of.digest });
const pull = (minute: number, of: { readonly digest: Digest }, region = 'eastus'): ReplayEvent => ({ kind: 'pull', at: at(minute), region, repository: 'team/app', image: of.digest, client: 'a' });
const PLACES = { home: 'westus', regions: [{ region: 'eastus', usdPerGb: 1e7 }] };

function play(policy: ReplayPolicyName, events: readonly ReplayEvent[], warmUpMs = 0, parameters = PLAIN_PARAMETERS): ReturnType<Replay['score']> {
  const replay = new Replay({ catalogue: openCatalogue([first, second, third]), places: PLACES, capacityBytes: 1000, warmUpMs, disorderMsMax: 0, policy: (world) => replayPolicy(policy, world, { parameters }) });
  for (const event of events) replay.play(event);
  return replay.score();
}

describe('Replay', () => {
  it('counts a first pull as foreseeable later than ten minutes after a push that it saw, where the repository had been pulled', () => {
    const events = [push(0, first), pull(1, first), push(10, second), pull(15, second), push(20, third), pull(31, third), pull(32, third)];
    // The first image was pushed before anybody had pulled, the second was pulled too soon, the third was pulled again.
    expect(play('none', events).total).toMatchObject({ all: { pulls: 4, hits: 0 }, first: { pulls: 3, hits: 0 }, late: { pulls: 1, hits: 0 } });
    expect(play('replicate-all', events).total.late).toEqual({ pulls: 1, hits: 1 });
    expect(play('none', events.slice(0, 1).concat(pull(40, first, 'westus'), push(41, second), pull(60, second))).total.late).toEqual({ pulls: 0, hits: 0 });
  });

  it('pays a layer once when it is copied, once for every pull that lacks it, and nothing during the warm-up', () => {
    const events = [push(0, first), pull(1, first), push(10, second), pull(15, second), pull(16, second)];
    expect(play('none', events).total).toMatchObject({ replicatedBytes: 0, fallbackBytes: 300, usd: 3 });
    expect(play('lru', events).total).toMatchObject({ replicatedBytes: 0, fallbackBytes: 140, wastedBytes: 0 });
    expect(play('replicate-all', events, 9 * 60_000).total).toMatchObject({ replicatedBytes: 40, fallbackBytes: 0, all: { pulls: 2, hits: 2 } });
  });

  it('has what is pushed to a repository where that is pulled, before it is pulled itself', () => {
    const hours = Array.from({ length: 72 }, (_, hour) => pull(60 * hour, first));
    const { total, planMs } = play('planned', [...hours, push(72 * 60, second), pull(72 * 60 + 15, second)]);
    expect(total).toMatchObject({ late: { pulls: 1, hits: 1 }, all: { pulls: 73, hits: 72 } });
    expect(planMs).toEqual([]);
  });

  it('has the planner hold an image until the last of its pins ends, in whatever order they come and end', () => {
    const pin = (minute: number, until?: number): ReplayEvent => ({ kind: 'pin', at: at(minute), region: 'eastus', repository: 'team/app', image: first.digest, ...(until === undefined ? {} : { until: at(until) }) });
    const parameters = { ...PLAIN_PARAMETERS, minimumExpectedPulls: 1e6, leastExpectedPulls: 1e6, smallLayersRatio: 0 };
    const hitsAfter = (...pins: readonly ReplayEvent[]): boolean[] => [200, 400].map((minute) => {
      const before = [push(0, first), pull(1, third), ...pins, pull(minute - 65, third, 'westus')];
      return play('planned', [...before, pull(minute, first)], 0, parameters).total.all.hits > 0;
    });
    expect(hitsAfter()).toEqual([false, false]);
    expect(hitsAfter(pin(2, 100))).toEqual([false, false]);
    expect(hitsAfter(pin(2, 300), pin(3, 100))).toEqual([true, false]);
    expect(hitsAfter(pin(2, 100), pin(3, 300))).toEqual([true, false]);
    expect(hitsAfter(pin(2), pin(3, 100))).toEqual([true, true]);
  });

  it('has the planner place an image that is pinned, also when its push is older than the history', () => {
    const events: ReplayEvent[] = [{ kind: 'pin', at: at(0), region: 'eastus', repository: 'team/app', image: first.digest }, pull(1, second), pull(90, first)];
    expect(play('planned', events).total.all).toEqual({ pulls: 2, hits: 1 });
  });

  it('has the planner keep what passes to a pull that misses, as far as the reactive part goes, and for nothing', () => {
    const events = [push(0, first), pull(1, first), pull(2, first), push(100, second), pull(120, second), pull(121, second), pull(200, first)];
    const with_ = (reactiveRatio: number): ReplayScore['total'] => play('planned', events, 0, { ...PLAIN_PARAMETERS, minimumExpectedPulls: 1e6, leastExpectedPulls: 1e6, smallLayersRatio: 0, reactiveRatio }).total;
    expect(with_(0)).toMatchObject({ all: { hits: 0 }, replicatedBytes: 0, fallbackBytes: 500 });
    // All of the first image, and of the second what it does not share with that: three in four.
    expect(with_(0.4)).toMatchObject({ all: { hits: 3 }, replicatedBytes: 0, fallbackBytes: 140 });
    // No more than the reactive part: of the first image what is on the base, for which the base gave way, and then the other way round. Of a part of an image nobody has anything.
    expect(with_(0.09)).toMatchObject({ all: { hits: 0 }, replicatedBytes: 0 });
    expect(with_(0.09).fallbackBytes).toBeLessThan(500);
    // Room for all of it but a little: what passed longest ago, the base, gives way to the second image, and to the base what the first has of its own.
    expect(with_(0.13)).toMatchObject({ all: { hits: 1 }, replicatedBytes: 0 });
  });

  it('has the planner go by known rates in place of forecasts, where it is told those, and by what was pulled', () => {
    const events = [push(0, first), push(0, third), pull(1, third, 'westus'), pull(90, first)];
    const hitsBy = (firstPullWeight: number, tell: NonNullable<PlannedOptions['rates']>): number => {
      // Room for one of the two.
      const parameters = { ...PLAIN_PARAMETERS, firstPullWeight };
      const replay = new Replay({ catalogue: openCatalogue([first, third]), places: PLACES, capacityBytes: 100, warmUpMs: 0, disorderMsMax: 0, policy: (world) => replayPolicy('planned', world, { parameters, rates: tell }) });
      for (const event of events) replay.play(event);
      const { policy, total } = replay.score();
      expect(policy).toBe('known-rates');
      return total.all.hits;
    };
    const rates = (expected: number, probability: number) => (_: number, image: number) => (image === 0 ? { expectedPulls: expected, probability } : { expectedPulls: 9, probability: 0.1 });
    expect(hitsBy(0, rates(20, 1))).toBe(1);
    expect(hitsBy(0, rates(1.5, 1))).toBe(0);
    // What was never pulled counts by its chance besides.
    expect(hitsBy(100, rates(1.5, 1))).toBe(1);
    expect(hitsBy(100, rates(1.5, 0.1))).toBe(0);
  });

  it('tells of what no event pushed with its first pull, as pushed when the history began', () => {
    const told: [name: string, atMs: number][] = [];
    class Listener extends NonePolicy {
      override pushed(of: number, atMs: number): void {
        told.push([`pushed ${of}`, atMs]);
      }

      override pulled({ image: of, atMs }: SeenPull): void {
        told.push([`pulled ${of}`, atMs]);
      }
    }
    const replay = new Replay({ catalogue: openCatalogue([first, second, third]), places: { home: 'westus', regions: [{ region: 'eastus', usdPerGb: 0 }] }, capacityBytes: 1000, warmUpMs: 0, disorderMsMax: 0, policy: () => new Listener() });
    for (const event of [push(0, first), pull(1, first), pull(30, second)]) replay.play(event);
    expect(told).toEqual([['pushed 0', at(0).getTime()], ['pulled 0', at(1).getTime()], ['pushed 1', at(1).getTime()], ['pulled 1', at(30).getTime()]]);
  });

  it('calls copied bytes wasted that nobody read', () => {
    // The first image is known, and copied, from its pull on; its own layer is not read after that.
    expect(play('replicate-all', [pull(0, first), push(1, second), push(2, third), pull(3, second)]).total).toMatchObject({ replicatedBytes: 180, wastedBytes: 80, unreadHeldBytes: 80 });
    // What went unread is wasted as well, and there no more.
    const share = new ReplayShare(openCatalogue([first]), { region: 'eastus', usdPerGb: 0 }, 1000);
    share.beginCounting();
    for (const layer of [0, 1]) share.copy(layer);
    share.remove(0);
    const [base = 0, top = 0] = first.layers.map(({ sizeBytes }) => sizeBytes);
    expect(share.counts()).toMatchObject({ replicatedBytes: base + top, wastedBytes: base + top, unreadHeldBytes: top });
  });
});
