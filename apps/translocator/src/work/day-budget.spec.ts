import { describe, expect, it } from 'vitest';

import { digestOf } from '#oci';
import { RegionMap } from '#regions';
import { MemoryLinkLedger, MemoryReplicaStore } from '#replication/testing';
import { MemoryShare } from '#shares/testing';

import { ShareSet } from '../foundation/share-set.js';
import { dayBudget } from './day-budget.js';

const NOW = new Date('2026-06-01T23:59:00.000Z');
const link = { roundTripMs: 80, throughputBytesPerSecond: 1e8 };

describe('what is left of a day', () => {
  it('counts what links carried that day, and what is ordered and not there yet', async () => {
    const names = ['westeurope', 'eastus', 'westus'];
    const regions = new RegionMap(names.map((name) => ({ name, displayName: name })), 'westeurope', [{ from: 'eastus', to: 'westus', ...link, pricePerGb: 0.02 }], { ...link, pricePerGb: 0.05 });
    const shares = new ShareSet(names.map((name) => new MemoryShare({ name, region: name })), 'westeurope');
    const [ledger, replicas] = [new MemoryLinkLedger(), new MemoryReplicaStore()];
    await ledger.reserve({ from: 'westeurope', to: 'eastus' }, '2026-06-01', 4e9, 1e12);
    await ledger.reserve({ from: 'eastus', to: 'westus' }, '2026-06-01', 10e9, 1e12);
    await ledger.reserve({ from: 'westeurope', to: 'eastus' }, '2026-05-31', 9e9, 1e12);
    await replicas.want({ name: 'westus', capacityBytes: 1e12 }, [{ layer: digestOf('wanted'), sizeBytes: 300, priority: 0, reason: 'for a test' }], NOW);
    await replicas.recordReady({ layer: digestOf('ready'), share: 'westus', sizeBytes: 5000, reason: 'for a test' }, NOW);

    const budget = await dayBudget({ ledger, replicas, shares, regions }, { bytesPerLinkDay: 1e12, usdPerDay: 3, pushReserveRatio: 0.2 }, NOW);
    expect([...budget.regions]).toEqual([
      ['eastus', { usdPerGb: 0.05, bytesPerDay: 1e12, carriedBytes: 4e9, pendingBytes: 0 }],
      ['westus', { usdPerGb: 0.05, bytesPerDay: 1e12, carriedBytes: 0, pendingBytes: 300 }],
    ]);
    expect([budget.usdPerDay, budget.pushReserveRatio]).toEqual([3, 0.2]);
    expect(budget.spentUsd).toBeCloseTo(4 * 0.05 + 10 * 0.02, 9);
  });
});
