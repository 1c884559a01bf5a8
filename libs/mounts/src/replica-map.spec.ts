import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { keyOf, type MapRow, REPLICA_STATES } from './map-row.js';
import { ReplicaMap } from './replica-map.js';
import { diffIdNamed, digestNamed, expandedRow, imageRow } from './testing/index.js';

const anyRow: fc.Arbitrary<MapRow> = fc.oneof(
  fc.record({ topic: fc.constant('repository' as const), name: fc.constantFrom('a', 'b'), enabled: fc.boolean() }),
  fc.record({ topic: fc.constant('tag' as const), repository: fc.constantFrom('a', 'b'), tag: fc.constantFrom('1', '2'), digest: fc.constantFrom('x', 'y').map(digestNamed) }),
  fc.tuple(fc.constantFrom('a', 'b'), fc.constantFrom('x', 'y'), fc.array(fc.constantFrom('l1', 'l2', 'l3'), { maxLength: 4 })).map((args) => imageRow(...args)),
  fc.tuple(fc.constantFrom('x', 'y'), fc.constantFrom('l1', 'l3')).map(([name, view]): MapRow => {
    const { content, ...row } = imageRow('a', name, ['l1', 'l2']);
    return { ...row, content: content.kind === 'image' ? { ...content, view: digestNamed(view) } : content };
  }),
  fc.constantFrom('l1', 'l2', 'l3').map(expandedRow),
  fc.constantFrom('l1', 'l2', 'l3').map((layer): MapRow => ({ topic: 'layer', digest: digestNamed(layer), state: 'wanted', since: new Date(0) })),
  fc.record({
    topic: fc.constant('replica' as const),
    layer: fc.constantFrom('l1', 'l2', 'l3').map(digestNamed),
    share: fc.constantFrom('east', 'west', 'north'),
    state: fc.constantFrom(...REPLICA_STATES),
  }),
);
const anyStep = fc.tuple(anyRow, fc.boolean());

/** What a map says about the few names that these tests use. */
function told(map: ReplicaMap): unknown {
  const layers = ['l1', 'l2', 'l3'].map((name) => map.layer(digestNamed(name)));
  return {
    counts: map.counts,
    repositories: ['a', 'b'].map((name) => [map.enabled(name), ['1', '2'].map((tag) => map.tagged(name, tag)), ['x', 'y'].map((image) => {
      const found = map.image(name, digestNamed(image));
      return found?.kind === 'image' ? [...found.layers.map(({ digest, diffId, sizeBytes }) => [digest, diffId, sizeBytes]), found.view?.digest] : found;
    })]),
    layers: layers.map((record) => [record?.expansion, record?.imageCount]),
    replicas: ['l1', 'l2', 'l3'].map((name) => ['east', 'west', 'north'].map((share) => map.replicaState(digestNamed(name), share))),
  };
}

describe('ReplicaMap', () => {
  it('is what the last row of each key said, whatever came before it', () => {
    fc.assert(fc.property(fc.array(anyStep, { maxLength: 60 }), (steps) => {
      const map = new ReplicaMap();
      const last = new Map<string, MapRow>();
      for (const [row, removed] of steps) {
        const key = JSON.stringify([row.topic, ...keyOf(row)]);
        if (removed) {
          map.remove(row.topic, keyOf(row));
          last.delete(key);
        } else {
          map.put(row);
          last.set(key, row);
        }
      }
      const fresh = new ReplicaMap();
      for (const row of last.values()) fresh.put(row);
      expect(told(map)).toEqual(told(fresh));
    }));
  });

  it('keeps nothing when every row has been removed', () => {
    fc.assert(fc.property(fc.array(anyRow, { maxLength: 40 }), (rows) => {
      const map = new ReplicaMap();
      for (const row of rows) map.put(row);
      for (const row of rows) map.remove(row.topic, keyOf(row));
      expect(map.counts).toEqual({ repositories: 0, tags: 0, images: 0, layers: 0, replicas: 0 });
    }));
  });

  it('knows an image by its repository: the same digest elsewhere is not found', () => {
    const map = new ReplicaMap();
    map.put(imageRow('team/app', 'image', ['base']));
    expect(map.image('other/app', digestNamed('image'))).toBeUndefined();
  });

  it('keeps the descriptions of two images apart that give one layer different diffIDs', () => {
    const map = new ReplicaMap();
    map.put(imageRow('honest', 'image', ['base']));
    const layers = [{ digest: digestNamed('base'), diffId: diffIdNamed('something else'), sizeBytes: 1 }];
    map.put({ topic: 'image', repository: 'liar', digest: digestNamed('lie'), content: { kind: 'image', layers } });
    const diffIds = [map.image('honest', digestNamed('image')), map.image('liar', digestNamed('lie'))]
      .map((image) => (image?.kind === 'image' ? image.layers[0]?.diffId : undefined));
    expect(diffIds).toEqual([diffIdNamed('base'), diffIdNamed('something else')]);
  });

  it('passes over keys that it does not know', () => {
    const map = new ReplicaMap();
    for (const topic of ['repository', 'tag', 'image', 'layer', 'replica'] as const) map.remove(topic, ['x', 'y']);
    map.remove('tag', []);
    expect(map.counts.repositories).toBe(0);
  });
});
