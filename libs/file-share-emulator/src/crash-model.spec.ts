import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { ShareClient, ShareDirectoryClient } from '@azure/storage-file-share';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { type EmulatorProcess, startEmulatorProcess } from './testing/emulator-process.js';
import { sdkClient } from './testing/sdk-clients.js';
import { TEST_KEY } from './testing/temporary-emulator.js';

const ROUNDS = 8;
const WORKERS = 4;
const NAMES = ['a', 'b', 'c'];
const SIZE = 16_384;

let folder: string;
let emulator: EmulatorProcess;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'emulator-crash-model-'));
});
afterAll(async () => {
  await emulator?.kill();
  await rm(folder, { recursive: true, force: true });
});

/** What a file must be: its bytes, and headers of which no half may ever be seen. */
interface FileModel {
  readonly bytes: Buffer;
  readonly generation: number;
}

type FolderModel = ReadonlyMap<string, FileModel>;

/** One change, what it makes of the model, and whether it may be seen in part. */
interface Step {
  readonly apply: (model: FolderModel) => FolderModel;
  readonly call: (directory: ShareDirectoryClient) => Promise<unknown>;
  readonly isTorn?: boolean;
}

/** Small numbers that are the same in every run. */
function dice(seed: number): (end: number) => number {
  let state = seed;
  return (end) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % end;
  };
}

/** Headers that belong together: a half of them would show. */
function headersOf(generation: number): { metadata: Record<string, string>; fileHttpHeaders: { fileContentType: string } } {
  return { metadata: { one: `g${generation}`, two: `g${generation}` }, fileHttpHeaders: { fileContentType: `type/g${generation}` } };
}

function nextStep(model: FolderModel, roll: (end: number) => number, generation: number): Step {
  const name = NAMES[roll(NAMES.length)]!;
  const other = NAMES[roll(NAMES.length)]!;
  const file = model.get(name);
  const put = (at: string, value: FileModel) => (before: FolderModel): FolderModel => new Map([...before, [at, value]]);
  const kind = roll(6);
  if (file === undefined || kind === 0) {
    return { apply: put(name, { bytes: Buffer.alloc(SIZE), generation }), call: (directory) => directory.getFileClient(name).create(SIZE, headersOf(generation)) };
  }
  if (kind === 1 && name !== other) {
    return {
      apply: (before) => new Map([...[...before].filter(([at]) => at !== name), [other, file]]),
      call: (directory) => directory.getFileClient(name).rename(`${directory.path}/${other}`, { replaceIfExists: true }),
    };
  }
  if (kind === 2) return { apply: (before) => new Map([...before].filter(([at]) => at !== name)), call: (directory) => directory.getFileClient(name).delete() };
  const offset = roll(SIZE - 4096);
  const bytes = Buffer.from(file.bytes);
  if (kind === 3) {
    bytes.fill(0, offset, offset + 4096);
    return { apply: put(name, { ...file, bytes }), call: (directory) => directory.getFileClient(name).clearRange(offset, 4096), isTorn: true };
  }
  const value = 1 + roll(255);
  bytes.fill(value, offset, offset + 4096);
  return { apply: put(name, { ...file, bytes }), call: (directory) => directory.getFileClient(name).uploadRange(Buffer.alloc(4096, value), offset, 4096), isTorn: true };
}

interface Worker {
  readonly name: string;
  model: FolderModel;
  /** Asked for and not answered. */
  pending: Step | undefined;
}

async function start(): Promise<ShareClient> {
  emulator = await startEmulatorProcess({ folder, port: 0, accounts: [{ name: 'acct1', key: TEST_KEY }] });
  const share = sdkClient(`${emulator.url}/acct1`).getShareClient('layers');
  await share.createIfNotExists();
  return share;
}

async function seen(directory: ShareDirectoryClient): Promise<FolderModel> {
  const found = new Map<string, FileModel>();
  for await (const { name } of directory.listFilesAndDirectories()) {
    const file = directory.getFileClient(name);
    const { metadata, contentType, contentLength } = await file.getProperties();
    expect(contentLength).toBe(SIZE);
    const generation = Number(metadata?.['one']?.slice(1));
    expect({ metadata, contentType }).toEqual({ metadata: headersOf(generation).metadata, contentType: `type/g${generation}` });
    found.set(name, { bytes: await file.downloadToBuffer(), generation });
    const listed = (await file.getRangeList()).rangeList ?? [];
    const holes = Buffer.from(found.get(name)!.bytes);
    for (const range of listed) holes.fill(0, range.start, range.end + 1);
    expect(holes.every((byte) => byte === 0), `${name}: what is not listed is zero`).toBe(true);
  }
  return found;
}

function isSame(found: FolderModel, expected: FolderModel): boolean {
  return found.size === expected.size && [...expected].every(([name, { bytes, generation }]) => {
    const file = found.get(name);
    return file !== undefined && file.generation === generation && file.bytes.equals(bytes);
  });
}

/** True when every byte is the one before or the one after. */
function isBetween(found: FolderModel, before: FolderModel, after: FolderModel): boolean {
  return found.size === before.size && [...found].every(([name, { bytes, generation }]) => {
    const [old, young] = [before.get(name), after.get(name)];
    return old?.generation === generation && young !== undefined && bytes.every((byte, at) => byte === old.bytes[at] || byte === young.bytes[at]);
  });
}

describe('an emulator that is killed again and again', () => {
  it('has after each start what it acknowledged, and of what it did not all or nothing', { timeout: 240_000 }, async () => {
    const roll = dice(20_261_120);
    const workers: Worker[] = Array.from({ length: WORKERS }, (_, index) => ({ name: `w${index}`, model: new Map(), pending: undefined }));
    const snapshots = new Map<string, string>();
    let acknowledged = 0;
    for (let round = 0; round < ROUNDS; round += 1) {
      const share = await start();
      for (const { name } of workers) await share.getDirectoryClient(name).createIfNotExists();
      // A snapshot of a file that is written once: it must be there whole from then on, or not at all.
      const still = share.rootDirectoryClient.getFileClient(`still-${round}`);
      await still.uploadData(Buffer.alloc(70_000, round + 1));
      let left = 15 + roll(60);
      const work = async (worker: Worker): Promise<void> => {
        for (;;) {
          const step = nextStep(worker.model, roll, round * 10_000 + acknowledged);
          worker.pending = step;
          await step.call(share.getDirectoryClient(worker.name));
          worker.model = step.apply(worker.model);
          worker.pending = undefined;
          acknowledged += 1;
          left -= 1;
          if (left === 0) void emulator.kill();
        }
      };
      const snapshot = share.createSnapshot().then(({ snapshot: stamp }) => snapshots.set(stamp!, `still-${round}`));
      await Promise.allSettled([...workers.map(work), snapshot]);
      const again = await start();
      for (const worker of workers) {
        const found = await seen(again.getDirectoryClient(worker.name));
        const { model, pending } = worker;
        const after = pending?.apply(model) ?? model;
        const fits = isSame(found, model) || isSame(found, after) || (pending?.isTorn === true && isBetween(found, model, after));
        expect(fits, `round ${round}, ${worker.name}`).toBe(true);
        worker.model = found;
        worker.pending = undefined;
      }
      for (const [stamp, name] of snapshots) {
        const bytes = await again.withSnapshot(stamp).rootDirectoryClient.getFileClient(name).downloadToBuffer();
        expect(bytes.length).toBe(70_000);
        expect(new Set(bytes).size).toBe(1);
      }
      expect(await emulator.stop()).toBe(0);
    }
    expect(acknowledged).toBeGreaterThan(ROUNDS * 15);
    const kept = join(folder, '.records', 'acct1', 'layers');
    expect((await readdir(join(kept, 'renames')))).toEqual([]);
    expect((await readdir(join(kept, 'snapshots'))).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });
});
