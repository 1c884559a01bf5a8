import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { digestOf } from '#oci';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '#quantities';

import { CLIENT_PULLS_PER_HOUR_MAX, REPEAT_WINDOW_MS } from './client-limits.js';
import { weightsAt } from './decayed-counts.js';
import type { Observation } from './observation.js';
import { ObservationBuffer } from './observation-buffer.js';

const noon = new Date('2026-05-01T12:00:00.000Z');
const later = (ms: number): Date => new Date(noon.getTime() + ms);
const pull = (changes: Partial<Observation> = {}): Observation => ({ region: 'eastus', repository: 'team/app', image: digestOf('image'), at: noon, ...changes });
const open = (bounds: { keysMax?: number; rememberedMax?: number } = {}): ObservationBuffer => new ObservationBuffer(bounds);

describe('an observation buffer', () => {
  it('drains what it counted, one count for each image and region, and begins anew', () => {
    const buffer = open();
    buffer.observe(pull(), noon);
    buffer.observe(pull(), noon);
    buffer.observe(pull({ region: 'westeurope' }), noon);
    const batch = buffer.drain(later(5));
    expect(batch?.counts.map(({ region, weights, at }) => [region, weights, at])).toEqual([['eastus', [2, 2, 2], noon], ['westeurope', [1, 1, 1], noon]]);
    expect(batch?.drainedAt).toEqual(later(5));
    expect(buffer.drain(later(6))).toBeUndefined();
    buffer.observe(pull(), noon);
    expect(buffer.drain(noon)?.batchId).not.toBe(batch?.batchId);
  });

  it('counts a client once within ten minutes for each image and region, also over a drain', () => {
    const buffer = open();
    const from = (clientHash: string, ms: number, changes: Partial<Observation> = {}): string =>
      buffer.observe(pull({ clientHash, at: later(ms), ...changes }), later(ms));
    expect(from('a', 0)).toBe('counted');
    expect(from('a', REPEAT_WINDOW_MS - 1)).toBe('repeated');
    expect(from('b', 0)).toBe('counted');
    expect(from('a', 0, { image: digestOf('other') })).toBe('counted');
    expect(from('a', 0, { region: 'westeurope' })).toBe('counted');
    buffer.drain(noon);
    expect(from('a', REPEAT_WINDOW_MS - 1)).toBe('repeated');
    expect(from('a', REPEAT_WINDOW_MS)).toBe('counted');
  });

  it('recognises a repetition that comes in before what it repeats', () => {
    const buffer = open();
    buffer.observe(pull({ clientHash: 'a', at: later(5 * MINUTE_MS) }), later(HOUR_MS));
    expect(buffer.observe(pull({ clientHash: 'a', at: noon }), later(HOUR_MS))).toBe('repeated');
  });

  it('counts every pull of clients without a name', () => {
    const buffer = open();
    for (let n = 0; n < 5; n += 1) buffer.observe(pull(), noon);
    expect(buffer.drain(noon)?.counts[0]?.weights).toEqual([5, 5, 5]);
  });

  it('takes a pull from the future as of now', () => {
    const buffer = open();
    buffer.observe(pull({ at: later(40 * DAY_MS) }), noon);
    expect(buffer.drain(noon)?.counts[0]).toMatchObject({ weights: [1, 1, 1], at: noon });
  });

  it('lets the least demanded keys go when a flood of keys comes, keeps the hot one, and counts the loss', () => {
    const buffer = open({ keysMax: 100 });
    for (let n = 0; n < 50; n += 1) buffer.observe(pull(), noon);
    for (let n = 0; n < 5000; n += 1) buffer.observe(pull({ repository: `flood/r${n}` }), later(n));
    expect(buffer.keyCount).toBeLessThanOrEqual(100);
    const counts = buffer.drain(later(5000))?.counts ?? [];
    expect(counts.find((counted) => counted.repository === 'team/app')?.weights[1]).toBeCloseTo(50, 3);
    expect(counts.length + buffer.losses.keys).toBe(5001);
    expect(buffer.losses.weight).toBeCloseTo(5001 - counts.length, 1);
  });

  it('forgets the clients of longest ago when it would remember too many', () => {
    const buffer = open({ rememberedMax: 3 });
    for (const clientHash of ['a', 'b', 'c', 'd']) buffer.observe(pull({ clientHash }), noon);
    expect(buffer.observe(pull({ clientHash: 'd' }), noon)).toBe('repeated');
    expect(buffer.observe(pull({ clientHash: 'a' }), noon)).toBe('counted');
  });

  it('counts the same in whatever order pulls without repetition come', () => {
    const pulls = fc.array(fc.record({ ms: fc.integer({ min: -30 * DAY_MS, max: 0 }), image: fc.constantFrom('x', 'y') }), { minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(pulls, (all) => {
        const weights = [all, all.toReversed()].map((ordered) => {
          const buffer = open();
          for (const { ms, image } of ordered) buffer.observe(pull({ at: later(ms), image: digestOf(image) }), noon);
          const counts = buffer.drain(noon)?.counts ?? [];
          return ['x', 'y'].flatMap((image) => {
            const counted = counts.find((each) => each.image === digestOf(image));
            return counted === undefined ? [0, 0, 0] : weightsAt(counted, noon);
          });
        });
        for (const [n, weight] of weights[0]!.entries()) expect(weights[1]![n]).toBeCloseTo(weight, 9);
      }),
    );
  });

  it('counts nothing of who walks through a registry, whatever was drained before that was known', () => {
    const buffer = open();
    const batches = [];
    for (let n = 0; n < CLIENT_PULLS_PER_HOUR_MAX + 1; n += 1) {
      buffer.observe(pull({ clientHash: 'crawler', repository: `team/app${n}`, at: later(n * 1000) }), later(n * 1000));
      if (n % 50 === 49) batches.push(buffer.drain(later(n * 1000)));
    }
    batches.push(buffer.drain(later(HOUR_MS)));
    const sums = new Map<string, number>();
    for (const counted of batches.flatMap((batch) => batch?.counts ?? [])) sums.set(counted.repository, (sums.get(counted.repository) ?? 0) + weightsAt(counted, later(HOUR_MS))[0]);
    expect(sums.size).toBe(CLIENT_PULLS_PER_HOUR_MAX);
    for (const sum of sums.values()) expect(sum).toBeCloseTo(0, 9);
  });
});
