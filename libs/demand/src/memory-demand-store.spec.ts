import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { digestOf } from '#oci';
import { DAY_MS, HOUR_MS } from '#quantities';

import type { DemandBatch } from './demand-store.js';
import { demandStoreConformance } from './testing/demand-store-conformance.js';
import { MemoryDemandStore } from './testing/memory-demand-store.js';

demandStoreConformance('MemoryDemandStore', (options) => new MemoryDemandStore(options));

const NOON = new Date('2026-05-01T12:00:00.000Z');
const batches: fc.Arbitrary<DemandBatch[]> = fc.array(
  fc.array(fc.record({ image: fc.constantFrom('x', 'y'), region: fc.constantFrom('eastus', 'westeurope'), pulls: fc.integer({ min: 1, max: 50 }), agoMs: fc.integer({ min: -HOUR_MS, max: 20 * DAY_MS }) }), { minLength: 1, maxLength: 4 }),
  { minLength: 1, maxLength: 8 },
).map((all) => all.map((counts, n) => ({
  batchId: `batch ${n}`,
  drainedAt: NOON,
  counts: counts.map(({ image, region, pulls, agoMs }) => ({ region, repository: 'team/app', image: digestOf(image), weights: [pulls, pulls, pulls] as const, at: new Date(NOON.getTime() - agoMs) })),
})));

describe('batches', () => {
  it('come to the same counts in any order, however often each is handed over', () => fc.assert(fc.asyncProperty(batches, fc.array(fc.nat(), { maxLength: 12 }), async (all, repeated) => {
    const counted = async (ordered: readonly DemandBatch[]): Promise<unknown> => {
      const store = new MemoryDemandStore();
      for (const batch of ordered) await store.merge(batch, NOON);
      return (await store.list({ limit: 10 }, NOON)).counts.map(({ region, image, weights }) => [region, image, ...weights.map((weight) => weight.toPrecision(9))]);
    };
    const again = repeated.map((n) => all[n % all.length]!);
    expect(await counted([...again, ...all.toReversed(), ...again])).toEqual(await counted(all));
  }), { numRuns: 60 }));
});
