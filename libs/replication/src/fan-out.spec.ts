import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';

import type { Claimed } from '#claims';
import type { Digest } from '#oci';
import { copyPartialPath, PIECE_BYTES, pieceRange } from '#shares';
import { MemoryShare } from '#shares/testing';

import type { SuspectRelay } from './copy-pieces.js';
import { type CopyPorts, copyReplica } from './copy-replica.js';
import { FanOut, RELAY_SILENCE_MAX_MS } from './fan-out.js';
import { GATHERING_MAX_MS } from './gathering.js';
import { PieceSet } from './piece-set.js';
import type { ReplicaCopy } from './replica.js';
import { bytesOn, pathOf, ReplicationWorld, WORLD_LEASE_MS } from './testing/index.js';

/** Enough for relays to be worth it, two of them holes. */
const PIECES = 'ab.cdefgh.ij';
const DATA_PIECES = 10;
const DATA_BYTES = DATA_PIECES * PIECE_BYTES - 512;

let world: ReplicationWorld;
let targets: MemoryShare[];
let suspects: SuspectRelay[];
let fanOut: FanOut;
let layer: Digest;

async function begin(count: number, pieces = PIECES): Promise<void> {
  world = new ReplicationWorld();
  world.shares.clear();
  targets = Array.from({ length: count }, (_, n) => new MemoryShare({ name: `t${n}`, region: `region${n}`, clock: world.clock }));
  for (const share of [world.home, ...targets]) world.shares.set(share.name, share);
  suspects = [];
  fanOut = new FanOut(world.ports().regions, world.clock);
  layer = await world.expandOnto(world.home, 'layer', pieces);
  for (const share of targets) await world.want(share, layer);
}

beforeEach(() => begin(2));

const ports = (options: Parameters<ReplicationWorld['ports']>[0] = {}): CopyPorts => ({ ...world.ports(options), fanOut, onSuspect: (suspect) => void suspects.push(suspect) });
const copy = (claimed: Claimed<ReplicaCopy>, { signal = new AbortController().signal, by = ports() } = {}): Promise<void> => copyReplica(by, claimed, signal);

async function claimAll(): Promise<Claimed<ReplicaCopy>[]> {
  return world.store.copies.claim({ owner: 'worker', limit: 100, now: world.clock.now(), leaseMs: WORLD_LEASE_MS });
}

async function expectWhole(share: MemoryShare): Promise<void> {
  expect(await world.replica(share, layer)).toMatchObject({ state: 'ready' });
  expect((await bytesOn(share, layer)).equals(await bytesOn(world.home, layer))).toBe(true);
  expect(share.paths).toEqual([pathOf(layer)]);
}

/** Lets a share answer calls up to the copy of one piece, which waits until `open`. */
function closedAt(share: MemoryShare, piece: number): { readonly reached: Promise<void>; readonly open: () => void } {
  const [reached, opened] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  share.before = async (call) => {
    if (call.operation !== 'copyRange' || call.range?.offset !== piece * PIECE_BYTES) return;
    reached.resolve();
    await opened.promise;
  };
  return { reached: reached.promise, open: () => opened.resolve() };
}

const partialOf = (share: MemoryShare): string => share.paths.find((path) => path.startsWith('.partial'))!;
const out = (share: MemoryShare): number => share.traffic.copiedOutBytes;

/** The first copy stands before its last piece, the second one is under way. */
async function relayAndTaker(): Promise<{ readonly relay: Promise<unknown>; readonly taker: Promise<unknown>; readonly open: () => void; readonly stopRelay: AbortController }> {
  const [first, second] = await claimAll();
  const [stopRelay, gate] = [new AbortController(), closedAt(targets[0]!, 11)];
  const relay = copy(first!, { signal: stopRelay.signal }).catch((error: unknown) => error);
  await gate.reached;
  const taker = copy(second!, { by: ports({ pieceConcurrency: 1 }) });
  return { relay, taker, open: gate.open, stopRelay };
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setImmediate(resolve));
}

describe('copies of one layer to several shares', () => {
  it('take its bytes out of the home share once, and carry no hole', async () => {
    await begin(8);
    await Promise.all((await claimAll()).map((claimed) => copy(claimed)));
    for (const share of targets) await expectWhole(share);
    expect(out(world.home)).toBe(DATA_BYTES);
    for (const share of targets) expect(share.traffic.copiedInBytes).toBe(DATA_BYTES);
    expect([suspects, fanOut.size]).toEqual([[], 0]);
  });

  it('pass on what is there before the whole is', async () => {
    const { relay, taker, open } = await relayAndTaker();
    await until(() => targets[1]!.traffic.copiedInBytes === (DATA_PIECES - 1) * PIECE_BYTES);
    expect([out(world.home), out(targets[0]!)]).toEqual([(DATA_PIECES - 1) * PIECE_BYTES, (DATA_PIECES - 1) * PIECE_BYTES]);
    expect((await world.replica(targets[0]!, layer))?.state).toBe('copying');
    open();
    await Promise.all([relay, taker]);
    for (const share of targets) await expectWhole(share);
    expect(out(world.home)).toBe(DATA_BYTES);
  });

  it('never pass on a piece that is not verified', async () => {
    await begin(3);
    const second = new MemoryShare({ name: 'home2', region: 'westeurope', clock: world.clock });
    world.shares.set(second.name, second);
    await world.expandOnto(second, 'layer', PIECES);
    // So that the first two take from shares that have the whole.
    const dear = { from: 'region0', to: 'region1', roundTripMs: 100, throughputBytesPerSecond: 1e9, pricePerGb: 1 };
    fanOut = new FanOut(world.ports({ links: [dear] }).regions, world.clock);
    const [relay, other, taker] = targets as [MemoryShare, MemoryShare, MemoryShare];
    // Its first piece comes wrong, and is held when it comes for the second time.
    relay.corruptCopies = 1;
    const [again, opened] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let copies = 0;
    relay.before = async (call) => {
      if (call.operation !== 'copyRange' || (copies += 1) !== 2) return;
      again.resolve();
      await opened.promise;
    };
    const gate = closedAt(other, 0);
    const claims = await claimAll();
    const running = claims.slice(0, 2).map((claimed) => copy(claimed, { by: ports({ pieceConcurrency: 1 }) }));
    await Promise.all([again.promise, gate.reached]);
    running.push(copy(claims[2]!, { by: ports({ pieceConcurrency: 1 }) }));
    await until(() => world.clock.sleeperCount > 0);
    expect(taker.traffic.copiedInBytes).toBe(0);
    opened.resolve();
    gate.open();
    await Promise.all(running);
    for (const share of targets) await expectWhole(share);
    expect([suspects, out(relay)]).toEqual([[], DATA_BYTES]);
  });

  it('charge each hop to its own link', async () => {
    await Promise.all((await claimAll()).map((claimed) => copy(claimed, { by: ports({ limits: { bytesPerDay: 1e12 } }) })));
    const usage = await world.ledger.usage('2026-03-01');
    expect(usage.map(({ from, to }) => `${from} ${to}`).toSorted()).toEqual(['region0 region1', 'westeurope region0']);
  });
});

describe('a relay', () => {
  it('that dies leaves the others to go on from the home share', async () => {
    const { relay, taker, stopRelay, open } = await relayAndTaker();
    await until(() => out(targets[0]!) >= 2 * PIECE_BYTES);
    stopRelay.abort(new Error('killed'));
    open();
    expect(await relay).toMatchObject({ message: 'killed' });
    await taker;
    await expectWhole(targets[1]!);
    expect(out(targets[0]!)).toBeGreaterThan(0);
  });

  it('whose partial file is gone leaves the others to go on from the home share', async () => {
    const { relay, taker, open } = await relayAndTaker();
    await targets[0]!.remove(partialOf(targets[0]!));
    await taker;
    await expectWhole(targets[1]!);
    open();
    expect(await relay).toMatchObject({ code: 'FILE_NOT_FOUND' });
    expect(fanOut.size).toBe(0);
  });

  it('whose partial file another worker has taken over leaves the others to go on from the home share', async () => {
    const { taker } = await relayAndTaker();
    await targets[0]!.rename(partialOf(targets[0]!), '.partial/other.vhd');
    await taker;
    await expectWhole(targets[1]!);
  });

  it('that gives wrong bytes is told of and taken from no more, and copies that piece again', async () => {
    const { relay, taker, open } = await relayAndTaker();
    await targets[0]!.writeRange(partialOf(targets[0]!), 3 * PIECE_BYTES + 5, Buffer.of(0));
    await until(() => suspects.length > 0);
    open();
    await Promise.all([relay, taker]);
    expect(suspects).toMatchObject([{ layer, share: 't0', target: 't1', piece: 3 }]);
    for (const share of targets) await expectWhole(share);
    expect(out(world.home)).toBeGreaterThan(DATA_BYTES);
  });

  it('that can grant nothing leaves the others to go on from the home share', async () => {
    targets[0]!.failNext('grantCopySource', 'SHARE_DENIED', { times: 100 });
    await Promise.all((await claimAll()).map((claimed) => copy(claimed)));
    for (const share of targets) await expectWhole(share);
    expect(out(targets[0]!)).toBe(0);
  });

  it('that brings nothing any more is waited for so long, and not longer', async () => {
    const { relay, taker, open } = await relayAndTaker();
    await until(() => targets[1]!.traffic.copiedInBytes === (DATA_PIECES - 1) * PIECE_BYTES && world.clock.sleeperCount > 0);
    await world.clock.advance(RELAY_SILENCE_MAX_MS - 1);
    expect((await world.replica(targets[1]!, layer))?.state).toBe('copying');
    await world.clock.advance(1);
    await taker;
    await expectWhole(targets[1]!);
    open();
    await relay;
    await expectWhole(targets[0]!);
  });

  it('to which the day’s bytes of the link are used up is passed over', async () => {
    const [first, second] = await claimAll();
    await world.ledger.reserve({ from: 'region0', to: 'region1' }, '2026-03-01', 1e9, 1e9);
    await Promise.all([first!, second!].map((claimed) => copy(claimed, { by: ports({ limits: { bytesPerDay: 1e9 } }) })));
    for (const share of targets) await expectWhole(share);
    expect(out(world.home)).toBe(2 * DATA_BYTES);
  });

  it('is not waited for by a copy that was stopped', async () => {
    const { relay, open } = await relayAndTaker();
    const stop = new AbortController();
    await world.want(new MemoryShare({ name: 't1' }), layer);
    const seat = fanOut.join({ layer, vhd: world.records.records.get(layer)!.vhd.digest, share: targets[1]!, path: 'x', done: { size: 0, has: () => false } as never, pieceCount: DATA_PIECES, origins: [world.home] });
    const waiting = seat.relayWith(11, stop.signal);
    stop.abort(new Error('stopped'));
    await expect(waiting).rejects.toThrow('stopped');
    seat.leave();
    open();
    await relay;
  });
});

describe('copies that go on after their worker has died', () => {
  /** Leaves each target with the pieces that a dead worker has noted, and gives the copies to another worker. Nothing has left the home share since. */
  async function succeeding(held: readonly (readonly number[])[]): Promise<Claimed<ReplicaCopy>[]> {
    await begin(held.length);
    const { vhd, pieceCrc64s } = world.records.records.get(layer)!;
    for (const [n, { claim }] of (await claimAll()).entries()) {
      const path = copyPartialPath({ layer, vhd: vhd.digest }, claim.id);
      const done = new PieceSet(pieceCrc64s.length);
      await targets[n]!.createFile(path, vhd.sizeBytes);
      for (const piece of held[n]!) {
        const range = pieceRange(piece, vhd.sizeBytes);
        await targets[n]!.writeRange(path, range.offset, await world.home.readRange(pathOf(layer), range));
        done.add(piece);
      }
      await world.store.progress(claim.id, 1, { path, pieces: done.toBytes() });
    }
    await world.clock.advance(WORLD_LEASE_MS + 1);
    return world.store.copies.claim({ owner: 'successor', limit: 100, now: world.clock.now(), leaseMs: WORLD_LEASE_MS });
  }

  /** The last `count` pieces with data are missing. */
  const but = (count: number): number[] => [0, 1, 3, 4, 5, 6, 7, 8, 10, 11].slice(0, DATA_PIECES - count);
  const missingBytes = (pieces: number): number => pieces * PIECE_BYTES - (pieces === 0 ? 0 : 512);

  it('take out of the home share what none of them has, once, whoever is there first', async () => {
    const claims = await succeeding([but(2), but(3), but(5), but(8), but(9)]);
    // The more one has, the longer its share takes to answer.
    for (const [n, share] of targets.entries()) {
      share.before = async ({ operation }) => {
        if (operation === 'rename' || operation === 'stat') for (let turn = 0; turn < 20 * (targets.length - n); turn += 1) await new Promise((resolve) => setImmediate(resolve));
      };
    }
    await Promise.all(claims.map((claimed) => copy(claimed)));
    for (const share of targets) await expectWhole(share);
    expect(out(world.home)).toBe(missingBytes(2));
  });

  it('take nothing out of it that any of them has', async () => {
    const claims = await succeeding([[0, 1, 3, 4, 5, 6], [7, 8, 10, 11]]);
    await Promise.all(claims.map((claimed) => copy(claimed)));
    for (const share of targets) await expectWhole(share);
    expect([out(world.home), out(targets[0]!), out(targets[1]!)]).toEqual([0, 6 * PIECE_BYTES, missingBytes(4)]);
  });

  it('wait no longer than for a while for one whose share does not answer, nor for one that fails', async () => {
    const [slow, quick, failing] = await succeeding([but(1), but(9), but(1)]);
    const held = Promise.withResolvers<void>();
    targets[0]!.before = async ({ operation }) => (operation === 'rename' ? held.promise : undefined);
    targets[2]!.failNext('rename', 'SHARE_UNAVAILABLE', { times: 10 });
    const failed = copy(failing!).catch((error: unknown) => error);
    const running = [copy(slow!), copy(quick!)];
    expect(await failed).toMatchObject({ code: 'SHARE_UNAVAILABLE' });
    await until(() => world.clock.sleeperCount > 0);
    await world.clock.advance(GATHERING_MAX_MS - 1);
    expect(out(world.home)).toBe(0);
    await world.clock.advance(1);
    await until(() => out(world.home) >= missingBytes(9));
    held.resolve();
    await Promise.all(running);
    for (const share of targets.slice(0, 2)) await expectWhole(share);
  });
});

describe('copies that are disturbed at random', () => {
  const fault = fc.record({
    share: fc.nat(2), at: fc.nat(25),
    kind: fc.constantFrom('corrupt' as const, 'remove' as const, 'source' as const, 'busy' as const, 'stop' as const, 'rot' as const),
  });

  it('end whole everywhere, when those that failed are tried again', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fault, { maxLength: 6 }), fc.integer({ min: 1, max: 5 }), async (faults, pieceConcurrency) => {
        await begin(3, 'ab.cdefgh');
        let signals = new Map<string, AbortController>();
        for (const [n, share] of targets.entries()) {
          let calls = 0;
          share.before = async (): Promise<void> => {
            calls += 1;
            for (const { kind } of faults.filter((one) => one.share === n && one.at === calls)) {
              const partial = partialOf(share);
              if (kind === 'corrupt') share.corruptCopies += 1;
              if (kind === 'source') share.failNext('copyRange', 'COPY_SOURCE_FAILED');
              if (kind === 'busy') share.failNext('copyRange', 'SHARE_BUSY');
              if (kind === 'stop') signals.get(share.name)?.abort(new Error('stopped'));
              if (kind === 'remove' && partial !== undefined) await share.remove(partial);
              if (kind === 'rot' && partial !== undefined) await share.writeRange(partial, 4 * PIECE_BYTES, Buffer.of(1)).catch(() => undefined);
            }
          };
        }
        const rotten = new Set(faults.filter(({ kind }) => kind === 'rot').map(({ share }) => `t${share}`));
        for (let round = 0; round < 12; round += 1) {
          const claims = await claimAll();
          if (claims.length === 0) break;
          signals = new Map(claims.map(({ item }) => [item.share, new AbortController()]));
          await Promise.all(claims.map((claimed) =>
            copy(claimed, { by: ports({ pieceConcurrency }), signal: signals.get(claimed.item.share)!.signal }).catch(async () => {
              await world.store.copies.postpone(claimed.claim.id, { now: world.clock.now(), waitMs: 0, reason: 'failed' });
            }),
          ));
          expect(fanOut.size).toBe(0);
        }
        for (const share of targets) {
          expect(await world.replica(share, layer)).toMatchObject({ state: 'ready' });
          // What rots after it was verified is for scrubbing to find; it must not spread.
          if (!rotten.has(share.name)) await expectWhole(share);
        }
      }),
      { numRuns: 15 },
    );
  });
});
