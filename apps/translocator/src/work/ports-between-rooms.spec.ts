import { beforeEach, describe, expect, it } from 'vitest';

import { ManualClock } from '#clock/testing';
import { wantedLayer } from '#expansion/testing';
import { MemoryReplicaStore } from '#replication/testing';
import { MemoryShare } from '#shares/testing';

import { StoredHomeReplicas } from './ports-between-rooms.js';

describe('a layer that is expanded at home', () => {
  it('has what was ready elsewhere copied again: it is of an earlier expansion, which may have had another version', async () => {
    const [store, clock] = [new MemoryReplicaStore(), new ManualClock()];
    const home = new StoredHomeReplicas(store, clock, store.room);
    const { digest } = wantedLayer('a');
    await store.recordReady({ layer: digest, share: 'east', sizeBytes: 500, reason: 'once' }, clock.now());
    await home.ready(digest, 'home', 1000);
    await home.ready(digest, 'home', 1000);
    expect((await store.find([digest])).map(({ share, state }) => [share, state])).toEqual([['east', 'wanted'], ['home', 'ready']]);
  });
});

describe('the room of the home share', () => {
  const clock = new ManualClock();
  const share = new MemoryShare({ name: 'home', capacityBytes: 40_000 });
  const layer = (name: string, sizeBytes: number) => ({ layer: wantedLayer(name).digest, likelyBytes: 3 * sizeBytes });
  let store: MemoryReplicaStore;
  let home: StoredHomeReplicas;
  beforeEach(async () => {
    store = new MemoryReplicaStore();
    home = new StoredHomeReplicas(store, clock, store.room);
    await home.ready(layer('there', 1).layer, share.name, 34_000);
  });

  it('takes a layer whose likely size fits', async () => {
    await home.ensureRoom(share, layer('a', 2000));
  });

  it('refuses one that does not, for now, with the numbers', async () => {
    await expect(home.ensureRoom(share, layer('a', 2001))).rejects.toMatchObject({
      code: 'SHARE_FULL', transient: true, details: { share: 'home', likelyBytes: 6003, roomBytes: 6000 },
    });
  });

  it('lets expansions at the same time see each other, until they end or are noted', async () => {
    await home.ensureRoom(share, layer('a', 1500));
    await home.ensureRoom(share, layer('a', 1500));
    await expect(home.ensureRoom(share, layer('b', 1000))).rejects.toMatchObject({ code: 'SHARE_FULL', details: { roomBytes: 1500 } });
    await home.endRoom(share, layer('a', 0).layer);
    await home.ensureRoom(share, layer('b', 1000));
    await home.ready(layer('b', 0).layer, share.name, 5000);
    await home.endRoom(share, layer('b', 0).layer);
    await expect(home.ensureRoom(share, layer('c', 500))).rejects.toMatchObject({ details: { roomBytes: 1000 } });
  });

  it('does not count twice what is noted there already', async () => {
    await home.ensureRoom(share, layer('there', 9_000_000));
  });

  it('believes a claimed size only up to a quarter of the capacity, so that a false one keeps a layer from nobody for ever', async () => {
    const roomy = new MemoryShare({ name: 'other', capacityBytes: 40_000 });
    await home.ready(layer('elsewhere', 1).layer, roomy.name, 30_000);
    await home.ensureRoom(roomy, layer('a', 2 ** 45));
    await home.ready(layer('one more', 1).layer, roomy.name, 1);
    await expect(home.ensureRoom(roomy, layer('a', 2 ** 45))).rejects.toMatchObject({ code: 'SHARE_FULL' });
  });
});
