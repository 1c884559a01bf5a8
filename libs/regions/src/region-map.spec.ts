import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { RegionMap } from './region-map.js';
import type { RegionLink } from './region.js';

const names = ['westeurope', 'eastus', 'southeastasia', 'northeurope'];
const regions = names.map((name) => ({ name, displayName: name }));
const far = { roundTripMs: 200, throughputBytesPerSecond: 1e8, pricePerGb: 0.08 };
const link = (from: string, to: string, roundTripMs: number): RegionLink => ({ from, to, ...far, roundTripMs });
const map = new RegionMap(regions, 'westeurope', [link('eastus', 'westeurope', 80), link('eastus', 'northeurope', 80)], far);

describe('a region map', () => {
  it('knows its regions and no others', () => {
    expect(map.has('eastus')).toBe(true);
    expect(map.has('eastus2')).toBe(false);
    expect(map.home).toBe('westeurope');
  });

  it('answers links by direction, and the default for pairs without one', () => {
    expect(map.link('eastus', 'westeurope').roundTripMs).toBe(80);
    expect(map.link('westeurope', 'eastus')).toEqual({ from: 'westeurope', to: 'eastus', ...far });
  });

  it('puts no distance and no price within a region', () => {
    expect(map.link('eastus', 'eastus')).toMatchObject({ roundTripMs: 0, pricePerGb: 0, throughputBytesPerSecond: Number.POSITIVE_INFINITY });
  });

  it('orders by round trip, the region itself first, ties by name, whatever the order of candidates', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray(names, { minLength: names.length }), (candidates) => {
        expect(map.byNearness('eastus', candidates)).toEqual(['eastus', 'northeurope', 'westeurope', 'southeastasia']);
      }),
    );
  });
});
