import { expect, it } from 'vitest';

import { describeOnEveryDatabase } from '#database/testing';
import { expandedForm, expandedLayerStoreConforms, wantedLayer, wantedView } from '#expansion/testing';
import { PostgresExpandedLayerStore } from '#expansion/typeorm';
import { MIGRATIONS } from '#migrations';

import { readToldChanges } from './told-changes.js';

describeOnEveryDatabase('expanded layers', MIGRATIONS, (dataSource, database) => {
  expandedLayerStoreConforms(() => new PostgresExpandedLayerStore(dataSource(), 'caller'));

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
    await store.renew([claimed!.claim.id], now, 0);
    await store.want([{ ...layer, priority: 100 }], now);
    expect(await told()).toEqual([]);
    await store.complete(claimed!.claim.id, expandedForm(layer), now);
    expect(await told()).toEqual(once);
    await store.markUnreferenced([layer.digest], now);
    expect(await told()).toEqual([]);
    await store.forget(layer.digest);
    expect(await told()).toEqual(once);
  });

  if (database.severalSessions) {
    it('gives every merged view to somebody as soon as its layers are settled, by whichever workers and in whatever order', async () => {
      const store = new PostgresExpandedLayerStore(dataSource());
      const now = new Date();
      const layers = Array.from({ length: 24 }, (_, n) => wantedLayer(`layer ${n}`, { priority: n % 3 }));
      // Views come before layers in every claim, so that they are passed over while the layers are being settled.
      const views = Array.from({ length: 150 }, (_, n) => wantedView([layers[n % 24]!, layers[(n * 7 + 1) % 24]!, layers[(n * 5 + 2) % 24]!], { priority: 9 }));
      await store.want([...layers, ...views], now);
      const work = async (): Promise<void> => {
        for (;;) {
          const claimed = await store.claim({ owner: 'worker', limit: 3, now, leaseMs: 60_000 });
          if (claimed.length === 0) return;
          await Promise.all(claimed.map(({ item, claim }) => store.complete(claim.id, expandedForm(item), now)));
        }
      };
      const wantAgain = async (): Promise<void> => {
        for (let n = 0; n < 10; n += 1) await store.want([...views, ...layers].toReversed(), now);
      };
      await Promise.all([work(), work(), work(), work(), wantAgain(), wantAgain()]);
      // Who found nothing may have been there between two settlements; nothing waits for a clock.
      await work();
      expect(await store.countByState()).toEqual({ wanted: 0, expanding: 0, expanded: 24 + new Set(views.map((view) => view.digest)).size, refused: 0 });
    });
  }

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
