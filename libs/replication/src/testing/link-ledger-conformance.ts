import { beforeEach, expect, it } from 'vitest';

import type { LinkLedger } from '../link-ledger.js';

/** What every account of links promises. `make` gives an empty one. */
export function linkLedgerConforms(make: () => LinkLedger): void {
  const link = { from: 'westeurope', to: 'eastus' };
  let ledger: LinkLedger;
  beforeEach(() => {
    ledger = make();
  });

  it('grants what the day still has, and no more', async () => {
    expect(await ledger.reserve(link, '2026-03-01', 60, 100)).toBe(60);
    expect(await ledger.reserve(link, '2026-03-01', 60, 100)).toBe(40);
    expect(await ledger.reserve(link, '2026-03-01', 60, 100)).toBe(0);
    expect(await ledger.usage('2026-03-01')).toEqual([{ ...link, bytes: 100 }]);
  });

  it('grants nothing when the limit has been lowered below what was used', async () => {
    await ledger.reserve(link, '2026-03-01', 60, 100);
    expect(await ledger.reserve(link, '2026-03-01', 60, 10)).toBe(0);
    expect(await ledger.usage('2026-03-01')).toEqual([{ ...link, bytes: 60 }]);
  });

  it('counts each day and each direction for itself', async () => {
    const back = { from: 'eastus', to: 'westeurope' };
    for (const [each, day] of [[link, '2026-03-01'], [back, '2026-03-01'], [link, '2026-03-02']] as const) {
      expect(await ledger.reserve(each, day, 100, 100)).toBe(100);
    }
    expect(await ledger.usage('2026-03-01')).toEqual([{ ...back, bytes: 100 }, { ...link, bytes: 100 }]);
    expect(await ledger.usage('2026-03-03')).toEqual([]);
  });

  it('forgets days that are over, the oldest first, as many as it is told', async () => {
    for (const day of ['2026-03-03', '2026-03-01', '2026-03-02']) await ledger.reserve(link, day, 10, 100);
    expect(await ledger.prune('2026-03-03', 1)).toBe(1);
    expect(await ledger.usage('2026-03-01')).toEqual([]);
    expect(await ledger.usage('2026-03-02')).toHaveLength(1);
    expect(await ledger.prune('2026-03-03', 10)).toBe(1);
    expect(await ledger.prune('2026-03-03', 10)).toBe(0);
    expect(await ledger.usage('2026-03-03')).toHaveLength(1);
  });

  it('never passes the limit with many callers at once', async () => {
    const granted = await Promise.all(Array.from({ length: 20 }, () => ledger.reserve(link, '2026-03-01', 7, 100)));
    expect(granted.reduce((sum, bytes) => sum + bytes, 0)).toBe(100);
  });
}
