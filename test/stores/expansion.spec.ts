import { expect, it } from 'vitest';

import { describeOnEveryDatabase } from '#database/testing';
import { expandedForm, expandedLayerStoreConforms, wantedLayer, wantedView } from '#expansion/testing';
import { PostgresExpandedLayerStore } from '#expansion/typeorm';
import { MIGRATIONS } from '#migrations';

import { readToldChanges } from './told-changes.js';

describeOnEveryDatabase('expanded layers', MIGRATIONS, (dataSource) => {
  expandedLayerStoreConforms(() => new PostgresExpandedLayerStore(dataSource()));

  it('tells the feed of changes of state, of progress under a topic of its own, and not of claims and marks', async () => {
    const store = new PostgresExpandedLayerStore(dataSource());
    const now = new Date();
    const layer = wantedLayer('a');
    const told = await readToldChanges(dataSource());
    const once = [`layer ${layer.digest}`];
    await store.want([layer], now);
    expect(await told()).toEqual(once);
    const [claimed] = await store.claim({ owner: 'worker', limit: 1, now, leaseMs: 1000 });
    expect(await told()).toEqual(once);
    await store.progress(claimed!.claim.id, 10);
    await store.progress(claimed!.claim.id, 10);
    expect(await told()).toEqual([`progress ${layer.digest}`]);
    await store.renew([claimed!.claim.id], now);
    await store.want([{ ...layer, priority: 100 }], now);
    expect(await told()).toEqual([]);
    await store.complete(claimed!.claim.id, expandedForm(layer), now);
    expect(await told()).toEqual(once);
    await store.markUnreferenced([layer.digest], now);
    expect(await told()).toEqual([]);
    await store.forget(layer.digest);
    expect(await told()).toEqual(once);
  });

  it('tells the feed of a merged view as of any layer, so that plans are made when it is there', async () => {
    const store = new PostgresExpandedLayerStore(dataSource());
    const now = new Date();
    const view = wantedView([wantedLayer('low'), wantedLayer('high')]);
    const told = await readToldChanges(dataSource());
    await store.want([view], now);
    expect(await told()).toEqual([`layer ${view.digest}`]);
    const [claimed] = await store.claim({ owner: 'worker', limit: 1, now, leaseMs: 1000 });
    await told();
    await store.complete(claimed!.claim.id, expandedForm(view), now);
    expect(await told()).toEqual([`layer ${view.digest}`]);
  });
});
