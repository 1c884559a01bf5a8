import { randomBytes } from 'node:crypto';

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { SystemClock } from '#clock';
import type { DisturbanceSettings } from '#file-share-emulator';
import { startTemporaryEmulator, type TemporaryEmulator, TEST_KEY } from '#file-share-emulator/testing';
import { MiB } from '#quantities';

import { crc64Of } from '../crc64.js';
import { PIECE_BYTES } from '../layer-file.js';
import { expectShareError } from '../testing/share-conformance.js';
import { AzureFilesAccount } from './azure-files-account.js';
import { AzureFilesShare } from './azure-files-share.js';

const PIECES = 24;

/** The machine's clock; what it is told to wait it waits a twentieth of. */
class HurriedClock extends SystemClock {
  override sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return super.sleep(ms / 20, signal);
  }
}

let emulator: TemporaryEmulator;
let home: AzureFilesShare;
let east: AzureFilesShare;
beforeAll(async () => {
  emulator = await startTemporaryEmulator(['acct1', 'acct2']);
  [home, east] = ['acct1', 'acct2'].map((name) => {
    const account = new AzureFilesAccount({ name, endpoint: `${emulator.url}/${name}`, credential: { kind: 'key', key: TEST_KEY }, clock: new HurriedClock() });
    return new AzureFilesShare({ name, region: name, capacityBytes: 1e9, shareName: 'layers', account });
  }) as [AzureFilesShare, AzureFilesShare];
  for (const share of [home, east]) await share.ensureExists();
});
afterEach(() => emulator.control.disturb({}));
afterAll(() => emulator.close());

const faults: readonly (readonly [string, DisturbanceSettings])[] = [
  ['busy', { faults: [{ kind: 'server-busy', ratio: 0.3 }] }],
  ['timing out', { faults: [{ kind: 'timed-out', ratio: 0.3 }] }],
  ['cutting bodies', { faults: [{ kind: 'cut-body', ratio: 0.3, afterBytes: 1_000_000 }] }],
  ['limited to few requests a second', { limits: [{ requestsPerSecond: 200 }] }],
  ['all of it at once', { faults: [{ kind: 'server-busy', ratio: 0.1 }, { kind: 'timed-out', ratio: 0.1 }, { kind: 'cut-body', ratio: 0.2 }], limits: [{ latencyMs: 5 }] }],
];

describe.each(faults)('a service that is %s', (title, settings) => {
  it('takes, copies and gives every byte as it is', async () => {
    const path = `${title.replaceAll(' ', '-')}.vhd`;
    const contents = Array.from({ length: PIECES }, () => randomBytes(64 * 1024));
    emulator.control.disturb({ ...settings, seed: 7 });
    for (const share of [home, east]) await share.createFile(path, PIECES * PIECE_BYTES);
    await Promise.all(contents.map((content, n) => home.writeRange(path, n * PIECE_BYTES, content)));
    const source = await home.grantCopySource(path, new Date(Date.now() + 3_600_000));
    const ranges = contents.map((content, n) => ({ offset: n * PIECE_BYTES, length: content.length }));
    const crcs = await Promise.all(ranges.map((range) => east.copyRange(path, range, source)));
    expect(crcs).toEqual(contents.map(crc64Of));
    const read = await Promise.all(ranges.map((range) => east.readRange(path, range)));
    expect(read.every((bytes, n) => bytes.equals(contents[n]!))).toBe(true);
    expect((await east.readRange(path, { offset: 0, length: 2 * PIECE_BYTES })).subarray(PIECE_BYTES, PIECE_BYTES + 64 * 1024).equals(contents[1]!)).toBe(true);
    for (const share of [home, east]) {
      await share.rename(path, `done/${path}`);
      expect(await share.remove(`done/${path}`)).toBe(true);
    }
  });
});

describe('a share', () => {
  it('that is full says so at once, and takes bytes again when it is not', async () => {
    await home.createFile('full.vhd', MiB);
    emulator.control.disturb({ faults: [{ kind: 'share-full' }] });
    await expectShareError(home.writeRange('full.vhd', 0, Buffer.alloc(512, 1)), 'SHARE_FULL');
    emulator.control.disturb({});
    await home.writeRange('full.vhd', 0, Buffer.alloc(512, 1));
    expect(await home.readRange('full.vhd', { offset: 0, length: 512 })).toEqual(Buffer.alloc(512, 1));
  });

  it('is asked less while it limits its requests, so that few are refused', async () => {
    await home.createFile('limited.vhd', PIECE_BYTES);
    // A machine that is too busy to send as much as the share takes is right to send more: then the share takes less.
    for (let requestsPerSecond = 100, isLimited = false; !isLimited && requestsPerSecond > 5; requestsPerSecond = Math.floor(requestsPerSecond / 2)) {
      emulator.control.disturb({ limits: [{ share: 'layers', requestsPerSecond, latencyMs: 20 }] });
      const startedAt = performance.now();
      await Promise.all(Array.from({ length: 3 * requestsPerSecond }, (_, n) => home.writeRange('limited.vhd', n * 512, Buffer.alloc(512, n))));
      // A second's worth goes at once, the rest by the limit.
      isLimited = performance.now() - startedAt < 3000;
    }
    expect(home.callsWidth).toBeLessThan(16);
  });

  it('whose file a client holds open keeps it, and gives it when the client is gone', async () => {
    await home.createFile('held.vhd', 512);
    const place = { account: 'acct1', share: 'layers', path: 'held.vhd' };
    const handle = await emulator.control.openHandle(place);
    await expectShareError(home.remove('held.vhd'), 'FILE_IN_USE');
    emulator.control.closeHandle(place, handle.id);
    expect(await home.remove('held.vhd')).toBe(true);
  });

  it('tells how many handles clients hold open, on a file and on all of it, whatever they allow others, and closes those of a file', async () => {
    for (const path of ['shown/a.vhd', 'shown/b.vhd']) await home.createFile(path, 512);
    const place = { account: 'acct1', share: 'layers' };
    for (const path of ['shown/a.vhd', 'shown/a.vhd', 'shown/b.vhd']) await emulator.control.openHandle({ ...place, path }, { sharing: 'read-write-delete' });
    expect([await home.openHandles('shown/a.vhd'), await home.openHandles('shown/b.vhd'), await home.openHandles('')]).toEqual([2, 1, 3]);
    expect(await home.closeHandles('shown/a.vhd')).toBe(2);
    expect([await home.openHandles('shown/a.vhd'), await home.openHandles('')]).toEqual([0, 1]);
  });
});
