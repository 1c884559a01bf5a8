import { describe, expect, it } from 'vitest';

import { digestOf } from '#oci';
import { aPin } from '#pins/testing';

import { resolvePins } from './resolve-pins.js';
import { anImage } from './testing/region-scene.js';

const index = digestOf('an index');
const amd64 = { ...anImage('team/app:v1', []), digest: digestOf('amd64'), indexes: [index] };
const arm64 = { ...anImage('team/app:v1', []), digest: digestOf('arm64'), indexes: [index] };
const other = anImage('team/other:v1', []);
const meant = (resolved: ReturnType<typeof resolvePins>, region = 'eastus'): unknown => resolved.byRegion.get(region)?.map((pin) => pin.image.digest).toSorted();

describe('resolvePins', () => {
  it('finds the images that a tag, an index or a digest means, in the pin\'s own repository', () => {
    const both = [amd64.digest, arm64.digest].toSorted();
    expect(meant(resolvePins([aPin({ reference: { kind: 'tag', tag: 'v1' } })], { placeable: [other, amd64, arm64], unfinished: [] }))).toEqual(both);
    expect(meant(resolvePins([aPin({ reference: { kind: 'digest', digest: index } })], { placeable: [other, amd64, arm64], unfinished: [] }))).toEqual(both);
    expect(meant(resolvePins([aPin({ reference: { kind: 'digest', digest: arm64.digest } })], { placeable: [other, amd64, arm64], unfinished: [] }))).toEqual([arm64.digest]);
  });

  it('names pins that mean nothing, in each of their regions', () => {
    const pin = aPin({ reference: { kind: 'digest', digest: other.digest }, regions: ['eastus', 'westeurope'] });
    const resolved = resolvePins([pin], { placeable: [other], unfinished: [] });
    expect([...resolved.unresolvedByRegion]).toEqual([['eastus', [pin.id]], ['westeurope', [pin.id]]]);
    expect(meant(resolved)).toEqual([]);
  });
});
