import type { DataSource } from 'typeorm';
import { expect, it } from 'vitest';

import { SystemClock } from '#clock';
import { ChangeFeed } from '#database';
import { describeOnEveryDatabase } from '#database/testing';
import { type WantedLayer } from '#expansion';
import { wantedLayer } from '#expansion/testing';
import { PostgresExpandedLayerStore } from '#expansion/typeorm';
import { MIGRATIONS } from '#migrations';
import { type ImageRow, Lookup, MapFeeder, NearShares } from '#mounts';
import { digestNamed, diffIdNamed, NamedMountSources } from '#mounts/testing';
import { RegionMap } from '#regions';
import { PostgresCatalogueReader } from '#registry/typeorm';
import { PostgresReplicaStore } from '#replication/typeorm';

import { StoredMapSource } from '../../apps/translocator/src/pull/stored-map-source.js';
import { transactionInAnotherDatabase } from './neighbour.js';
import { endBehindAll } from './told-changes.js';

const REGIONS = new RegionMap([{ name: 'home', displayName: 'home' }], 'home', [], { roundTripMs: 90, throughputBytesPerSecond: 1e7, pricePerGb: 0 });
const IMAGE = digestNamed('image');

function feederOn(dataSource: DataSource): MapFeeder {
  const source = new StoredMapSource({
    feed: new ChangeFeed(dataSource),
    catalogue: new PostgresCatalogueReader(dataSource),
    layers: new PostgresExpandedLayerStore(dataSource),
    replicas: new PostgresReplicaStore(dataSource),
    entry: { ensure: async () => undefined },
    clock: new SystemClock(),
  });
  return new MapFeeder({ source, clock: new SystemClock() });
}

/** What a pull of an image of this one layer is answered by. */
function pullOf(feeder: MapFeeder, { digest, sizeBytes }: WantedLayer): unknown {
  const image: ImageRow = { topic: 'image', repository: 'team/app', digest: IMAGE, content: { kind: 'image', layers: [{ digest, sizeBytes, diffId: diffIdNamed('a') }] } };
  feeder.map.put({ topic: 'repository', name: 'team/app', enabled: true });
  feeder.map.put(image);
  const lookup = new Lookup({
    feeder,
    near: new NearShares(REGIONS, [{ name: 'home', region: 'home' }]),
    sources: new NamedMountSources(),
    leases: { grant: () => undefined },
    observer: { observed: () => undefined },
    clock: new SystemClock(),
  });
  return lookup.pull({ repository: 'team/app', reference: { kind: 'digest', digest: IMAGE }, region: 'home' });
}

describeOnEveryDatabase('the map of a lookup', MIGRATIONS, (dataSource, database) => {
  it('shows the growing progress of an expansion, and since when it has been wanted', async () => {
    const store = new PostgresExpandedLayerStore(dataSource());
    const layer = wantedLayer('a');
    const since = new Date();
    await store.want([layer], since);
    const [claimed] = await store.claim({ owner: 'worker', limit: 1, now: since, leaseMs: 60_000 });
    await endBehindAll(dataSource());
    const feeder = feederOn(dataSource());
    await feeder.poll();
    const told: unknown[] = [pullOf(feeder, layer)];
    for (const readBytes of [10, 20]) {
      await store.progress(claimed!.claim.id, readBytes);
      await endBehindAll(dataSource());
      await feeder.poll();
      told.push(pullOf(feeder, layer));
    }
    expect(told).toMatchObject([0, 10, 20].map((doneBytes) => ({ kind: 'expanding', progress: { doneBytes, expandingCount: 1, since } })));
  });

  if (database.severalSessions) {
    it('is no fresher than a change that a transaction in another database of the server holds back', async () => {
      await dataSource().query(`INSERT INTO repositories (name, enabled, changed_at, backfill_state) VALUES ('team/app', true, now(), 'none')`);
      await endBehindAll(dataSource());
      const feeder = feederOn(dataSource());
      await feeder.poll();
      await using neighbour = await transactionInAnotherDatabase();
      await dataSource().query(`UPDATE repositories SET enabled = false`);
      const disabledAt = new Date();
      for (let polls = 0; polls < 3; polls += 1) await feeder.poll();
      expect(feeder.map.enabled('team/app')).toBe(true);
      expect(feeder.map.asOf!.getTime()).toBeLessThanOrEqual(disabledAt.getTime());
      await neighbour.end();
      await endBehindAll(dataSource());
      await feeder.poll();
      expect(feeder.map.enabled('team/app')).toBe(false);
      expect(feeder.map.asOf!.getTime()).toBeGreaterThan(disabledAt.getTime());
    });
  }
});
