import { beforeEach, describe, expect, it } from 'vitest';

import { type Digest, digestOf } from '#oci';
import { crc64Of, LAYER_FILE_VERSION, layerFilePath, PIECE_BYTES, pieceRange } from '#shares';

import { auditReplicas } from './audit-replicas.js';
import { copyReplica } from './copy-replica.js';
import { removeReplica } from './remove-replica.js';
import { ReplicaHolds } from './replication-ports.js';
import { bytesOn, pathOf, ReplicationWorld, WORLD_LEASE_MS } from './testing/index.js';

class NoHolds extends ReplicaHolds {
  heldUntil(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  endRenewals(): Promise<number> {
    return Promise.resolve(0);
  }
}

const layer = digestOf('layer');
const old = layerFilePath(layer, 1);
const { signal } = new AbortController();
let world: ReplicationWorld;

/** A region keeps the file of version 1; the layer was expanded again since, as a larger file of the present version. */
beforeEach(async () => {
  world = new ReplicationWorld();
  await world.expandOnto(world.home, 'layer@1', 'ab');
  await world.expandOnto(world.east, 'layer@1', 'ab');
  await world.expandOnto(world.home, 'layer', 'xyz');
  await world.store.lose({ layer, share: 'east' }, 'expanded again', world.clock.now());
});

const copy = async (): Promise<void> => copyReplica(world.ports(), await world.claimCopy(), signal);

async function expectVerified(digest: Digest): Promise<void> {
  const record = (await world.records.find(digest))!;
  const file = (await world.east.stat(layerFilePath(digest, record.writerVersion)))!;
  expect(file).toMatchObject({ sizeBytes: record.vhd.sizeBytes, metadata: { vhd_digest: record.vhd.digest, writer_version: String(LAYER_FILE_VERSION) } });
  const bytes = await bytesOn(world.east, digest);
  record.pieceCrc64s.forEach((crc64, n) => {
    const { offset, length } = pieceRange(n, bytes.length);
    expect(crc64Of(bytes.subarray(offset, offset + length))).toBe(crc64);
  });
}

describe('where the file of another version of the layer stands', () => {
  it('a copy goes to the new path, verified piece by piece, and the older file is not touched', async () => {
    const before = await world.east.stat(old);
    await copy();
    await expectVerified(layer);
    expect(world.east.paths).toEqual([old, pathOf(layer)].toSorted());
    expect((await world.east.stat(old))?.etag).toBe(before?.etag);
    expect(await world.replica(world.east, layer)).toMatchObject({ state: 'ready', sizeBytes: 3 * PIECE_BYTES - 512 });
  });

  it('a copy of the older file that is under way when the layer is expanded again is not noted as ready', async () => {
    const record = (await world.records.find(layer))!;
    await world.expandOnto(world.home, 'layer@1', 'ab');
    await world.east.remove(old);
    const ports = world.ports();
    const renew = { find: async () => (await world.east.stat(old)) === undefined ? await world.records.find(layer) : record };
    await expect(copyReplica({ ...ports, records: renew }, await world.claimCopy(), signal)).rejects.toMatchObject({ code: 'RECORD_MISSING', transient: true });
    expect(await world.replica(world.east, layer)).toMatchObject({ state: 'copying' });
  });

  it('an audit looks at the file of the record, by its own size', async () => {
    await copy();
    const audit = () => auditReplicas({ store: world.store, records: world.records, shares: world.shares, clock: world.clock, layers: { expandAgain: () => Promise.resolve(false) } }, { limit: 10 });
    expect(await audit()).toMatchObject({ checked: 2, ordered: [] });
    await world.east.remove(pathOf(layer));
    expect(await audit()).toMatchObject({ checked: 2, ordered: [{ layer, share: 'east' }] });
  });

  it('an audit passes over what has no record: it is being expanded again', async () => {
    world.records.records.clear();
    expect(await auditReplicas({ store: world.store, records: world.records, shares: world.shares, clock: world.clock, layers: { expandAgain: () => Promise.resolve(true) } }, { limit: 10 }))
      .toMatchObject({ checked: 0, ordered: [], expandedAgain: [] });
  });

  it('a removal takes both', async () => {
    await copy();
    await world.store.drain({ layer, share: 'east' }, { reason: 'no demand', now: world.clock.now(), graceMs: 0 });
    const [claimed] = await world.store.removals.claim({ owner: 'worker', limit: 1, now: world.clock.now(), leaseMs: WORLD_LEASE_MS });
    await removeReplica({ store: world.store, holds: new NoHolds(), shares: world.shares, clock: world.clock }, claimed!, signal);
    expect(world.east.paths).toEqual([]);
  });
});
