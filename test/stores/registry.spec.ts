import { describe, expect, it } from 'vitest';

import { describeOnEveryDatabase } from '#database/testing';
import { MIGRATIONS } from '#migrations';
import { digestOf } from '#oci';
import { catalogueConformance, examinationConformance, type RegistryStores, sampleEvent, sampleIndex, sampleRecord, SUITE_NOW } from '#registry/testing';
import {
  PostgresBackfillStore, PostgresCatalogueReader, PostgresExaminationStore, PostgresImageStore, PostgresRepositoryStore,
} from '#registry/typeorm';

import { readToldChanges } from './told-changes.js';

describeOnEveryDatabase('the registry', MIGRATIONS, (dataSource, database) => {
  const stores = (): RegistryStores => ({
    repositories: new PostgresRepositoryStore(dataSource()),
    backfills: new PostgresBackfillStore(dataSource(), 'caller'),
    images: new PostgresImageStore(dataSource()),
    catalogue: new PostgresCatalogueReader(dataSource()),
    examinations: new PostgresExaminationStore(dataSource(), 'caller'),
  });
  catalogueConformance('PostgreSQL', stores);
  examinationConformance('PostgreSQL', stores);

  describe('its change feed', () => {
    const changesOf = async (act: () => Promise<unknown>): Promise<string[]> => {
      const told = await readToldChanges(dataSource());
      await told();
      await act();
      return [...new Set(await told())].toSorted();
    };
    const freely = { now: SUITE_NOW, claimId: undefined };
    const child = sampleRecord('child', ['base']);
    const index = sampleIndex('index', [child]);
    const recording = { repository: 'team/app', image: index, children: [child], tag: 'v1' };
    const names = { child: `image team/app ${digestOf('child')}`, index: `image team/app ${digestOf('index')}`, tag: 'tag team/app v1' };

    it('names what readers keep, and nothing when nothing changes', async () => {
      const { images, repositories, backfills } = stores();
      expect(await changesOf(() => repositories.enable('team/app', SUITE_NOW))).toEqual(['repository team/app']);
      expect(await changesOf(() => backfills.claim({ owner: 'w', limit: 1, now: SUITE_NOW, leaseMs: 1000 }))).toEqual([]);
      expect(await changesOf(() => images.record(recording, freely))).toEqual([names.child, names.index, names.tag].toSorted());
      expect(await changesOf(() => images.record(recording, freely))).toEqual([]);
      expect(await changesOf(() => images.record({ ...recording, image: { ...index, children: [] }, children: [] }, freely))).toEqual([names.index]);
      expect(await changesOf(() => images.record({ repository: 'team/app', image: child, children: [], tag: 'v1' }, freely))).toEqual([names.tag]);
      expect(await changesOf(() => images.removeImage(child, freely))).toEqual([names.child, names.tag].toSorted());
      expect(await changesOf(() => repositories.disable('team/app', SUITE_NOW))).toEqual(['repository team/app']);
    });
  });

  it('gives an image that was recorded without its merged view the digest of it when it is examined again, and tells that', async () => {
    const { images } = stores();
    const image = sampleRecord('one', ['base', 'top']);
    const record = (): Promise<boolean> => images.record({ repository: 'team/app', image, children: [] }, { now: SUITE_NOW, claimId: undefined });
    await record();
    const before = await images.resolve('team/app', { kind: 'digest', digest: image.digest });
    await dataSource().query('UPDATE images SET view_digest = NULL');
    const told = await readToldChanges(dataSource());
    await record();
    expect(await told()).toEqual([`image team/app ${image.digest}`]);
    expect(await images.resolve('team/app', { kind: 'digest', digest: image.digest })).toEqual(before);
    await record();
    expect(await told()).toEqual([]);
  });

  if (database.severalSessions) {
    it('takes the same events in from many senders at once, each of them once', async () => {
      const { examinations } = stores();
      const events = Array.from({ length: 50 }, (_none, place) => sampleEvent({ tag: `v${place % 7}` }));
      const sent = Array.from({ length: 8 }, (_none, place) => (place % 2 === 0 ? events : events.toReversed()));
      const intakes = await Promise.all(sent.map((each) => examinations.intake(each, SUITE_NOW)));
      expect(intakes.reduce((sum, { fresh }) => sum + fresh.length, 0)).toBe(50);
      expect(await examinations.openCount()).toBe(7);
    });

    it('settles the examinations of a backfill from many workers at once, counting each', async () => {
      const { repositories, backfills, examinations } = stores();
      await repositories.enable('team/app', SUITE_NOW);
      const [backfill] = await backfills.claim({ owner: 'w', limit: 1, now: SUITE_NOW, leaseMs: 60_000 });
      const tags = Array.from({ length: 40 }, (_none, place) => `v${place}`);
      await backfills.wantExaminations(backfill?.claim.id ?? '', tags, SUITE_NOW);
      const work = async (): Promise<void> => {
        for (;;) {
          const claimed = await examinations.claim({ owner: 'w', limit: 3, now: SUITE_NOW, leaseMs: 60_000 });
          if (claimed.length === 0) return;
          await Promise.all(claimed.map(({ claim, item }) => examinations.settle(claim.id, item.generation, SUITE_NOW)));
        }
      };
      await Promise.all([work(), work(), work()]);
      expect((await repositories.get('team/app'))?.backfill).toMatchObject({ state: 'done', totalCount: 40, doneCount: 40 });
    });
  }
});
