import { beforeEach, describe, expect, it } from 'vitest';

import type { Claimed } from '#claims';
import { type Digest, digestOf } from '#oci';
import { copyPartialPath, expansionPartialPath, layerFileMetadata } from '#shares';

import { copyReplica } from './copy-replica.js';
import { type FileToMake, keepPassing } from './keep-passing.js';
import type { ReplicaCopy } from './replica.js';
import { PARTIAL_AGE_MAX_MS, sweepPartialFiles } from './sweep-partial-files.js';
import { bytesOn, pathOf, ReplicationWorld, WORLD_LEASE_MS } from './testing/replication-world.js';

const never = new AbortController().signal;

let world: ReplicationWorld;
let layer: Digest;
beforeEach(async () => {
  world = new ReplicationWorld();
  layer = await world.expandOnto(world.home, 'a layer', 'a.b');
});

/** A gateway of the east takes the layer. */
async function take(owner = 'gateway'): Promise<Claimed<ReplicaCopy>> {
  const { sizeBytes } = world.records.records.get(layer)!.vhd;
  const outcome = await world.store.takePassing(
    world.east,
    { layer, sizeBytes, reason: 'it passed', unordered: { bytesMax: 1e9, stayingBytes: 1e9, togetherMs: 0, graceMs: 0 } },
    { owner, now: world.clock.now(), leaseMs: WORLD_LEASE_MS },
  );
  if ('refused' in outcome) throw new Error(outcome.refused);
  return outcome.claimed;
}

/** Writes what home has as an expansion does: the partial file, then its final name, while the claim is held. */
async function writeFile({ layer: of, record, share, claimId, isHeld }: FileToMake, until: 'half' | 'whole' = 'whole'): Promise<void> {
  const path = expansionPartialPath(of, claimId);
  const bytes = await bytesOn(world.home, of);
  await share.createFile(path, bytes.length);
  await share.writeRange(path, 0, bytes.subarray(0, 1000));
  if (until === 'half') throw new Error('the process is gone');
  for (let at = 0; at < bytes.length; at += 2 ** 22) await share.writeRange(path, at, bytes.subarray(at, at + 2 ** 22));
  await share.setMetadata(path, layerFileMetadata({ digest: of, ...record }));
  if (!(await isHeld())) throw new Error('the claim was lost');
  await share.rename(path, pathOf(of));
}

const partialFiles = async (): Promise<string[]> => {
  const names: string[] = [];
  for await (const { name } of world.east.list('.partial')) names.push(name);
  return names;
};
const keep = (claimed: Claimed<ReplicaCopy>, expand = (file: FileToMake): Promise<void> => writeFile(file)) => keepPassing({ ...world.ports(), expand }, claimed, never);

describe('a replica made of bytes that passed', () => {
  it('is ready when its file stands, and nothing was copied for it', async () => {
    const claimed = await take();
    expect(await keep(claimed)).toBe(world.records.records.get(layer));
    expect(await world.replica(world.east, layer)).toMatchObject({ state: 'ready' });
    expect((await bytesOn(world.east, layer)).equals(await bytesOn(world.home, layer))).toBe(true);
    expect(world.home.traffic.copiedOutBytes).toBe(0);
  });

  it('that a crash leaves in the middle is copied like any other, and its remains are swept', async () => {
    await expect(keep(await take(), (file) => writeFile(file, 'half'))).rejects.toThrow('gone');
    const left = await partialFiles();
    expect(left).toHaveLength(1);
    await world.clock.advance(WORLD_LEASE_MS);
    await copyReplica(world.ports(), await world.claimCopy(), never);
    expect(await world.replica(world.east, layer)).toMatchObject({ state: 'ready' });
    expect((await bytesOn(world.east, layer)).equals(await bytesOn(world.home, layer))).toBe(true);
    await world.clock.advance(PARTIAL_AGE_MAX_MS + 1);
    expect(await sweepPartialFiles({ store: world.store, shares: world.shares }, PARTIAL_AGE_MAX_MS)).toMatchObject({ removed: [`east/.partial/${left[0]}`] });
  });

  it('whose claim was lost meanwhile is left to who has it now', async () => {
    const claimed = await take();
    await world.clock.advance(WORLD_LEASE_MS);
    const next = await world.claimCopy();
    await expect(keep(claimed)).rejects.toMatchObject({ code: 'CLAIM_LOST' });
    await copyReplica(world.ports(), next, never);
    expect(await world.replica(world.east, layer)).toMatchObject({ state: 'ready' });
  });

  it('leaves what an earlier copy verified to the next one when it fails, and takes it away when it is whole', async () => {
    await world.want(world.east, layer);
    const copy = await world.claimCopy();
    const path = copyPartialPath({ layer, vhd: world.records.records.get(layer)!.vhd.digest }, copy.claim.id);
    await world.east.createFile(path, 10);
    await world.store.progress(copy.claim.id, 5, { path, pieces: Buffer.of(1) });
    await world.store.copies.release(copy.claim.id);
    const first = await take();
    await expect(keep(first, async () => Promise.reject(new Error('no room')))).rejects.toThrow('no room');
    await world.store.copies.release(first.claim.id);
    const second = await take();
    expect(second.item.checkpoint).toMatchObject({ path, pieces: Buffer.of(1) });
    await keep(second);
    expect(await partialFiles()).toEqual([]);
  });

  it('is settled as it is when the file stands there whole already', async () => {
    const claimed = await take();
    await writeFile({ layer, record: world.records.records.get(layer)!, share: world.east, claimId: claimed.claim.id, isHeld: async () => true, signal: never });
    await keep(claimed, async () => Promise.reject(new Error('nothing is to be made')));
    expect(await world.replica(world.east, layer)).toMatchObject({ state: 'ready' });
  });

  it('is not ready when the layer was expanded anew meanwhile, and has another file', async () => {
    const claimed = await take();
    const record = world.records.records.get(layer)!;
    await expect(
      keep(claimed, async (file) => {
        await writeFile(file);
        world.records.records.set(layer, { ...record, vhd: { ...record.vhd, digest: digestOf('another file') } });
      }),
    ).rejects.toMatchObject({ code: 'RECORD_MISSING', transient: true });
    expect(await world.replica(world.east, layer)).toMatchObject({ state: 'copying' });
  });
});
