import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { SystemClock } from '#clock';
import { startTemporaryEmulator, type TemporaryEmulator, TEST_KEY } from '#file-share-emulator/testing';
import type { Digest } from '#oci';
import { PIECE_BYTES } from '#shares';
import { AzureFilesAccount, AzureFilesShare } from '#shares/azure-files';
import { FaultyFront } from '#shares/testing';

import { type CopyPorts, copyReplica } from './copy-replica.js';
import { LinkBudget } from './link-budget.js';
import { scrubReplicas } from './scrub-replicas.js';
import { pathOf, ReplicationWorld } from './testing/index.js';

/** Two pieces of data, a hole before and one behind each. */
const PIECES = '.a.b.';
const DATA_BYTES = 2 * PIECE_BYTES;

/** The machine's clock, that does not wait. */
class HurriedClock extends SystemClock {
  override async sleep(): Promise<void> {}
}

let emulator: TemporaryEmulator;
let front: FaultyFront;
let world: ReplicationWorld;
let home: AzureFilesShare;
let east: AzureFilesShare;
let number = 0;
beforeAll(async () => {
  emulator = await startTemporaryEmulator(['acct1', 'acct2']);
  front = await FaultyFront.start(emulator.port);
});
afterAll(async () => {
  front.close();
  await emulator.close();
});
beforeEach(async () => {
  world = new ReplicationWorld();
  number += 1;
  const share = (name: string, { region, account, url }: { readonly region: string; readonly account: string; readonly url: string }): AzureFilesShare => {
    const credential = { kind: 'key', key: TEST_KEY } as const;
    const reached = new AzureFilesAccount({ name: account, endpoint: `${url}/${account}`, credential, clock: new HurriedClock() });
    return new AzureFilesShare({ name, region, capacityBytes: 1e9, shareName: `layers${number}`, account: reached });
  };
  home = share('home', { region: 'westeurope', account: 'acct1', url: emulator.url });
  east = share('east', { region: 'eastus', account: 'acct2', url: front.url });
  for (const each of [home, east]) {
    await each.ensureExists();
    world.shares.set(each.name, each);
  }
  front.forget();
});

const ports = (): CopyPorts => ({ ...world.ports({ pieceConcurrency: 1 }), clock: new SystemClock() });

async function wanted(): Promise<Digest> {
  const layer = await world.expandOnto(home, 'layer', PIECES);
  await world.want(east, layer);
  return layer;
}

/** Payload since the start, by who carried it. */
function moved(): { readonly out: number; readonly in: number; readonly throughUs: number } {
  const { acct1, acct2 } = emulator.traffic();
  return { out: acct1!.copyOutBytes, in: acct2!.copyInBytes, throughUs: acct1!.egressBytes + acct2!.egressBytes + acct2!.ingressBytes };
}

async function expectWhole(layer: Digest): Promise<void> {
  expect(await world.replica(east, layer)).toMatchObject({ state: 'ready', copiedBytes: DATA_BYTES });
  const path = pathOf(layer);
  const ranges = await home.dataRanges(path);
  expect(await east.dataRanges(path)).toEqual(ranges);
  for (const range of ranges) expect((await east.readRange(path, range)).equals(await home.readRange(path, range))).toBe(true);
  const left: string[] = [];
  for await (const { name } of east.list('.partial')) left.push(name);
  expect(left).toEqual([]);
}

describe('a copy between two shares over HTTP', () => {
  it('reads no hole, writes none, and carries no payload through this process', async () => {
    const layer = await wanted();
    const before = moved();
    await copyReplica(ports(), await world.claimCopy(), new AbortController().signal);
    const after = moved();
    expect([after.out - before.out, after.in - before.in, after.throughUs - before.throughUs]).toEqual([DATA_BYTES, DATA_BYTES, 0]);
    await expectWhole(layer);
  });

  /** The requests of an undisturbed copy, and what is done to one of them: it never arrives, or its answer is lost, and the process stops there. */
  const REQUESTS = 20;
  for (const kind of ['never arrives', 'is carried out and its answer lost'] as const) {
    it(`goes on from the pieces that are there, whichever request ${kind} when it is stopped`, async () => {
      const layer = await wanted();
      let at = 0;
      for (; at < REQUESTS; at += 1) {
        const stop = new AbortController();
        let seen = 0;
        let struck = false;
        front.faultOf = () => {
          seen += 1;
          if (seen <= at || struck) return undefined;
          struck = true;
          if (kind === 'never arrives') {
            stop.abort(new Error('stopped'));
            return { kind: 'refuse', status: 503 };
          }
          return { kind: 'lose-answer', onLost: () => stop.abort(new Error('stopped')) };
        };
        const before = moved();
        const claimed = await world.claimCopy();
        const outcome = await copyReplica(ports(), claimed, stop.signal).then(() => 'copied', () => 'stopped');
        front.forget();
        if (outcome === 'stopped') await world.store.copies.postpone(claimed.claim.id, { now: world.clock.now(), waitMs: 0, reason: 'stopped' });
        if ((await world.replica(east, layer))?.state !== 'ready') await copyReplica(ports(), await world.claimCopy(), new AbortController().signal);
        await expectWhole(layer);
        // The piece whose answer was lost is the only one that may travel twice.
        const again = moved().in - before.in - DATA_BYTES;
        expect([0, PIECE_BYTES]).toContain(again);
        if (!struck) break;
        await world.store.lose({ layer, share: 'east' }, 'for the next round', world.clock.now());
        await east.remove(pathOf(layer));
      }
      expect(at).toBeGreaterThan(6);
      expect(at).toBeLessThan(REQUESTS);
    });
  }
});

describe('a byte that goes bad on the disk of a share', () => {
  it('is found by scrubbing, and the replica is copied again from another region; no hole is read for that', async () => {
    const layer = await wanted();
    await copyReplica(ports(), await world.claimCopy(), new AbortController().signal);
    await emulator.control.damage({ account: 'acct2', share: `layers${number}`, path: pathOf(layer) }, 3 * PIECE_BYTES + 99);
    const budget = new LinkBudget(() => ({}), world.ledger, world.clock);
    const tools = { store: world.store, records: world.records, layers: { expandAgain: () => Promise.resolve(true) }, shares: world.shares, budget, clock: world.clock };
    const before = emulator.traffic();
    const report = await scrubReplicas(tools, { from: {}, bytesMax: 1e12 });
    expect(report).toMatchObject({ ordered: [{ layer, share: 'east' }], expandedAgain: [], finished: 1 });
    expect(emulator.traffic()['acct1']!.egressBytes - before['acct1']!.egressBytes).toBe(DATA_BYTES);
    await copyReplica(ports(), await world.claimCopy(), new AbortController().signal);
    await expectWhole(layer);
    expect(await scrubReplicas(tools, { from: {}, bytesMax: 1e12 })).toMatchObject({ ordered: [], finished: 2 });
  });
});
