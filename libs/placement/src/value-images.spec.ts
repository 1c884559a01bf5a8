import { describe, expect, it } from 'vitest';

import { digestOf } from '#oci';

import { imageKey, PLACEMENT_PARAMETERS_DEFAULT } from './region-facts.js';
import { aDemand, anImage, unfinished } from './testing/region-scene.js';
import { generationsOf, valueImages } from './value-images.js';

describe('generations of images', () => {
  it('count newer pushes of the same repository', () => {
    const [oldest, middle, newest] = [anImage('a:v1', [], 30), anImage('a:v2', [], 20), anImage('a:v3', [], 10)];
    const generations = generationsOf([middle, newest, oldest, anImage('b:v9', [], 1)]);
    expect([newest, middle, oldest].map((image) => generations.get(imageKey(image)))).toEqual([0, 1, 2]);
  });

  it('are the same for platforms of one index, which share its tag', () => {
    const older = anImage('a:v1', [], 30);
    const amd64 = anImage('a:v2', [], 10);
    const arm64 = { ...anImage('a:v2', [], 9), digest: digestOf('arm64') };
    const generations = generationsOf([older, arm64, amd64]);
    expect([amd64, arm64, older].map((image) => generations.get(imageKey(image)))).toEqual([0, 0, 1]);
  });

  it('leave out images that no tag names: they inherit nothing and keep their own demand', () => {
    const untagged = { ...anImage('a:v1', [], 0), tags: [] };
    const tagged = anImage('a:v2', [], 10);
    expect(generationsOf([untagged, tagged])).toEqual(new Map([[imageKey(tagged), 0]]));
    const [own, fresh] = valueImages({ images: [untagged, tagged], keys: [untagged, tagged].map(imageKey) }, { demand: aDemand({ 'a:v1': 4 }), unfinished: [], parameters: PLACEMENT_PARAMETERS_DEFAULT });
    expect(own).toMatchObject({ inherited: 0 });
    expect(fresh?.total).toBeCloseTo((own?.total ?? 0) / 2, 9);
  });

  it('count the newest push as tagged while the tag names an image that is still being expanded', () => {
    const left = { ...anImage('a:v1', [], 10), tags: [] };
    const older = anImage('a:v0', [], 20);
    expect(generationsOf([older, left], [unfinished(anImage('a:v2', []))])).toEqual(new Map([[imageKey(left), 0], [imageKey(older), 1]]));
    expect(generationsOf([older, left], [unfinished({ ...anImage('a:v2', []), tags: [] })])).toEqual(new Map([[imageKey(older), 0]]));
  });
});
