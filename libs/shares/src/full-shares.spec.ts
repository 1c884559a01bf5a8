import { expect, it } from 'vitest';

import { FullShares, type ShareFullEvent } from './full-shares.js';

const at = (second: number): Date => new Date(Date.UTC(2026, 0, 1, 0, 0, second));

it('spares a full share for a while, and tells of it once for each pause', () => {
  const told: ShareFullEvent[] = [];
  const full = new FullShares((event) => told.push(event), 60_000);
  expect(full.pausedUntil('east', at(0))).toBeUndefined();
  expect(full.note('east', { provisionedBytes: 100, usedBytes: 99 }, at(0))).toEqual(at(60));
  expect(full.note('east', undefined, at(30))).toEqual(at(60));
  expect(full.pausedUntil('east', at(59))).toEqual(at(60));
  expect(full.pausedUntil('home', at(30))).toBeUndefined();
  expect(full.pausedUntil('east', at(60))).toBeUndefined();
  full.note('east', undefined, at(61));
  expect(told).toEqual([
    { share: 'east', until: at(60), usage: { provisionedBytes: 100, usedBytes: 99 } },
    { share: 'east', until: at(121), usage: undefined },
  ]);
});
