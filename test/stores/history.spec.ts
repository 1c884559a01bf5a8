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
  pullHistoryConformance('PostgresPullHistory', () => ({
    history: new PostgresPullHistory(dataSource()),
    notePin: async ({ at, region, repository, image, until }) => {
      // As the triggers note them.
      await dataSource().query(
        `INSERT INTO history_events (kind, at, region, repository, image, until_at, pin_id) VALUES ('pin', $1, $2, $3, $4, $5, gen_random_uuid())`,
        [at, region, repository, image, until ?? null],
      );
    },
  }));

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

  it('has a pin end for what its tag named before, and begin for what it names now, whatever moves', async () => {
    const [images, pins] = [new PostgresImageStore(dataSource()), new PostgresPinStore(dataSource())];
    const [first, second] = [sampleRecord('first', ['base']), sampleRecord('second', ['base'])];
    const tag = (image: typeof first, name = 'v1') => images.record({ repository: first.repository, image, children: [], tag: name, pushedAt: SUITE_NOW }, freely);
    const pinned = async () => (await told()).filter(({ kind }) => kind === 'pin').map(({ region, image, until }) => `${region} ${image === first.digest ? 'first' : 'second'} ${until === undefined ? 'holds' : 'ended'}`);
    const pin = aPin({ repository: first.repository, reference: { kind: 'tag', tag: 'v1' }, regions: ['eastus', 'westus'], createdAt: SUITE_NOW });
    await pins.create(pin);
    expect(await pinned()).toEqual([]);
    await tag(first);
    await tag(first);
    await tag(second, 'other');
    expect(await pinned()).toEqual(['eastus first holds', 'westus first holds']);
    await tag(second);
    expect(await pinned()).toEqual(['eastus first ended', 'westus first ended', 'eastus second holds', 'westus second holds']);
    // Two wanted images of an index are one pin each, also while it is only one of them.
    await images.record({ repository: first.repository, image: sampleIndex('index', [first, second]), children: [first, second], tag: 'v1', pushedAt: SUITE_NOW }, freely);
    expect((await pinned()).slice(2)).toEqual(['eastus second holds', 'westus second holds', 'eastus first holds', 'westus first holds']);
    await images.removeTag(first.repository, 'v1', freely);
    expect(await pinned()).not.toContainEqual(expect.stringContaining('holds'));
    const ends = (await told()).flatMap(({ until }) => until ?? []);
    await pins.delete(pin.id);
    expect((await told()).flatMap(({ until }) => until ?? [])).toEqual(ends);
  });
});
