import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { SystemClock } from '#clock';
import { startTemporaryEmulator, type TemporaryEmulator, TEST_KEY } from '#file-share-emulator/testing';
import type { Digest } from '#oci';
import { PIECE_BYTES } from '#shares';
import { AzureFilesAccount, AzureFilesShare } from '#shares/azure-files';

import type { SuspectRelay } from './copy-pieces.js';
import { type CopyPorts, copyReplica } from './copy-replica.js';
import { FanOut } from './fan-out.js';
import { pathOf, ReplicationWorld, WORLD_LEASE_MS } from './testing/index.js';

const PIECES = '.abcdefghij';
const DATA_PIECES = 10;
const DATA_BYTES = DATA_PIECES * PIECE_BYTES - 512;
/** Slow enough that those who join are there while the first one is at it. */
const SLOWLY = { limits: [{ latencyMs: 5 }] };

/** The machine's clock, that does not wait between tries. */
class HurriedClock extends SystemClock {
  override async sleep(): Promise<void> {}
}

let emulator: TemporaryEmulator;
let world: ReplicationWorld;
let home: AzureFilesShare;
let targets: AzureFilesShare[];
let suspects: SuspectRelay[];
let layer: Digest;
let number = 0;
beforeAll(async () => {
  emulator = await startTemporaryEmulator(['home', 'far1', 'far2', 'far3']);
});
afterAll(() => emulator.close());
beforeEach(async () => {
  world = new ReplicationWorld();
  world.shares.clear();
  suspects = [];
  number += 1;
  emulator.control.disturb({});
  const share = async (account: string): Promise<AzureFilesShare> => {
    const reached = new AzureFilesAccount({ name: account, endpoint: `${emulator.url}/${account}`, credential: { kind: 'key', key: TEST_KEY }, clock: new HurriedClock() });
    const made = new AzureFilesShare({ name: account, region: account, capacityBytes: 1e9, shareName: `layers${number}`, account: reached });
    await made.ensureExists();
    world.shares.set(account, made);
    return made;
  };
  home = await share('home');
  targets = await Promise.all(['far1', 'far2', 'far3'].map(share));
  layer = await world.expandOnto(home, 'layer', PIECES);
  for (const each of targets) await world.want(each, layer);
});

/** Tries all copies at once until all are ready. @returns the codes of those tries that failed. */
async function copyAll(roundsMax: number): Promise<string[]> {
  const clock = new SystemClock();
  const worldPorts = world.ports();
  const ports: CopyPorts = { ...worldPorts, clock, fanOut: new FanOut(worldPorts.regions, clock), onSuspect: (suspect) => void suspects.push(suspect) };
  const failures: string[] = [];
  for (let round = 0; round < roundsMax; round += 1) {
    const claims = await world.store.copies.claim({ owner: 'worker', limit: 10, now: world.clock.now(), leaseMs: WORLD_LEASE_MS });
    if (claims.length === 0) break;
    const copies = claims.map(async (claimed) => {
      try {
        await copyReplica(ports, claimed, new AbortController().signal);
      } catch (error) {
        failures.push((error as { readonly code?: string }).code ?? String(error));
        await world.store.copies.postpone(claimed.claim.id, { now: world.clock.now(), waitMs: 0, reason: 'failed' });
      }
    });
    await Promise.all(copies);
  }
  return failures;
}

async function expectWhole(): Promise<void> {
  const path = pathOf(layer);
  for (const share of targets) {
    expect(await world.replica(share, layer)).toMatchObject({ state: 'ready' });
    for (const range of await home.dataRanges(path)) expect((await share.readRange(path, range)).equals(await home.readRange(path, range))).toBe(true);
    const left: string[] = [];
    for await (const { name } of share.list('.partial')) left.push(name);
    expect(left).toEqual([]);
  }
}

describe('copies of one layer to three shares over HTTP', () => {
  it('take its bytes out of the home share once, and none through this process', async () => {
    const before = emulator.traffic();
    emulator.control.disturb(SLOWLY);
    expect(await copyAll(1)).toEqual([]);
    const after = emulator.traffic();
    expect(after['home']!.copyOutBytes - before['home']!.copyOutBytes).toBe(DATA_BYTES);
    for (const { name } of targets) {
      expect(after[name]!.copyInBytes - before[name]!.copyInBytes).toBe(DATA_BYTES);
      expect([after[name]!.ingressBytes, after[name]!.egressBytes]).toEqual([before[name]!.ingressBytes, before[name]!.egressBytes]);
    }
    await expectWhole();
    expect(suspects).toEqual([]);
  });

  it('end whole when bytes are flipped on the way, in the end, and say who gave them', async () => {
    emulator.control.disturb({ ...SLOWLY, faults: [{ kind: 'flipped-byte', account: 'far2', operation: 'Put Range From URL', ratio: 0.3 }], seed: 7 });
    const failures = await copyAll(30);
    // Its own check finds a wrong piece, or another copy that was given one does: then what it holds is not published.
    for (const code of failures) expect(['PIECE_MISMATCH', 'COPY_INCOMPLETE']).toContain(code);
    emulator.control.disturb({});
    await expectWhole();
  });

  it('end whole when sources are refused at random', async () => {
    emulator.control.disturb({ ...SLOWLY, faults: [{ kind: 'source-expired', ratio: 0.1 }, { kind: 'server-busy', operation: 'Put Range From URL', ratio: 0.1 }], seed: 3 });
    await copyAll(30);
    emulator.control.disturb({});
    await expectWhole();
  });
});
