import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';

import type { Claimed } from '#claims';
import type { Digest } from '#oci';
import { PIECE_BYTES } from '#shares';
import { MemoryShare } from '#shares/testing';

import type { SuspectRelay } from './copy-pieces.js';
import { type CopyPorts, copyReplica } from './copy-replica.js';
import { FanOut, RELAY_SILENCE_MAX_MS } from './fan-out.js';
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
  }, 60_000);
});
