import type { DataSource } from 'typeorm';
import { expect, it } from 'vitest';

import { describeOnEveryDatabase } from '#database/testing';
import { expandedForm, wantedLayer, wantedView } from '#expansion/testing';
import { PostgresExpandedLayerStore } from '#expansion/typeorm';
import { FileVersion21763800000000, MIGRATIONS } from '#migrations';

import { readToldChanges } from './told-changes.js';

const NOW = new Date('2026-03-01T12:00:00.000Z');
const BEFORE = MIGRATIONS.slice(0, MIGRATIONS.indexOf(FileVersion21763800000000));

describeOnEveryDatabase('a database with files of version 1', BEFORE, (dataSource) => {
  const layer = wantedLayer('low');
  const view = wantedView([layer, wantedLayer('high')]);

  async function run(step: 'up' | 'down'): Promise<void> {
    await dataSource().transaction(async (manager) => {
      if (manager.queryRunner === undefined) throw new Error('a transaction has a session');
      await new FileVersion21763800000000()[step](manager.queryRunner);
    });
  }

  it('keeps its records and images when it is migrated, and loses only views when it is migrated back', async () => {
    await addVersion1(dataSource(), layer.digest);
    await run('up');

    const store = new PostgresExpandedLayerStore(dataSource());
    const { verity, ...form } = expandedForm(layer);
    expect(verity).toBeDefined();
    const [found] = await store.find([layer.digest]);
    expect(found).toMatchObject({ state: 'expanded', expanded: { ...form, writerVersion: 1 } });
    expect(found).not.toHaveProperty('stacks');
    expect(found?.expanded).not.toHaveProperty('verity');

    const told = await readToldChanges(dataSource());
    await dataSource().query('UPDATE images SET view_digest = $1', [view.digest]);
    expect(await told()).toEqual([`image team/app ${layer.digest}`]);
    await dataSource().query('UPDATE images SET view_digest = $1', [view.digest]);
    expect(await told()).toEqual([]);

    await store.want([view], NOW);
    const [making] = await store.claim({ owner: 'worker', limit: 1, now: NOW, leaseMs: 60_000 });
    await store.complete(making!.claim.id, expandedForm(view), NOW);
    await addReplica(dataSource(), view.digest);
    await told();
    await run('down');
    expect(await dataSource().query('SELECT digest, writer_version FROM expanded_layers')).toEqual([{ digest: layer.digest, writer_version: 1 }]);
    expect(await dataSource().query('SELECT layer FROM replicas')).toEqual([{ layer: layer.digest }]);
    expect((await told()).toSorted()).toEqual([`layer ${view.digest}`, `replica ${view.digest} home`]);

    await run('up');
    expect(await store.find([layer.digest])).toEqual([found]);
  });
});

/** A layer that was expanded before there were hash trees, its replica, and an image. */
async function addVersion1(db: DataSource, digest: string): Promise<void> {
  const { vhd, pieceCrc64s, dataBytes, entryCount, diffId } = expandedForm(wantedLayer('low'));
  await db.query(
    `INSERT INTO expanded_layers (digest, media_type, size_bytes, repository, state, priority, wanted_at, diff_id, vhd_digest, vhd_size_bytes, piece_crc64s, data_bytes,
       entry_count, writer_version, expanded_at)
     VALUES ($1, 'application/vnd.oci.image.layer.v1.tar+gzip', 1000, 'team/app', 'expanded', 1, $2, $3, $4, $5, $6, $7, $8, 1, $2)`,
    [digest, NOW, diffId, vhd.digest, vhd.sizeBytes, pieceCrc64s, dataBytes, entryCount],
  );
  await addReplica(db, digest);
  await db.query(
    `INSERT INTO images (repository, digest, kind, media_type, size_bytes, pushed_at) VALUES ('team/app', $1, 'image', 'application/vnd.oci.image.manifest.v1+json', 1, $2)`,
    [digest, NOW],
  );
}

async function addReplica(db: DataSource, layer: string): Promise<void> {
  await db.query(`INSERT INTO replicas (layer, share, state, size_bytes, reason, wanted_at, ready_at) VALUES ($1, 'home', 'ready', 1000, 'expanded', $2, $2)`, [layer, NOW]);
}
