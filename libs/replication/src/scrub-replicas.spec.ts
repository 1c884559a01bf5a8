import { beforeEach, describe, expect, it } from 'vitest';

import type { Digest } from '#oci';
import { PIECE_BYTES } from '#shares';
import type { MemoryShare } from '#shares/testing';

import { auditReplicas } from './audit-replicas.js';
import { copyReplica } from './copy-replica.js';
import { LinkBudget } from './link-budget.js';
import { type ScrubPlace, type ScrubPorts, type ScrubReport, scrubReplicas } from './scrub-replicas.js';
import { bytesOn, pathOf, ReplicationWorld } from './testing/index.js';

let world: ReplicationWorld;
let again: Digest[];
beforeEach(() => {
  world = new ReplicationWorld();
  again = [];
});

const layers = { expandAgain: (layer: Digest): Promise<boolean> => Promise.resolve(again.push(layer) > 0) };

function ports(bytesPerDay?: number): ScrubPorts {
  const budget = new LinkBudget(() => (bytesPerDay === undefined ? {} : { bytesPerDay }), world.ledger, world.clock);
  return { store: world.store, records: world.records, layers, shares: world.shares, budget, clock: world.clock };
}

const scrub = (bytesMax = 1e12, from: ScrubPlace = {}, bytesPerDay?: number): Promise<ScrubReport> => scrubReplicas(ports(bytesPerDay), { from, bytesMax });
const copy = async (): Promise<void> => copyReplica(world.ports(), await world.claimCopy(), new AbortController().signal);
const readPieces = (share: MemoryShare): number[] => share.calls.flatMap((call) => (call.operation === 'readRange' ? [call.range!.offset / PIECE_BYTES] : []));

async function onTwo(name = 'layer', pieces = 'ab.cd'): Promise<Digest> {
  await world.expandOnto(world.home, name, pieces);
  return world.expandOnto(world.east, name, pieces);
}

/** Flips one byte of a piece on a share, as a disk may. */
async function spoil(share: MemoryShare, layer: Digest, piece: number): Promise<void> {
  const offset = piece * PIECE_BYTES + 4711;
  const [byte] = await share.readRange(pathOf(layer), { offset, length: 1 });
  await share.writeRange(pathOf(layer), offset, Buffer.of(byte! ^ 1));
  share.calls.length = 0;
}

describe('scrubbing', () => {
  it('finds nothing where all bytes are right, and reads no holes', async () => {
    await onTwo();
    const report = await scrub();
    expect(report).toMatchObject({ readBytes: 2 * (4 * PIECE_BYTES - 512), finished: 2, ordered: [], expandedAgain: [], unsteady: [], silentShares: [], budgetUsed: false, next: {} });
    expect(readPieces(world.east)).toEqual([0, 1, 3, 4]);
  });

  it('takes a replica with one wrong byte out of the answers, and has it copied again from another region', async () => {
    const layer = await onTwo();
    await spoil(world.east, layer, 3);
    expect(await scrub()).toMatchObject({ ordered: [{ layer, share: 'east' }], expandedAgain: [], finished: 1 });
    expect(await world.replica(world.east, layer)).toMatchObject({ state: 'wanted', copiedBytes: 0, reason: expect.stringContaining('piece 3 of its file') as string });
    expect(readPieces(world.east)).toEqual([0, 1, 3, 3]);
    await copy();
    expect(await world.replica(world.east, layer)).toMatchObject({ state: 'ready' });
    expect((await bytesOn(world.east, layer)).equals(await bytesOn(world.home, layer))).toBe(true);
    expect(world.east.paths).toEqual([pathOf(layer)]);
    expect(await scrub()).toMatchObject({ ordered: [], finished: 2 });
  });

  it.each([
    ['gone', (path: string) => world.east.remove(path)],
    ['shorter', (path: string) => world.east.resizeFile(path, 512)],
  ])('has a replica copied again whose file is %s', async (_title, harm) => {
    const layer = await onTwo();
    await harm(pathOf(layer));
    expect(await scrub()).toMatchObject({ ordered: [{ layer, share: 'east' }] });
    await copy();
    expect((await bytesOn(world.east, layer)).equals(await bytesOn(world.home, layer))).toBe(true);
  });

  it('never drops the last good replica: the layer is expanded again', async () => {
    const layer = await onTwo();
    await spoil(world.east, layer, 0);
    await spoil(world.home, layer, 1);
    expect(await scrub()).toMatchObject({ ordered: [{ layer, share: 'east' }], expandedAgain: [{ layer, share: 'home' }] });
    expect(again).toEqual([layer]);
    expect(await world.replica(world.home, layer)).toMatchObject({ state: 'ready' });
  });

  it('leaves to the audit what it was ended in the middle of', async () => {
    const layer = await onTwo();
    await spoil(world.east, layer, 0);
    const { store } = world;
    const crash: ScrubPorts = { ...ports(), store: { page: store.page.bind(store), find: store.find.bind(store), lose: () => Promise.reject(new Error('crash')) } };
    await expect(scrubReplicas(crash, { from: {}, bytesMax: 1e12 })).rejects.toThrow('crash');
    expect(await world.replica(world.east, layer)).toMatchObject({ state: 'ready' });
    expect(await auditReplicas({ ...ports(), store: world.store }, { limit: 10 })).toMatchObject({ ordered: [{ layer, share: 'east' }] });
    await copy();
    expect((await bytesOn(world.east, layer)).equals(await bytesOn(world.home, layer))).toBe(true);
  });

  it('believes a second reading, and tells of it', async () => {
    const layer = await onTwo('layer', 'a');
    let readings = 0;
    const flips = Object.create(world.east, {
      readRange: { value: async (...args: Parameters<MemoryShare['readRange']>) => {
        const bytes = await world.east.readRange(...args);
        readings += 1;
        if (readings === 1) bytes[7]! ^= 1;
        return bytes;
      } },
    }) as MemoryShare;
    const shares = new Map([...world.shares, ['east', flips]]);
    expect(await scrubReplicas({ ...ports(), shares }, { from: {}, bytesMax: 1e12 })).toMatchObject({ ordered: [], unsteady: [{ layer, share: 'east', piece: 0 }], finished: 2 });
  });

  it('takes a share that does not answer for no evidence', async () => {
    for (const name of ['a', 'b']) await onTwo(name);
    world.east.failNext('readRange', 'SHARE_UNAVAILABLE');
    expect(await scrub()).toMatchObject({ ordered: [], silentShares: ['east'], finished: 2 });
    expect(readPieces(world.east)).toHaveLength(1);
  });

  it('passes over a layer that is being expanded again, and a replica that was drained meanwhile', async () => {
    const [one, other] = [await onTwo('one'), await onTwo('other')];
    world.records.records.delete(one);
    await spoil(world.east, other, 4);
    world.east.before = async (call) => {
      if (call.operation === 'readRange') await world.store.drain({ layer: other, share: 'east' }, { reason: 'plan', now: world.clock.now(), graceMs: 0 });
    };
    expect(await scrub()).toMatchObject({ ordered: [], expandedAgain: [], finished: 1 });
    expect(await world.replica(world.east, other)).toMatchObject({ state: 'draining' });
  });
});

describe('the bytes of scrubbing', () => {
  it('are read a part at a time, each once in a round, also within a file', async () => {
    for (const name of ['a', 'b', 'c']) await onTwo(name, 'xyz.');
    let place: ScrubPlace = {};
    let rounds = 0;
    do {
      const report = await scrub(2 * PIECE_BYTES, place);
      expect(report.readBytes).toBeLessThanOrEqual(2 * PIECE_BYTES);
      place = report.next;
      rounds += 1;
    } while (place.after !== undefined || place.within !== undefined);
    expect(rounds).toBe(9);
    for (const share of [world.home, world.east]) expect(readPieces(share)).toEqual([0, 1, 2, 0, 1, 2, 0, 1, 2]);
  });

  it('begin at the first piece of the next file when the one before is gone', async () => {
    const [one, other] = [await onTwo('a', 'xyz'), await onTwo('b', 'xyz')].toSorted();
    const { next } = await scrub(PIECE_BYTES);
    expect(next).toMatchObject({ within: { layer: one }, piece: 1 });
    for (const share of ['east', 'home']) await world.store.drain({ layer: one!, share }, { reason: 'plan', now: world.clock.now(), graceMs: 0 });
    const last = await scrub(1e12, next);
    expect(last.finished).toBe(3);
    expect(other).toBeDefined();
  });

  it('never pass the day’s bound of a region, and go on the next day where they ended', async () => {
    for (const name of ['a', 'b']) await onTwo(name, 'wxyz');
    const bound = 3 * PIECE_BYTES;
    const first = await scrub(1e12, {}, bound);
    expect(first).toMatchObject({ budgetUsed: true });
    expect(await scrub(1e12, first.next, bound)).toMatchObject({ budgetUsed: true, readBytes: 0, next: first.next });
    for (const usage of await world.ledger.usage('2026-03-01')) expect(usage.bytes).toBeLessThanOrEqual(bound);
    await world.clock.advance(86_400_000);
    const second = await scrub(1e12, first.next, bound);
    expect(second.readBytes).toBeGreaterThan(0);
    for (const share of [world.home, world.east]) expect(new Set(readPieces(share)).size).toBe(readPieces(share).length > 4 ? 4 : readPieces(share).length);
  });
});
