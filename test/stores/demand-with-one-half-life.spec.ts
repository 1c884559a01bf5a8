import { randomUUID } from 'node:crypto';

import { expect, it } from 'vitest';

import { describeOnEveryDatabase } from '#database/testing';
import { HALF_LIVES_MS } from '#demand';
import { PostgresDemandStore } from '#demand/typeorm';
import { DemandModel1764700000000, MIGRATIONS } from '#migrations';
import { digestOf } from '#oci';

const NOON = new Date('2026-05-01T12:00:00.000Z');
const KEY = { region: 'eastus', repository: 'team/app', image: digestOf('counted before') };
const BEFORE = MIGRATIONS.slice(0, MIGRATIONS.indexOf(DemandModel1764700000000));

describeOnEveryDatabase('demand that was counted with one half-life', BEFORE, (dataSource) => {
  async function run(step: 'up' | 'down'): Promise<void> {
    await dataSource().transaction(async (manager) => {
      if (manager.queryRunner === undefined) throw new Error('a transaction has a session');
      await new DemandModel1764700000000()[step](manager.queryRunner);
    });
  }
  const countAsBefore = (image: string, weight: number): Promise<unknown> =>
    dataSource().query('INSERT INTO demand (region, repository, image, weight, at) VALUES ($1, $2, $3, $4, $5)', [KEY.region, KEY.repository, image, weight, NOON]);

  it('goes on as a steady demand, also what a process of that version counts meanwhile, and is as it was when it is migrated back', async () => {
    await countAsBefore(KEY.image, 36);
    await run('up');
    const store = new PostgresDemandStore(dataSource());
    const rates = (await store.weightsOfImage(KEY, NOON)).map((weight, halfLife) => weight / HALF_LIVES_MS[halfLife]!);
    for (const rate of rates) expect(rate / (36 / HALF_LIVES_MS[1])).toBeCloseTo(1, 9);

    const late = digestOf('counted meanwhile');
    await countAsBefore(late, 5);
    expect((await store.prune(NOON, 10)).counts).toBe(0);
    expect((await store.snapshot(NOON)).counts.map(({ image, weights }) => [image, weights[1]])).toEqual([[KEY.image, 36], [late, 5]]);
    await store.merge({ batchId: randomUUID(), drainedAt: NOON, counts: [{ ...KEY, image: late, weights: [1, 1, 1], at: NOON }] }, NOON);
    expect(await store.weightsOfImage({ ...KEY, image: late }, NOON)).toEqual([1, 6, 1]);

    await run('down');
    expect(await dataSource().query('SELECT image, weight FROM demand ORDER BY weight')).toEqual([{ image: late, weight: 6 }, { image: KEY.image, weight: 36 }]);
    await run('up');
  });
});
