import { beforeEach, describe, expect, it } from 'vitest';

import { ClaimLoop } from '#claims';
import { SystemClock } from '#clock';
import { describeError } from '#errors';
import { type Digest, digestOf } from '#oci';
import { MiB } from '#quantities';
import { PIECE_BYTES } from '#shares';
import type { MemoryShare } from '#shares/testing';

import { PIECE_TRIES_MAX } from './copy-pieces.js';
import { type CopyPorts, copyReplica } from './copy-replica.js';
import type { ReplicaCopy } from './replica.js';
import { bytesOn, pathOf, ReplicationWorld, WORLD_LEASE_MS } from './testing/index.js';

let world: ReplicationWorld;
beforeEach(() => {
  world = new ReplicationWorld();
});

const copy = async (ports: CopyPorts = world.ports(), signal = new AbortController().signal): Promise<void> => copyReplica(ports, await world.claimCopy(), signal);
const copiedPieces = (share: MemoryShare): number[] =>
  share.calls.flatMap((call) => (call.operation === 'copyRange' && call.range !== undefined ? [call.range.offset / PIECE_BYTES] : []));
const same = async (layer: Digest, to: MemoryShare): Promise<boolean> => (await bytesOn(to, layer)).equals(await bytesOn(world.home, layer));

async function wanted(pieces: string, to = world.east): Promise<Digest> {
  const layer = await world.expandOnto(world.home, 'layer', pieces);
  await world.want(to, layer);
  return layer;
}

describe('a copy', () => {
  it('makes an equal file under the final name, and the replica ready', async () => {
    const layer = await wanted('abc');
    await copy();
    expect(await same(layer, world.east)).toBe(true);
    expect(world.east.paths).toEqual([pathOf(layer)]);
    expect((await world.east.stat(pathOf(layer)))?.metadata).toMatchObject({ vhd_digest: digestOf('layer expanded') });
    expect((await world.east.stat(pathOf(layer)))?.metadata).toEqual((await world.home.stat(pathOf(layer)))?.metadata);
    expect(await world.replica(world.east, layer)).toMatchObject({ state: 'ready', copiedBytes: 3 * PIECE_BYTES - 512, readyAt: world.clock.now() });
  });

  it('never carries holes, and leaves them unwritten', async () => {
    const layer = await wanted('.a..b.');
    await copy();
    expect(await same(layer, world.east)).toBe(true);
    expect(world.east.traffic.copiedInBytes).toBe(2 * PIECE_BYTES);
    expect(await world.east.dataRanges(pathOf(layer))).toEqual(await world.home.dataRanges(pathOf(layer)));
  });

  it('copies a file that is one hole without carrying a byte', async () => {
    const layer = await wanted('..');
    await copy();
    expect(await same(layer, world.east)).toBe(true);
    expect(copiedPieces(world.east)).toEqual([]);
  });

  it('moves no byte through this process', async () => {
    await wanted('abc');
    const before = world.home.traffic;
    await copy();
    expect(world.home.traffic.readBytes).toBe(before.readBytes);
    expect(world.east.traffic).toMatchObject({ writtenBytes: 0, readBytes: 0 });
  });

  it('has as many pieces under way as it may, and no more', async () => {
    await wanted('abcdefgh');
    let [under, most] = [0, 0];
    world.east.before = async (call) => {
      if (call.operation !== 'copyRange') return;
      under += 1;
      most = Math.max(most, under);
      await new Promise((resolve) => setImmediate(resolve));
      under -= 1;
    };
    await copy(world.ports({ pieceConcurrency: 3 }));
    expect(most).toBe(3);
  });

  it('waits for the share three times in all, as far as pieces fit at once: to make the file, to fill it, and to give it its name', async () => {
    const layer = await wanted('ab.cd');
    let asked: (() => void)[] = [];
    world.east.before = () => new Promise((answer) => void asked.push(answer));
    let settled = false;
    const copied = copy().finally(() => (settled = true));
    const rounds: number[] = [];
    while (!settled) {
      // Everything that waits for no answer of the share has happened when the event loop has turned a few times.
      for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate);
      const answered = asked;
      asked = [];
      if (answered.length > 0) rounds.push(answered.length);
      for (const answer of answered) answer();
    }
    await copied;
    world.east.before = () => {};
    // A look whether it is there; the list of what earlier tries left, its folder, and a look at what was made.
    expect(rounds).toEqual([2, 4 + 1, 2, 1]);
    expect(await same(layer, world.east)).toBe(true);
  });

  it('writes its progress down at most once a second', async () => {
    const layer = await wanted('abcdefgh');
    const seen: number[] = [];
    world.east.before = async (call) => {
      if (call.operation !== 'copyRange') return;
      seen.push((await world.replica(world.east, layer))!.copiedBytes / PIECE_BYTES);
      await world.clock.advance(400);
    };
    await copy(world.ports({ pieceConcurrency: 1 }));
    expect(seen).toEqual([0, 0, 0, 3, 3, 3, 6, 6]);
  });
});

describe('the source of a copy', () => {
  const link = (from: string, pricePerGb: number, roundTripMs: number) => ({ from, to: 'southeastasia', pricePerGb, roundTripMs, throughputBytesPerSecond: 1e9 });

  it.each([
    ['the cheapest link', [link('westeurope', 0.08, 10), link('eastus', 0.05, 200)], 'east'],
    ['of equally cheap links the nearest', [link('westeurope', 0.05, 160), link('eastus', 0.05, 200)], 'home'],
  ])('is the share with %s', async (_title, links, from) => {
    const layer = await world.expandOnto(world.home, 'layer', 'ab');
    await world.expandOnto(world.east, 'layer', 'ab');
    await world.want(world.asia, layer);
    await copy(world.ports({ links }));
    expect(await same(layer, world.asia)).toBe(true);
    expect([world.home, world.east].filter((share) => share.traffic.copiedOutBytes > 0).map((share) => share.name)).toEqual([from]);
  });

  it('is another one for a piece that came damaged', async () => {
    const layer = await world.expandOnto(world.home, 'layer', 'abcd');
    await world.expandOnto(world.east, 'layer', 'abcd');
    await world.want(world.asia, layer);
    world.asia.corruptCopies = 1;
    await copy();
    expect(await same(layer, world.asia)).toBe(true);
    expect([world.home, world.east].map((share) => share.traffic.copiedOutBytes > 0)).toEqual([true, true]);
  });

  it.each([1, PIECE_TRIES_MAX - 1])('is the same one again for a piece that came damaged %i times, where there is no other', async (times) => {
    const layer = await wanted('abcd');
    world.east.corruptCopies = times;
    await copy(world.ports({ pieceConcurrency: 1 }));
    expect(await same(layer, world.east)).toBe(true);
    // Only that piece was copied again.
    expect(copiedPieces(world.east)).toEqual([...Array.from({ length: times }, () => 0), 0, 1, 2, 3]);
  });

  it('is asked no more often than twice for a piece that it cannot give', async () => {
    await wanted('a');
    world.east.failNext('copyRange', 'COPY_SOURCE_FAILED', { times: PIECE_TRIES_MAX });
    await expect(copy()).rejects.toMatchObject({ code: 'COPY_SOURCE_FAILED' });
    expect(copiedPieces(world.east)).toEqual([0, 0]);
  });

  it('is another one for a layer that is damaged on the nearest share', async () => {
    const layer = await world.expandOnto(world.home, 'layer', 'abcd');
    await world.expandOnto(world.east, 'layer', 'abcd');
    await world.east.writeRange(pathOf(layer), PIECE_BYTES + 7, Buffer.of(0));
    await world.want(world.asia, layer);
    await copy(world.ports({ links: [link('eastus', 0, 1)] }));
    expect(await same(layer, world.asia)).toBe(true);
  });

  it('gets a new grant before the old one ends', async () => {
    const layer = await wanted('abcdef');
    world.east.before = async (call) => {
      if (call.operation === 'copyRange') await world.clock.advance(4 * 60_000);
    };
    await copy(world.ports({ pieceConcurrency: 1 }));
    expect(await same(layer, world.east)).toBe(true);
    expect(world.home.calls.filter((call) => call.operation === 'grantCopySource')).toHaveLength(2);
  });

  it('gets a new grant when the old one did not serve', async () => {
    const layer = await wanted('ab');
    world.east.failNext('copyRange', 'COPY_SOURCE_FAILED');
    await copy(world.ports({ pieceConcurrency: 1 }));
    expect(await same(layer, world.east)).toBe(true);
    expect(world.home.calls.filter((call) => call.operation === 'grantCopySource')).toHaveLength(2);
  });
});

describe('a copy that cannot be', () => {
  it.each([1, 2])('says which piece is not what the record says, and hands nothing out (%i sources)', async (sources) => {
    const layer = await world.expandOnto(world.home, 'layer', 'abc');
    if (sources === 2) await world.expandOnto(world.east, 'layer', 'abc');
    await world.want(world.asia, layer);
    world.asia.corruptCopies = 100;
    const failure: unknown = await copy(world.ports({ pieceConcurrency: 1 })).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'PIECE_MISMATCH', transient: false, details: { piece: 0, share: 'asia' } });
    expect(copiedPieces(world.asia)).toEqual(Array.from({ length: PIECE_TRIES_MAX }, () => 0));
    expect(world.asia.paths).not.toContain(pathOf(layer));
    expect(await world.replica(world.asia, layer)).toMatchObject({ state: 'copying', copiedBytes: 0 });
  });

  it('says so also when its only source has the piece wrong, and takes nothing of it over into its next try', async () => {
    const layer = await wanted('ab');
    await world.home.writeRange(pathOf(layer), PIECE_BYTES + 7, Buffer.of(0));
    const claimed = await world.claimCopy();
    await expect(copyReplica(world.ports({ pieceConcurrency: 1 }), claimed, new AbortController().signal)).rejects.toMatchObject({ code: 'PIECE_MISMATCH', details: { piece: 1 } });
    expect(copiedPieces(world.east)).toEqual([0, ...Array.from({ length: PIECE_TRIES_MAX }, () => 1)]);
    await world.store.copies.postpone(claimed.claim.id, { now: world.clock.now(), waitMs: 0, reason: 'wrong' });
    await world.home.writeRange(pathOf(layer), PIECE_BYTES + 7, Buffer.from('b'));
    world.east.calls.length = 0;
    await copy();
    expect(copiedPieces(world.east)).toEqual([1]);
    expect(await same(layer, world.east)).toBe(true);
  });

  const spoilers: readonly (readonly [string, (layer: Digest) => unknown])[] = [
    ['NO_SOURCE', (layer) => world.store.drainUnreferenced(layer, { reason: 'x', now: world.clock.now(), graceMs: 0 })],
    ['RECORD_MISSING', (layer) => world.records.records.delete(layer)],
    ['SHARE_UNKNOWN', () => world.shares.delete('east')],
  ];
  it.each(spoilers)('fails with %s and writes nothing', async (code, spoil) => {
    const layer = await wanted('ab');
    const claimed = await world.claimCopy();
    await spoil(layer);
    await expect(copyReplica(world.ports(), claimed, new AbortController().signal)).rejects.toMatchObject({ code });
    expect(world.east.paths).toEqual([]);
  });

  it('ends all its pieces at the first failure of the share', async () => {
    await wanted('abcdefgh');
    world.east.failNext('copyRange', 'SHARE_FULL');
    await expect(copy(world.ports({ pieceConcurrency: 2 }))).rejects.toMatchObject({ code: 'SHARE_FULL' });
    expect(copiedPieces(world.east).length).toBeLessThanOrEqual(3);
  });

  it('does not give a final name to a partial file that another hand has shortened', async () => {
    const layer = await wanted('ab');
    world.east.before = async (call): Promise<void> => {
      if (call.operation === 'stat' && call.path.startsWith('.partial')) await world.east.resizeFile(call.path, 512);
    };
    await expect(copy()).rejects.toMatchObject({ code: 'COPY_INCOMPLETE', transient: true });
    expect(await world.east.stat(pathOf(layer))).toBeUndefined();
    world.east.before = () => {};
    await world.clock.advance(WORLD_LEASE_MS);
    await copy();
    expect(await same(layer, world.east)).toBe(true);
  });
});

describe('a copy that goes on', () => {
  it('copies only the pieces that are missing', async () => {
    const layer = await wanted('abcdef');
    world.east.before = (call) => {
      if (call.operation === 'copyRange' && call.range?.offset === 4 * PIECE_BYTES) world.east.failNext('copyRange', 'SHARE_BUSY');
    };
    const claimed = await world.claimCopy();
    await expect(copyReplica(world.ports({ pieceConcurrency: 1 }), claimed, new AbortController().signal)).rejects.toMatchObject({ code: 'SHARE_BUSY' });
    await world.store.copies.postpone(claimed.claim.id, { now: world.clock.now(), waitMs: 0, reason: 'busy' });
    world.east.before = () => {};
    world.east.calls.length = 0;
    await copy();
    expect(copiedPieces(world.east)).toEqual([4, 5]);
    expect(await same(layer, world.east)).toBe(true);
    expect(world.east.paths).toEqual([pathOf(layer)]);
  });

  it('begins anew when the partial file is gone', async () => {
    const layer = await wanted('abc');
    const stop = new AbortController();
    world.east.before = (call) => {
      if (call.operation === 'copyRange' && call.range?.offset === 2 * PIECE_BYTES) stop.abort(new Error('shutdown'));
    };
    const claimed = await world.claimCopy();
    await expect(copyReplica(world.ports({ pieceConcurrency: 1 }), claimed, stop.signal)).rejects.toThrow('shutdown');
    await world.store.copies.release(claimed.claim.id);
    expect(await world.replica(world.east, layer)).toMatchObject({ state: 'wanted', copiedBytes: 2 * PIECE_BYTES });
    for (const path of world.east.paths) await world.east.remove(path);
    await copy();
    expect(await same(layer, world.east)).toBe(true);
  });

  it('takes no piece over from a file of other bytes, when the layer was expanded anew meanwhile', async () => {
    const layer = await wanted('abc');
    const claimed = await world.claimCopy();
    world.east.failNext('rename', 'SHARE_BUSY');
    await expect(copyReplica(world.ports(), claimed, new AbortController().signal)).rejects.toMatchObject({ code: 'SHARE_BUSY' });
    await world.store.copies.postpone(claimed.claim.id, { now: world.clock.now(), waitMs: 0, reason: 'busy' });
    await world.expandOnto(world.home, 'layer', 'abd');
    world.records.records.set(layer, { ...world.records.records.get(layer)!, vhd: { digest: digestOf('version 2'), sizeBytes: 3 * PIECE_BYTES - 512 } });
    await copy();
    expect(await same(layer, world.east)).toBe(true);
    expect(world.east.paths).toEqual([pathOf(layer)]);
  });

  it('is put off to the next day, with the reason, when the link has carried its bytes of the day', async () => {
    const layer = await wanted('abcd');
    const limits = { bytesPerDay: 10 * MiB };
    await copy(world.ports({ limits, pieceConcurrency: 1 }));
    const replica = await world.replica(world.east, layer);
    expect(replica).toMatchObject({ state: 'wanted', copiedBytes: 8 * MiB });
    expect(replica?.lastError).toContain('2026-03-02T00:00:00.000Z');
    await expect(world.claimCopy()).rejects.toThrow('no copy');
    await world.clock.advance(12 * 3_600_000);
    await copy(world.ports({ limits, pieceConcurrency: 1 }));
    expect(await world.replica(world.east, layer)).toMatchObject({ state: 'ready' });
    expect(await same(layer, world.east)).toBe(true);
    expect(copiedPieces(world.east)).toHaveLength(4);
    for (const day of ['2026-03-01', '2026-03-02']) for (const usage of await world.ledger.usage(day)) expect(usage.bytes).toBeLessThanOrEqual(limits.bytesPerDay);
  });
});

describe('a worker that is gone', () => {
  /** The steps of a copy: every call to the target and every note in the store. The one with the number or the name `at` waits until `wake`. */
  function stopAt(at: number | string): { readonly ports: CopyPorts; readonly stopped: Promise<string>; readonly wake: () => void; readonly steps: string[]; enough(): void } {
    const steps: string[] = [];
    let [stopped, wake, active]: [(step: string) => void, () => void, boolean] = [() => {}, () => {}, true];
    const isStopped = new Promise<string>((resolve) => (stopped = resolve));
    const woken = new Promise<void>((resolve) => (wake = resolve));
    const step = async (name: string): Promise<void> => {
      if (!active) return;
      steps.push(name);
      if (steps.length - 1 !== at && (name !== at || steps.indexOf(name) < steps.length - 1)) return;
      stopped(name);
      await woken;
    };
    // An earlier try's file is taken over by a rename, too.
    world.east.before = (call) => step(call.operation === 'rename' && !steps.includes('ensureFolders') ? 'take over' : call.operation);
    const ports = world.ports({ pieceConcurrency: 1 });
    const store = Object.create(ports.store, {
      progress: { value: async (...args: Parameters<typeof ports.store.progress>) => (await step('progress'), ports.store.progress(...args)) },
      complete: { value: async (...args: Parameters<typeof ports.store.complete>) => (await step('complete'), ports.store.complete(...args)) },
      find: { value: (layers: readonly Digest[]) => ports.store.find(layers) },
      copies: { value: ports.store.copies },
    }) as CopyPorts['store'];
    return { ports: { ...ports, store }, stopped: isStopped, wake, steps, enough: () => (active = false) };
  }

  const STEPS = ['createFile', 'stat', 'progress', 'list', 'copyRange', 'ensureFolders', 'copyRange', 'stat', 'progress', 'rename', 'complete'];

  it('has taken these steps when it is not disturbed', async () => {
    await wanted('a.b');
    const { ports, steps } = stopAt(-1);
    await copy(ports);
    expect(steps).toEqual(STEPS);
  });

  for (const [at, name] of STEPS.entries()) {
    it(`is replaced when its claim runs out before step ${at} (${name}), and harms nothing when it comes back`, async () => {
      const layer = await wanted('a.b');
      const { ports, stopped, wake, enough } = stopAt(at);
      const gone = copyReplica(ports, await world.claimCopy(), new AbortController().signal).then(
        () => 'settled',
        (error: unknown) => describeError(error),
      );
      expect(await stopped).toBe(name);
      enough();
      await expect(world.claimCopy()).rejects.toThrow('no copy');
      await world.clock.advance(WORLD_LEASE_MS);
      await copy();
      const [replica, etag] = [await world.replica(world.east, layer), (await world.east.stat(pathOf(layer)))?.etag];
      expect(replica).toMatchObject({ state: 'ready' });
      expect(await same(layer, world.east)).toBe(true);
      wake();
      expect(await gone).not.toBe('settled');
      expect(await world.replica(world.east, layer)).toEqual(replica);
      expect((await world.east.stat(pathOf(layer)))?.etag).toBe(etag);
      expect(await same(layer, world.east)).toBe(true);
      expect(world.east.paths).toEqual([pathOf(layer)]);
    });
  }

  for (const at of [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]) {
    it(`does not harm the one who took over when it comes back in the middle of that copy (stopped before step ${at}, ${STEPS[at]})`, async () => {
      const layer = await wanted('a.b');
      const first = stopAt(at);
      const gone = copyReplica(first.ports, await world.claimCopy(), new AbortController().signal).catch((error: unknown) => describeError(error));
      await first.stopped;
      first.enough();
      await world.clock.advance(WORLD_LEASE_MS);
      // The second one has verified every piece, and is about to give the file its name.
      const second = stopAt('rename');
      const copied = copy(second.ports);
      await second.stopped;
      first.wake();
      expect(await gone).toMatch(/^(CLAIM_LOST|FILE_NOT_FOUND|COPY_INCOMPLETE)/);
      second.wake();
      await copied;
      expect(await world.replica(world.east, layer)).toMatchObject({ state: 'ready' });
      expect(await same(layer, world.east)).toBe(true);
      expect(world.east.paths).toEqual([pathOf(layer)]);
    });
  }

  it('leaves pieces that the next worker need not copy', async () => {
    await wanted('abcdef');
    const { ports, stopped, enough } = stopAt(8);
    void copyReplica(ports, await world.claimCopy(), new AbortController().signal).catch(() => undefined);
    // The grant takes a second: the first piece is noted at once, the next ones are not.
    world.home.before = () => world.clock.advance(1000);
    expect(await stopped).toBe('copyRange');
    enough();
    await world.clock.advance(WORLD_LEASE_MS);
    world.east.calls.length = 0;
    await copy();
    expect(copiedPieces(world.east)).toEqual([1, 2, 3, 4, 5]);
  });
});

it('is driven by a claim loop until every layer is ready, whatever fails meanwhile', async () => {
  const layers: Digest[] = [];
  for (const name of ['a', 'b', 'c', 'd']) layers.push(await world.expandOnto(world.home, name, 'x.y'));
  for (const layer of layers) await world.want(world.east, layer);
  for (const operation of ['createFile', 'copyRange', 'setMetadata', 'rename', 'stat'] as const) world.east.failNext(operation, 'SHARE_BUSY');
  world.east.corruptCopies = 1;
  const clock = new SystemClock();
  const ports = { ...world.ports(), clock };
  let settled = 0;
  await new Promise<void>((resolve) => {
    const loop: ClaimLoop<ReplicaCopy> = new ClaimLoop<ReplicaCopy>({
      name: 'copy',
      owner: 'worker',
      source: world.store.copies,
      work: (claimed, signal) => copyReplica(ports, claimed, signal),
      clock,
      concurrency: 2,
      leaseMs: 5000,
      pollMs: 5,
      backoff: { triesMax: 1, firstWaitMs: 2, waitMaxMs: 10, askedWaitMaxMs: 0 },
      onEnd: (end) => {
        if (end.outcome === 'settled') settled += 1;
        if (settled === layers.length) void loop.stop(1000).then(resolve);
      },
    });
    loop.start();
  });
  for (const layer of layers) {
    expect(await world.replica(world.east, layer)).toMatchObject({ state: 'ready' });
    expect(await same(layer, world.east)).toBe(true);
  }
  expect(world.east.paths).toEqual(layers.map(pathOf).toSorted());
});
