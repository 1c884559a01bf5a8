import { describe, expect, it } from 'vitest';

import { ManualClock } from '#clock/testing';
import { MERGED_VIEW_MEDIA_TYPE, mergedViewDigest } from '#expansion';
import { MemoryExpandedLayerStore } from '#expansion/testing';
import { digestOf, parseReference } from '#oci';
import { sampleIndex, sampleRecord } from '#registry/testing';

import { WantedLayers } from './examined-images.js';
import { WorkSignals } from './work-signals.js';
import type { WorkSurroundings } from './work-surroundings.js';

describe('what follows from an examination', () => {
  const one = sampleRecord('one', ['base', 'app']);
  const small = sampleRecord('small', ['base']);
  const index = sampleIndex('index', [one, small]);

  const examined = async (...pushed: readonly boolean[]) => {
    const clock = new ManualClock();
    const layers = new MemoryExpandedLayerStore();
    const wanted = new WantedLayers({ clock, logger: { info: () => undefined }, signals: new WorkSignals() } as unknown as WorkSurroundings, layers);
    for (const each of pushed) {
      const found = { repository: 'team/app', reference: parseReference('v1'), image: index, images: [one, small], pushed: each };
      await wanted.found(found);
      expect((await layers.page(undefined, 10)).length, 'before it is recorded').toBe(3);
      await wanted.recorded(found);
    }
    return new Map((await layers.page(undefined, 10)).map((record) => [record.digest, record]));
  };
  const view = mergedViewDigest([digestOf('base'), digestOf('app')])!;

  it('is that all layers are wanted, and the merged view of each image of several', async () => {
    const records = await examined(true);
    expect([...records.keys()].toSorted()).toEqual([digestOf('base'), digestOf('app'), view].toSorted());
    expect(records.get(view)).toMatchObject({ state: 'wanted', repository: 'team/app', mediaType: MERGED_VIEW_MEDIA_TYPE, stacks: [digestOf('base'), digestOf('app')] });
  });

  it('makes a view less urgent than its layers, and one that was pushed more urgent than what a backfill finds', async () => {
    const urgencies = async (...pushed: readonly boolean[]): Promise<unknown> => {
      const records = await examined(...pushed);
      return [digestOf('base'), view].map((digest) => records.get(digest)?.priority);
    };
    expect(await urgencies(true)).toEqual([100, 99]);
    expect(await urgencies(false)).toEqual([0, -1]);
    expect(await urgencies(false, true)).toEqual([100, 99]);
  });
});
