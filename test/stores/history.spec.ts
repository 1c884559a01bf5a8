import { expect, it } from 'vitest';

import { describeOnEveryDatabase } from '#database/testing';
import { pullHistoryConformance } from '#demand/testing';
import { PostgresPullHistory } from '#demand/typeorm';
import { expandedForm, wantedLayer } from '#expansion/testing';
import { PostgresExpandedLayerStore } from '#expansion/typeorm';
import { MIGRATIONS } from '#migrations';
import { digestOf } from '#oci';
import { aPin } from '#pins/testing';
import { PostgresPinStore } from '#pins/typeorm';
import { sampleIndex, sampleRecord, SUITE_NOW } from '#registry/testing';
import { PostgresImageStore } from '#registry/typeorm';

describeOnEveryDatabase('history', MIGRATIONS, (dataSource) => {
  pullHistoryConformance('PostgresPullHistory', () => new PostgresPullHistory(dataSource()));

  const freely = { now: SUITE_NOW, claimId: undefined };
  const told = async () => (await new PostgresPullHistory(dataSource()).events({ since: new Date(0), until: new Date(8e15), limit: 100 })).events;

  it('has pushes, deletions and pins of what was recorded, and what is gone was made of', async () => {
    const [images, pins, layers, history] = [new PostgresImageStore(dataSource()), new PostgresPinStore(dataSource()), new PostgresExpandedLayerStore(dataSource()), new PostgresPullHistory(dataSource())];
    const app = sampleRecord('app', ['base', 'top']);
    const unfinished = sampleRecord('unfinished', ['base', 'never expanded']);
    await images.record({ repository: app.repository, image: sampleIndex('index', [app]), children: [app], tag: 'v1', pushedAt: SUITE_NOW }, freely);
    await images.record({ repository: app.repository, image: unfinished, children: [], tag: 'v2', pushedAt: SUITE_NOW }, freely);
    await layers.want(['base', 'top'].map((name) => wantedLayer(name)), SUITE_NOW);
    for (const { claim, item } of await layers.claim({ owner: 'w', limit: 2, now: SUITE_NOW, leaseMs: 60_000 })) await layers.complete(claim.id, { ...expandedForm(wantedLayer('base')), digest: item.digest }, SUITE_NOW);
    const pin = aPin({ repository: app.repository, reference: { kind: 'tag', tag: 'v1' }, regions: ['eastus', 'westus'], createdAt: SUITE_NOW });
    await pins.create(pin);
    const before = (await told()).map(({ kind, region, image, until }) => [kind, region, image, until]);
    expect(before).toHaveLength(4);
    expect(before).toEqual(expect.arrayContaining([
      ['pin', 'eastus', app.digest, undefined],
      ['pin', 'westus', app.digest, undefined],
      ['push', undefined, app.digest, undefined],
      ['push', undefined, unfinished.digest, undefined],
    ]));
    await pins.delete(pin.id);
    expect((await told()).filter(({ kind }) => kind === 'pin').map(({ until }) => until)).toEqual([expect.any(Date), expect.any(Date)]);

    for (const { digest } of [app, unfinished]) await images.removeImage({ repository: app.repository, digest }, freely);
    expect((await told()).filter(({ kind }) => kind === 'delete').map(({ image }) => image)).toEqual([app.digest]);
    expect(await history.goneImages(undefined, 10)).toEqual([{ repository: app.repository, digest: app.digest, layers: ['base', 'top'].map((name) => ({ digest: digestOf(name), sizeBytes: expandedForm(wantedLayer('base')).vhd.sizeBytes })) }]);
    expect(await history.goneImages({ repository: app.repository, digest: app.digest }, 10)).toEqual([]);
  });
});
