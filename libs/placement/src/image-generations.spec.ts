import { describe, expect, it } from 'vitest';

import { atOnce } from '#clock';
import { digestOf } from '#oci';

import { forecastImages, generationsOf } from './image-generations.js';
import { imageKey } from './region-facts.js';
import { anImage, SCENE_NOW, unfinished } from './testing/region-scene.js';

describe('generations of images', () => {
  it('count newer pushes of the same repository', () => {
    const [oldest, middle, newest] = [anImage('a:v1', [], 30), anImage('a:v2', [], 20), anImage('a:v3', [], 10)];
    const generations = atOnce(generationsOf([middle, newest, oldest, anImage('b:v9', [], 1)]));
    expect([newest, middle, oldest].map((image) => generations.get(imageKey(image)))).toEqual([0, 1, 2]);
  });

  it('are the same for platforms of one index, which share its tag', () => {
    const older = anImage('a:v1', [], 30);
    const amd64 = anImage('a:v2', [], 10);
    const arm64 = { ...anImage('a:v2', [], 9), digest: digestOf('arm64') };
    const generations = atOnce(generationsOf([older, arm64, amd64]));
    expect([amd64, arm64, older].map((image) => generations.get(imageKey(image)))).toEqual([0, 0, 1]);
  });

  it('leave out images that no tag names', () => {
    const untagged = { ...anImage('a:v1', [], 0), tags: [] };
    const tagged = anImage('a:v2', [], 10);
    expect(atOnce(generationsOf([untagged, tagged]))).toEqual(new Map([[imageKey(tagged), 0]]));
  });

  it('count the newest push as tagged while the tag names an image that is still being expanded', () => {
    const left = { ...anImage('a:v1', [], 10), tags: [] };
    const older = anImage('a:v0', [], 20);
    expect(atOnce(generationsOf([older, left], [unfinished(anImage('a:v2', []))]))).toEqual(new Map([[imageKey(left), 0], [imageKey(older), 1]]));
    expect(atOnce(generationsOf([older, left], [unfinished({ ...anImage('a:v2', []), tags: [] })]))).toEqual(new Map([[imageKey(older), 0]]));
  });
});

describe('images as forecasts see them', () => {
  it('are of the newest push while they are expanded, as far as a tag names them and it is known when they were pushed', () => {
    const placed = anImage('a:v1', [], 30);
    const expanding = { ...unfinished(anImage('a:v2', [])), pushedAt: SCENE_NOW };
    const untagged = { ...unfinished(anImage('a:v0', [])), tags: [], pushedAt: SCENE_NOW };
    const onlyNamed = unfinished(anImage('a:v3', []));
    const images = forecastImages({ placeable: [placed], unfinished: [expanding, untagged, onlyNamed] });
    expect(images.map(({ digest, generation }) => [digest, generation])).toEqual([[placed.digest, 0], [expanding.digest, 0], [untagged.digest, undefined]]);
  });
});
