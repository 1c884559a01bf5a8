import { expect, it } from 'vitest';

import { HeldList } from './held-list.js';
import { digestNamed } from './testing/index.js';

const [BASE, APP] = [digestNamed('base'), digestNamed('app')];

it('gives back the replicas that it was made of, also of a share with a space in its name', () => {
  const replicas = [{ layer: BASE, share: 'east' }, { layer: APP, share: 'east of the sun' }, { layer: BASE, share: 'east' }];
  const held = HeldList.of(replicas);
  expect([held.count, held.replicas]).toEqual([3, replicas]);
  expect([HeldList.of([]).count, HeldList.of([]).replicas]).toEqual([0, []]);
});

it('has one text for the same replicas in the same order, and for no others', () => {
  const [one, other] = [{ layer: BASE, share: 'east' }, { layer: APP, share: 'west' }];
  expect(HeldList.of([one, other]).text).toBe(HeldList.of([{ ...one }, { ...other }]).text);
  expect(HeldList.of([one, other]).text).not.toBe(HeldList.of([other, one]).text);
  expect(HeldList.of([one]).text).not.toBe(HeldList.of([one, one]).text);
});

it('spreads lists over the whole range', () => {
  const spreads = Array.from({ length: 200 }, (_, n) => HeldList.of([{ layer: digestNamed(`layer ${n}`), share: 'east' }]).spread);
  for (const tenth of Array.from({ length: 10 }, (_, n) => n / 10)) expect(spreads.some((spread) => spread >= tenth && spread < tenth + 0.1)).toBe(true);
});
