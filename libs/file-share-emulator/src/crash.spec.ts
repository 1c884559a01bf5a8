import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type ShareClient, ShareServiceClient, StorageSharedKeyCredential } from '@azure/storage-file-share';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { MiB } from '#quantities';

import { type EmulatorProcess, startEmulatorProcess } from './testing/emulator-process.js';
import { TEST_KEY } from './testing/temporary-emulator.js';

const RANGE_BYTES = 64 * 1024;
const FILES = 4;
const RANGES = 16;
const ROUNDS = 6;

let folder: string;
let emulator: EmulatorProcess;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'emulator-crash-'));
});
afterAll(async () => {
  await emulator?.kill();
  await rm(folder, { recursive: true, force: true });
});

async function start(): Promise<ShareClient> {
  emulator = await startEmulatorProcess({ folder, port: 0, accounts: [{ name: 'acct1', key: TEST_KEY }] });
  const credential = new StorageSharedKeyCredential('acct1', TEST_KEY);
  const share = new ShareServiceClient(`${emulator.url}/acct1`, credential, { retryOptions: { maxTries: 1 } }).getShareClient('layers');
  await share.createIfNotExists();
  return share;
}

/** What the client was told about one file: only what was acknowledged. */
interface Acknowledged {
  created: boolean;
  renamed: boolean;
  metadata: string | undefined;
  readonly ranges: Map<number, number>;
  /** Written when the answer did not come: either value may be there. */
  readonly unsure: Set<number>;
}

function nothingAcknowledged(): Acknowledged {
  return { created: false, renamed: false, metadata: undefined, ranges: new Map(), unsure: new Set() };
}

/** Creates, writes, describes and renames the file `name` until the connection breaks. */
async function work(share: ShareClient, name: string, seen: Acknowledged, onRangeAcknowledged: () => void): Promise<void> {
  const file = share.rootDirectoryClient.getFileClient(`part-${name}`);
  await file.create(RANGES * RANGE_BYTES, { metadata: { state: 'new' } });
  seen.created = true;
  seen.metadata = 'new';
  for (let step = 0; step < RANGES; step += 1) {
    const at = (step * 7) % RANGES;
    seen.unsure.add(at);
    await file.uploadRange(Buffer.alloc(RANGE_BYTES, step + 1), at * RANGE_BYTES, RANGE_BYTES);
    seen.unsure.delete(at);
    seen.ranges.set(at, step + 1);
    onRangeAcknowledged();
  }
  await file.setMetadata({ state: 'complete' });
  seen.metadata = 'complete';
  await file.rename(`whole-${name}`, { replaceIfExists: true });
  seen.renamed = true;
}

async function verify(share: ShareClient, name: string, seen: Acknowledged): Promise<void> {
  const part = share.rootDirectoryClient.getFileClient(`part-${name}`);
  const whole = share.rootDirectoryClient.getFileClient(`whole-${name}`);
  const moved = await whole.exists();
  // A file is at one of its names, never at both.
  if (seen.created) expect(await part.exists()).toBe(!moved);
  if (seen.renamed) expect(moved).toBe(true);
  if (!seen.created) return;
  const file = moved ? whole : part;
  const properties = await file.getProperties();
  expect(properties.contentLength).toBe(RANGES * RANGE_BYTES);
  const allowed = seen.metadata === 'complete' || moved ? ['complete'] : ['new', 'complete'];
  expect(allowed).toContain(properties.metadata?.['state']);
  const bytes = await file.downloadToBuffer();
  const listed = (await file.getRangeList()).rangeList ?? [];
  for (let at = 0; at < RANGES; at += 1) {
    const piece = bytes.subarray(at * RANGE_BYTES, (at + 1) * RANGE_BYTES);
    const isListed = listed.some(({ start: first, end }) => first <= at * RANGE_BYTES && end >= (at + 1) * RANGE_BYTES - 1);
    const expected = seen.ranges.get(at);
    if (expected !== undefined) {
      expect(piece.equals(Buffer.alloc(RANGE_BYTES, expected)), `${file.name} range ${at}`).toBe(true);
      expect(isListed).toBe(true);
    } else if (!isListed || !seen.unsure.has(at)) {
      // What is not listed is zero: a copy that skips holes would lose it otherwise.
      expect(piece.equals(Buffer.alloc(RANGE_BYTES)), `${file.name} range ${at} is not listed`).toBe(true);
    }
  }
}

describe('an emulator that is killed while it works', () => {
  it('comes back with everything it acknowledged and nothing half done', { timeout: 120_000 }, async () => {
    let acknowledged = 0;
    for (let round = 0; round < ROUNDS; round += 1) {
      const share = await start();
      const seen = Array.from({ length: FILES }, nothingAcknowledged);
      // The blow falls after a number of acknowledgements that differs by round, among calls under way.
      const limit = 8 + round * 13;
      let steps = 0;
      const strike = (): void => {
        steps += 1;
        if (steps === limit) void emulator.kill();
      };
      const ends = await Promise.allSettled(seen.map((state, index) => work(share, `${round}-${index}`, state, strike)));
      if (ends.every((end) => end.status === 'fulfilled')) await emulator.kill();
      acknowledged += steps;
      const again = await start();
      for (const [index, state] of seen.entries()) await verify(again, `${round}-${index}`, state);
      expect(await emulator.stop()).toBe(0);
    }
    expect(acknowledged).toBeGreaterThan(ROUNDS * 8);
  });

  it('refuses a second process on its folder and lets it in after the first was killed', async () => {
    await start();
    const first = emulator;
    await expect(startEmulatorProcess({ folder, port: 0, accounts: [{ name: 'acct1', key: TEST_KEY }] })).rejects.toThrow('is in use by the process');
    await first.kill();
    const share = await start();
    await share.rootDirectoryClient.getFileClient('after').uploadData(Buffer.alloc(MiB, 1));
    expect(await emulator.stop()).toBe(0);
  });
});
