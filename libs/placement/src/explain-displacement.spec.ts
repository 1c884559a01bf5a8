import { describe, expect, it } from 'vitest';

import { MiB } from '#quantities';

import { planRegion } from './plan-region.js';
import type { PlacementImage } from './region-facts.js';
import type { PlacementDecision } from './region-plan.js';
import { aLayer, anImage, aRegion, aRegionPin, expecting, replicasOf } from './testing/region-scene.js';

const image = (name: string, sizeMiB: number): PlacementImage => anImage(`team/${name}:v1`, [aLayer(name, sizeMiB)]);
const [popular, liked, large, dull] = [image('popular', 40), image('liked', 40), image('large', 60), image('dull', 30)];
const names = (images: readonly { readonly repository: string }[] | undefined): string[] | undefined => images?.map(({ repository }) => repository.slice('team/'.length));

/** Decisions by image: who it displaced, and who displaced it. */
function tell(decisions: readonly PlacementDecision[]): Record<string, unknown> {
  return Object.fromEntries(decisions.map(({ repository, verdict, isEvicted, displaced, displacedBy }) => [repository.slice('team/'.length), { verdict, isEvicted, displaced: names(displaced), displacedBy: names(displacedBy) }]));
}

describe('who took whose room', () => {
  it('names those let in last for an image that never was there, and nobody for one that is not worth a copy', () => {
    const images = [popular, liked, large, dull];
    const { decisions } = planRegion(aRegion({ images, capacityBytes: 80 * MiB, forecasts: expecting({ 'team/popular:v1': 100, 'team/liked:v1': 50, 'team/large:v1': 20, 'team/dull:v1': 0.1 }) }));
    expect(tell(decisions)).toEqual({
      popular: { verdict: 'placed' },
      liked: { verdict: 'placed' },
      large: { verdict: 'refused', displacedBy: ['liked', 'popular'] },
      dull: { verdict: 'refused' },
    });
  });

  it('names the newcomer for an image that was there and goes, and this one for the newcomer', () => {
    const { decisions } = planRegion(aRegion({
      images: [popular, liked, large], capacityBytes: 100 * MiB, replicas: replicasOf([...liked.layers, ...large.layers]),
      forecasts: expecting({ 'team/popular:v1': 200, 'team/liked:v1': 50, 'team/large:v1': 5 }),
    }));
    expect(tell(decisions)).toEqual({
      popular: { verdict: 'placed', displaced: ['large'] },
      liked: { verdict: 'kept' },
      large: { verdict: 'refused', isEvicted: true, displacedBy: ['popular'] },
    });
  });

  it('names a pin for what it displaced, and says of what nobody asks for any more only that it goes', () => {
    const pins = [aRegionPin(large)];
    const replicas = replicasOf([...liked.layers, ...dull.layers]);
    const { decisions } = planRegion(aRegion({ images: [liked, large, dull], capacityBytes: 80 * MiB, replicas, pins, forecasts: expecting({ 'team/liked:v1': 50 }) }));
    expect(tell(decisions)).toEqual({
      large: { verdict: 'pinned', displaced: ['liked'] },
      liked: { verdict: 'refused', isEvicted: true, displacedBy: ['large'] },
      dull: { verdict: 'refused', isEvicted: true },
    });
  });
});
