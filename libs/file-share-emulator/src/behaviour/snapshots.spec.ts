import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { ShareClient, ShareServiceClient } from '@azure/storage-file-share';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { sendRaw } from '../testing/raw-request.js';
import { sdkClient } from '../testing/sdk-clients.js';
import { startTemporaryEmulator, type TemporaryEmulator, TEST_KEY } from '../testing/temporary-emulator.js';

let emulator: TemporaryEmulator;
let service: ShareServiceClient;
let share: ShareClient;
const signAs = { account: 'acct1', key: TEST_KEY };

beforeAll(async () => {
  emulator = await startTemporaryEmulator();
  service = sdkClient(`${emulator.url}/acct1`);
  share = service.getShareClient('layers');
  await share.create({ quota: 1, metadata: { of: 'share' } });
});
afterAll(() => emulator.close());

async function snapshot(): Promise<string> {
  const { snapshot: stamp } = await share.createSnapshot();
  return stamp!;
}

/** The raw list, where the two kinds of ranges come interleaved. */
async function diff(name: string, query: string, headers: Record<string, string> = {}): Promise<string> {
  const answer = await sendRaw({ method: 'GET', url: emulator.url, target: `/acct1/layers/${name}?comp=rangelist&${query}`, headers, signAs });
  return answer.status === 200 ? answer.body.toString().replace(/^.*<Ranges>(.*)<\/Ranges>$/, '$1') : `${answer.status} ${answer.code}`;
}

describe('snapshots, to the unmodified SDK', () => {
  it('have a stamp of whole seconds with seven zeros, and answer with the share\'s unchanged ETag (as the real service was recorded)', async () => {
    const before = await share.getProperties();
    const made = await share.createSnapshot({ metadata: { of: 'snapshot' } });
    expect(made.snapshot).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.0000000Z$/);
    expect([made.etag, made.lastModified]).toEqual([before.etag, before.lastModified]);
    expect((await share.withSnapshot(made.snapshot!).getProperties()).metadata).toEqual({ of: 'snapshot' });
    expect((await share.getProperties()).metadata).toEqual({ of: 'share' });
    expect(await snapshot()).not.toBe(made.snapshot);
  });

  it('keep files, folders, ranges, metadata and identity as they were, whatever becomes of the share', async () => {
    const folder = share.getDirectoryClient('kept');
    await folder.create({ metadata: { of: 'folder' } });
    const file = folder.getFileClient('file');
    const created = await file.create(10_000, { metadata: { state: 'old' } });
    await file.uploadRange('old', 5000, 3);
    await writeFile(join(emulator.shareFolder('acct1', 'layers'), 'kept', 'foreign'), 'by samba');
    const stamp = await snapshot();
    await file.uploadRange('new', 5000, 3);
    await file.setMetadata({ state: 'new' });
    await folder.deleteFile('foreign');
    const old = share.withSnapshot(stamp).getDirectoryClient('kept');
    expect((await old.getFileClient('file').downloadToBuffer(5000, 3)).toString()).toBe('old');
    expect(await old.getFileClient('file').getProperties()).toMatchObject({ metadata: { state: 'old' }, fileId: created.fileId, etag: expect.not.stringMatching((await file.getProperties()).etag!) });
    expect((await old.getFileClient('file').getRangeList()).rangeList).toEqual([{ start: 4608, end: 5119 }]);
    expect((await old.getProperties()).metadata).toEqual({ of: 'folder' });
    expect((await old.getFileClient('foreign').downloadToBuffer()).toString()).toBe('by samba');
    const names: string[] = [];
    for await (const entry of old.listFilesAndDirectories()) names.push(entry.name);
    expect(names).toEqual(['file', 'foreign']);
    expect((await file.downloadToBuffer(5000, 3)).toString()).toBe('new');
  });

  it('are listed with their share, leased, deleted one by one, and in the way of deleting the share', async () => {
    const other = service.getShareClient('with-snapshots');
    await other.create();
    const [one, two] = [(await other.createSnapshot()).snapshot!, (await other.createSnapshot()).snapshot!];
    const listed: unknown[] = [];
    for await (const item of service.listShares({ includeSnapshots: true, prefix: 'with-' })) listed.push([item.name, item.snapshot]);
    expect(listed).toEqual([['with-snapshots', one], ['with-snapshots', two], ['with-snapshots', undefined]]);
    await expect(other.delete()).rejects.toMatchObject({ statusCode: 409, code: 'ShareHasSnapshots' });
    const lease = other.withSnapshot(two).getShareLeaseClient();
    await lease.acquireLease(-1);
    await other.withSnapshot(one).delete();
    await expect(other.withSnapshot(one).getProperties()).rejects.toMatchObject({ statusCode: 404, code: 'ShareSnapshotNotFound' });
    await expect(other.delete({ deleteSnapshots: 'include' })).rejects.toMatchObject({ statusCode: 409, code: 'DeleteShareWhenSnapshotLeased' });
    await expect(other.withSnapshot(two).delete()).rejects.toMatchObject({ statusCode: 412, code: 'LeaseIdMissing' });
    await other.delete({ deleteSnapshots: 'include-leased' });
    expect(await other.exists()).toBe(false);
  });

  it('are never written to', async () => {
    const stamp = await snapshot();
    const target = `/acct1/layers/never?sharesnapshot=${stamp}`;
    for (const [method, query] of [['PUT', ''], ['DELETE', ''], ['PUT', '&comp=range'], ['PUT', '&comp=metadata'], ['PUT', '&comp=rename'], ['PUT', '&comp=lease'], ['PUT', '&restype=directory']] as const) {
      expect(await sendRaw({ method, url: emulator.url, target: target + query, signAs })).toMatchObject({ status: 400, code: 'ShareSnapshotOperationNotSupported' });
    }
  });
});

describe('what changed since a snapshot', () => {
  it('is told as the real service was recorded: written units, and cleared ones where something had been', async () => {
    const file = share.rootDirectoryClient.getFileClient('diff');
    await file.create(2049);
    await file.uploadRange('hello', 0, 5);
    const stamp = await snapshot();
    await file.clearRange(0, 1024);
    await file.uploadRange('world', 1023, 5);
    expect(await diff('diff', `prevsharesnapshot=${stamp}`)).toBe('<ClearRange><Start>0</Start><End>511</End></ClearRange><Range><Start>512</Start><End>1535</End></Range>');
    const { ranges, clearRanges } = await file.getRangeListDiff(stamp) as { ranges?: unknown; clearRanges?: unknown };
    expect({ ranges, clearRanges }).toEqual({ ranges: [{ start: 512, end: 1535 }], clearRanges: [{ start: 0, end: 511 }] });
  });

  it('is what happened between two snapshots, in the range that is asked for', async () => {
    const file = share.rootDirectoryClient.getFileClient('between');
    await file.create(4096);
    const first = await snapshot();
    await file.uploadRange('a'.repeat(1024), 0, 1024);
    const second = await snapshot();
    await file.uploadRange('b'.repeat(512), 2048, 512);
    const third = await snapshot();
    await file.uploadRange('c', 4095, 1);
    const range = (start: number, end: number): string => `<Range><Start>${start}</Start><End>${end}</End></Range>`;
    expect(await diff('between', `sharesnapshot=${second}&prevsharesnapshot=${first}`)).toBe(range(0, 1023));
    expect(await diff('between', `sharesnapshot=${third}&prevsharesnapshot=${second}`)).toBe(range(2048, 2559));
    expect(await diff('between', `sharesnapshot=${third}&prevsharesnapshot=${first}`)).toBe(range(0, 1023) + range(2048, 2559));
    expect(await diff('between', `prevsharesnapshot=${third}`)).toBe(range(3584, 4095));
    expect(await diff('between', `prevsharesnapshot=${first}`, { 'x-ms-range': 'bytes=512-2100' })).toBe(range(512, 1023) + range(2048, 2100));
    expect(await diff('between', `sharesnapshot=${first}&prevsharesnapshot=${third}`)).toBe('400 InvalidQueryParameterValue');
  });

  it('counts what was cut off and grown again as cleared, and a part of a unit that was zeroed as written', async () => {
    const file = share.rootDirectoryClient.getFileClient('resized');
    await file.create(2048);
    await file.uploadRange('x'.repeat(2048), 0, 2048);
    const stamp = await snapshot();
    await file.resize(1024);
    await file.resize(2048);
    await file.clearRange(10, 20);
    expect(await diff('resized', `prevsharesnapshot=${stamp}`))
      .toBe('<Range><Start>0</Start><End>511</End></Range><ClearRange><Start>1024</Start><End>2047</End></ClearRange>');
  });

  it('is everything of a new file, refused for one that was made anew, and follows a renamed one where that is asked for', async () => {
    const root = share.rootDirectoryClient;
    for (const name of ['again', 'moved']) {
      await root.getFileClient(name).create(1024);
      await root.getFileClient(name).uploadRange('x'.repeat(1024), 0, 1024);
    }
    const stamp = await snapshot();
    await root.getFileClient('new').create(1024);
    await root.getFileClient('new').uploadRange('x', 0, 1);
    expect(await diff('new', `prevsharesnapshot=${stamp}`)).toBe('<Range><Start>0</Start><End>511</End></Range>');
    await root.getFileClient('again').create(1024);
    expect(await diff('again', `prevsharesnapshot=${stamp}`)).toBe('409 FileGenerationMismatch');
    await root.getFileClient('moved').uploadRange('y', 600, 1);
    await root.getFileClient('moved').clearRange(0, 512);
    await root.getFileClient('moved').rename('moved-away');
    expect(await diff('moved-away', `prevsharesnapshot=${stamp}`)).toBe('409 FileGenerationMismatch');
    expect(await diff('moved-away', `prevsharesnapshot=${stamp}`, { 'x-ms-file-support-rename': 'true' })).toBe('<ClearRange><Start>0</Start><End>511</End></ClearRange><Range><Start>512</Start><End>1023</End></Range>');
  });
});

describe('snapshots on the host', () => {
  it('are outside the exported folder', async () => {
    await snapshot();
    expect(await readdir(emulator.folder)).toEqual(expect.arrayContaining(['.records', 'acct1']));
    expect((await readdir(join(emulator.folder, 'acct1', 'layers'))).filter((name) => name.includes('snapshot'))).toEqual([]);
  });
});
