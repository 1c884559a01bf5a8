import { describe, expect, it } from 'vitest';

import { digestOf } from '#oci';

import { crossRegionDemand } from './cross-region-demand.js';
import { imageKey } from './region-facts.js';

const image = (repository: string): { readonly repository: string; readonly digest: ReturnType<typeof digestOf> } => ({ repository, digest: digestOf(repository) });

describe('demand of other regions as a prior', () => {
  const counts = [
    { region: 'eastus', image: image('a'), weight: 80 },
    { region: 'eastus', image: image('b'), weight: 20 },
    { region: 'westus', image: image('b'), weight: 10 },
  ];

  it('leaves each region by itself at 0', () => {
    expect(crossRegionDemand(counts, 0).get('westus')).toEqual({ images: new Map([[imageKey(image('b')), 10]]), repositories: new Map([['b', 10]]) });
  });

  it('adds what is pulled elsewhere at the volume of the region, and as much of it as the ratio says', () => {
    const { repositories, images } = crossRegionDemand(counts, 0.5).get('westus')!;
    // Elsewhere 80 of 100 pulls are of a: at a volume of 10 that is 8, and half of it 4.
    expect(repositories.get('a')).toBeCloseTo(4);
    expect(repositories.get('b')).toBeCloseTo(11);
    expect(images.get(imageKey(image('a')))).toBeCloseTo(4);
  });
});
