import { randomBytes } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { crc64Of } from '../crc64.js';
import { PIECE_BYTES } from '../layer-file.js';
import type { Share } from '../share.js';
import { ShareError, type ShareErrorCode } from '../share-error.js';

/** Two fresh shares that may copy from each other, and how to take them down. The first has room for `SUITE_CAPACITY_BYTES`. */
export interface OpenShares {
  readonly share: Share;
  readonly other: Share;
  close(): Promise<void>;
}

/** The capacity that the suite expects of the first share: 1 GiB, the smallest quota of an Azure file share. */
export const SUITE_CAPACITY_BYTES = 1024 ** 3;

const HOUR_MS = 3_600_000;
/** Long enough for a coarse clock to move between two grants. */
const inOneHour = (): Date => new Date(Date.now() + HOUR_MS);

/** Checks that an implementation keeps the contract of {@link Share}; `open` is called once. Without `grants` it has nothing to grant single files with. */
export function shareConformance(name: string, open: () => Promise<OpenShares>, { grants = true } = {}): void {
  describe(`${name} keeps the contract of a share`, () => {
    let opened: OpenShares;
    let share: Share;
    let other: Share;
    beforeAll(async () => {
      opened = await open();
      ({ share, other } = opened);
      await share.ensureExists();
      await other.ensureExists();
    });
    afterAll(() => opened?.close());

    describe('files', () => filesConform(() => share));
    describe('ranges', () => rangesConform(() => share));
    describe('copies', () => copiesConform(() => share, () => other, grants));
    describe('names', () => namesConform(() => share));
    describe('access', () => accessConforms(() => share, grants));
  });
}

/** Expects `promise` to fail with a {@link ShareError} of `code`, and returns it. */
export async function expectShareError(promise: Promise<unknown>, code: ShareErrorCode): Promise<ShareError> {
  const error: unknown = await promise.then(() => undefined, (reason: unknown) => reason);
  expect(error).toBeInstanceOf(ShareError);
  expect(error).toMatchObject({ code });
  return error as ShareError;
}

function filesConform(share: () => Share): void {
  it('tells of no open handles where nobody has anything open, nor where there is no file, and closes none', async () => {
    await share().createFile('handles/closed', 512);
    expect([await share().openHandles('handles/closed'), await share().openHandles('handles/absent'), await share().openHandles('')]).toEqual([0, 0, 0]);
    expect([await share().closeHandles('handles/closed'), await share().closeHandles('handles/absent')]).toEqual([0, 0]);
    await share().remove('handles/closed');
  });

  it('creates the share once however often it is asked', async () => {
    await share().ensureExists();
    await share().ensureExists();
  });

  it('creates a file of zeros with its full size and no data ranges, folders included', async () => {
    await share().createFile('a/b/zeros.vhd', 1_000_000);
    expect(await share().stat('a/b/zeros.vhd')).toMatchObject({ path: 'a/b/zeros.vhd', sizeBytes: 1_000_000, metadata: {} });
    expect(await share().dataRanges('a/b/zeros.vhd')).toEqual([]);
    expect((await share().readRange('a/b/zeros.vhd', { offset: 999_000, length: 1000 })).equals(Buffer.alloc(1000))).toBe(true);
  });

  it('tells when a file was last written to, and when it tells, to the second', async () => {
    const before = Math.floor(Date.now() / 1000) * 1000;
    await share().createFile('dated.vhd', 600);
    await share().writeRange('dated.vhd', 0, Buffer.alloc(600, 7));
    const { modifiedAt, toldAt } = (await share().stat('dated.vhd'))!;
    expect(modifiedAt.getTime()).toBeGreaterThanOrEqual(before);
    expect(modifiedAt.getTime()).toBeLessThanOrEqual(Date.now());
    expect(toldAt.getTime()).toBeGreaterThanOrEqual(Math.floor(modifiedAt.getTime() / 1000) * 1000);
    expect(toldAt.getTime()).toBeLessThanOrEqual(Date.now());
  });

  it('truncates a file that is created again', async () => {
    await share().createFile('again.vhd', 600);
    await share().writeRange('again.vhd', 0, Buffer.alloc(600, 7));
    await share().setMetadata('again.vhd', { complete: '1' });
    await share().createFile('again.vhd', 700);
    expect(await share().stat('again.vhd')).toMatchObject({ sizeBytes: 700, metadata: {} });
    expect((await share().readRange('again.vhd', { offset: 0, length: 700 })).equals(Buffer.alloc(700))).toBe(true);
  });

  it('knows nothing of a file that does not exist', async () => {
    const nothing = 'nowhere/nothing.vhd';
    expect(await share().stat(nothing)).toBeUndefined();
    expect(await share().remove(nothing)).toBe(false);
    await expectShareError(share().readRange(nothing, { offset: 0, length: 1 }), 'FILE_NOT_FOUND');
    await expectShareError(share().writeRange(nothing, 0, Buffer.alloc(1)), 'FILE_NOT_FOUND');
    await expectShareError(share().resizeFile(nothing, 1), 'FILE_NOT_FOUND');
    await expectShareError(share().dataRanges(nothing), 'FILE_NOT_FOUND');
    await expectShareError(share().setMetadata(nothing, {}), 'FILE_NOT_FOUND');
    await expectShareError(share().rename(nothing, 'elsewhere.vhd'), 'FILE_NOT_FOUND');
  });

  it('shrinks and grows a file: what was cut off comes back as zeros', async () => {
    await share().createFile('resized.vhd', 2000);
    await share().writeRange('resized.vhd', 0, Buffer.alloc(2000, 9));
    await share().resizeFile('resized.vhd', 700);
    await share().resizeFile('resized.vhd', 3000);
    const bytes = await share().readRange('resized.vhd', { offset: 0, length: 3000 });
    expect(bytes.equals(Buffer.concat([Buffer.alloc(700, 9), Buffer.alloc(2300)]))).toBe(true);
  });

  it('replaces metadata as a whole and changes the etag', async () => {
    await share().createFile('meta.vhd', 10);
    await share().setMetadata('meta.vhd', { sha256: 'ab12', complete: '1' });
    const before = await share().stat('meta.vhd');
    expect(before?.metadata).toEqual({ sha256: 'ab12', complete: '1' });
    await share().setMetadata('meta.vhd', { other: 'a b=c' });
    const after = await share().stat('meta.vhd');
    expect(after?.metadata).toEqual({ other: 'a b=c' });
    expect(after?.etag).not.toBe(before?.etag);
  });

  it('tells how full it is: files count by their sizes', async () => {
    const before = await share().usage();
    expect(before?.provisionedBytes).toBe(SUITE_CAPACITY_BYTES);
    await share().createFile('counted.vhd', 5_000_000);
    expect((await share().usage())?.usedBytes).toBe((before?.usedBytes ?? 0) + 5_000_000);
    await share().remove('counted.vhd');
    expect(await share().usage()).toEqual(before);
  });

  it('refuses a file for which it has no room, and takes it once there is some', async () => {
    await share().createFile('large.vhd', SUITE_CAPACITY_BYTES * 0.75);
    const error = await expectShareError(share().createFile('larger.vhd', SUITE_CAPACITY_BYTES * 0.5), 'SHARE_FULL');
    expect(error.transient).toBe(false);
    await share().remove('large.vhd');
    await share().createFile('larger.vhd', SUITE_CAPACITY_BYTES * 0.5);
    await share().remove('larger.vhd');
  });
}

function rangesConform(share: () => Share): void {
  it('returns what was written, in any order and more than once', async () => {
    const bytes = randomBytes(3 * 1000 * 1000);
    await share().createFile('order.vhd', bytes.length);
    for (const at of [2, 0, 1, 0]) await share().writeRange('order.vhd', at * 1_000_000, bytes.subarray(at * 1_000_000, (at + 1) * 1_000_000));
    expect((await share().readRange('order.vhd', { offset: 0, length: bytes.length })).equals(bytes)).toBe(true);
    expect((await share().readRange('order.vhd', { offset: 999_999, length: 2 })).equals(bytes.subarray(999_999, 1_000_001))).toBe(true);
  });

  it('reads a range longer than one piece whole', async () => {
    const bytes = randomBytes(PIECE_BYTES * 2 + 12_345);
    await share().createFile('long.vhd', bytes.length);
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) await share().writeRange('long.vhd', at, bytes.subarray(at, at + PIECE_BYTES));
    expect((await share().readRange('long.vhd', { offset: 0, length: bytes.length })).equals(bytes)).toBe(true);
    expect((await share().readRange('long.vhd', { offset: 77, length: PIECE_BYTES + 1 })).equals(bytes.subarray(77, 78 + PIECE_BYTES))).toBe(true);
  });

  it('reports written ranges ascending, disjoint, at least what was written and not the holes between', async () => {
    await share().createFile('holes.vhd', 10 * 65_536);
    await share().writeRange('holes.vhd', 8 * 65_536, Buffer.alloc(100, 1));
    await share().writeRange('holes.vhd', 65_536, Buffer.alloc(65_536, 1));
    await share().writeRange('holes.vhd', 2 * 65_536, Buffer.alloc(512, 1));
    const ranges = await share().dataRanges('holes.vhd');
    expect(ranges[0]).toEqual({ offset: 65_536, length: 65_536 + 512 });
    expect(ranges[1]?.offset).toBe(8 * 65_536);
    expect(ranges[1]?.length).toBeGreaterThanOrEqual(100);
    expect(ranges[1]?.length).toBeLessThanOrEqual(65_536);
    expect(ranges).toHaveLength(2);
  });

  it('changes the etag with every write', async () => {
    await share().createFile('etag.vhd', 1024);
    const seen = new Set<string | undefined>([(await share().stat('etag.vhd'))?.etag]);
    for (let count = 0; count < 3; count += 1) {
      await share().writeRange('etag.vhd', 0, Buffer.alloc(512, count));
      seen.add((await share().stat('etag.vhd'))?.etag);
    }
    expect(seen.size).toBe(4);
  });

  it('refuses ranges beyond the end and pieces over 4 MiB', async () => {
    await share().createFile('bounds.vhd', PIECE_BYTES * 2);
    await expectShareError(share().writeRange('bounds.vhd', PIECE_BYTES * 2 - 1, Buffer.alloc(2)), 'RANGE_INVALID');
    await expectShareError(share().writeRange('bounds.vhd', 0, Buffer.alloc(PIECE_BYTES + 1)), 'RANGE_INVALID');
    await expectShareError(share().readRange('bounds.vhd', { offset: PIECE_BYTES * 2 - 1, length: 2 }), 'RANGE_INVALID');
    await expectShareError(share().readRange('bounds.vhd', { offset: PIECE_BYTES * 3, length: 1 }), 'RANGE_INVALID');
  });

  it('throws the reason of an aborted signal', async () => {
    const reason = new Error('no longer wanted');
    await expect(share().readRange('bounds.vhd', { offset: 0, length: 1 }, AbortSignal.abort(reason))).rejects.toBe(reason);
    await expect(share().writeRange('bounds.vhd', 0, Buffer.alloc(1), AbortSignal.abort(reason))).rejects.toBe(reason);
  });
}

function copiesConform(share: () => Share, other: () => Share, grants: boolean): void {
  it('copies pieces from another share, in parallel, and returns the CRC64 of each', async () => {
    const bytes = randomBytes(PIECE_BYTES * 2 + 5000);
    await other().createFile('from/source.vhd', bytes.length);
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) await other().writeRange('from/source.vhd', at, bytes.subarray(at, at + PIECE_BYTES));
    const source = await other().grantCopySource('from/source.vhd', inOneHour());
    await share().createFile('to/copy.vhd', bytes.length);
    const pieces = [0, 1, 2].map((index) => ({ offset: index * PIECE_BYTES, length: Math.min(PIECE_BYTES, bytes.length - index * PIECE_BYTES) }));
    const crcs = await Promise.all(pieces.map((range) => share().copyRange('to/copy.vhd', range, source)));
    expect(crcs).toEqual(pieces.map(({ offset, length }) => crc64Of(bytes.subarray(offset, offset + length))));
    expect((await share().readRange('to/copy.vhd', { offset: 0, length: bytes.length })).equals(bytes)).toBe(true);
  });

  it('copies a hole as zeros, over data too', async () => {
    await other().createFile('hole.vhd', 100_000);
    await share().createFile('filled.vhd', 100_000);
    await share().writeRange('filled.vhd', 0, Buffer.alloc(100_000, 3));
    const source = await other().grantCopySource('hole.vhd', inOneHour());
    await share().copyRange('filled.vhd', { offset: 1000, length: 50_000 }, source);
    const expected = Buffer.alloc(100_000, 3).fill(0, 1000, 51_000);
    expect((await share().readRange('filled.vhd', { offset: 0, length: 100_000 })).equals(expected)).toBe(true);
  });

  it('says that the source failed when it is gone, too short, or its grant has ended', async () => {
    await share().createFile('failing.vhd', 2000);
    const range = { offset: 0, length: 1000 };
    await other().createFile('short.vhd', 500);
    const short = await other().grantCopySource('short.vhd', inOneHour());
    await expectShareError(share().copyRange('failing.vhd', range, short), 'COPY_SOURCE_FAILED');
    await other().remove('short.vhd');
    const error = await expectShareError(share().copyRange('failing.vhd', range, short), 'COPY_SOURCE_FAILED');
    expect(error.transient).toBe(false);
    if (!grants) return;
    await other().createFile('ended.vhd', 2000);
    const ended = await other().grantCopySource('ended.vhd', new Date(Date.now() - 60_000));
    await expectShareError(share().copyRange('failing.vhd', range, ended), 'COPY_SOURCE_FAILED');
  });

  it('refuses a copy beyond the end of the target or over 4 MiB', async () => {
    await other().createFile('wide.vhd', PIECE_BYTES * 2);
    const source = await other().grantCopySource('wide.vhd', inOneHour());
    await share().createFile('narrow.vhd', PIECE_BYTES * 2 - 1);
    await expectShareError(share().copyRange('narrow.vhd', { offset: PIECE_BYTES, length: PIECE_BYTES }, source), 'RANGE_INVALID');
    await expectShareError(share().copyRange('narrow.vhd', { offset: 0, length: PIECE_BYTES + 1 }, source), 'RANGE_INVALID');
    await expectShareError(share().copyRange('absent.vhd', { offset: 0, length: 1 }, source), 'FILE_NOT_FOUND');
  });
}

function namesConform(share: () => Share): void {
  it('renames a file into a folder that did not exist, with bytes and metadata', async () => {
    await share().createFile('.partial/x.vhd', 1000);
    await share().writeRange('.partial/x.vhd', 0, Buffer.alloc(1000, 5));
    await share().setMetadata('.partial/x.vhd', { sha256: 'aa' });
    await share().rename('.partial/x.vhd', 'sha256/aa/x.vhd');
    expect(await share().stat('.partial/x.vhd')).toBeUndefined();
    expect(await share().stat('sha256/aa/x.vhd')).toMatchObject({ sizeBytes: 1000, metadata: { sha256: 'aa' } });
    expect((await share().readRange('sha256/aa/x.vhd', { offset: 0, length: 1000 })).equals(Buffer.alloc(1000, 5))).toBe(true);
  });

  it('gives a file other metadata in the step in which it is renamed', async () => {
    await share().createFile('.partial/y.vhd', 1000);
    await share().setMetadata('.partial/y.vhd', { before: '1' });
    await share().ensureFolders('sha256/bb/y.vhd');
    await share().ensureFolders('sha256/bb/y.vhd');
    await share().rename('.partial/y.vhd', 'sha256/bb/y.vhd', { metadata: { sha256: 'bb' } });
    expect((await share().stat('sha256/bb/y.vhd'))?.metadata).toEqual({ sha256: 'bb' });
  });

  it('replaces what stands at the new name', async () => {
    await share().createFile('new.vhd', 100);
    await share().createFile('old.vhd', 200);
    await share().rename('new.vhd', 'old.vhd');
    expect(await share().stat('old.vhd')).toMatchObject({ sizeBytes: 100 });
    expect(await share().stat('new.vhd')).toBeUndefined();
  });

  it('removes a file once', async () => {
    await share().createFile('gone.vhd', 100);
    expect(await share().remove('gone.vhd')).toBe(true);
    expect(await share().remove('gone.vhd')).toBe(false);
  });

  it('lists the files directly in a folder by name, and an absent folder as empty', async () => {
    for (const name of ['b.vhd', 'a.vhd', 'deeper/c.vhd']) await share().createFile(`listed/${name}`, name.length);
    const listed: { name: string; sizeBytes: number }[] = [];
    for await (const file of share().list('listed')) listed.push({ name: file.name, sizeBytes: file.sizeBytes });
    expect(listed).toEqual([{ name: 'a.vhd', sizeBytes: 5 }, { name: 'b.vhd', sizeBytes: 5 }]);
    for await (const file of share().list('absent/folder')) expect.unreachable(file.name);
  });

  it('takes names that a URL must escape', async () => {
    const path = 'odd names/a+b #1%25 é&.vhd';
    await share().createFile(path, 512);
    await share().writeRange(path, 0, Buffer.alloc(512, 'a'));
    await share().createFile('plain.vhd', 512);
    expect(await share().copyRange('plain.vhd', { offset: 0, length: 512 }, await share().grantCopySource(path, inOneHour()))).toBe('u661BimQ84c=');
    await share().rename(path, 'odd names/(2) ü.vhd');
    expect(await share().stat('odd names/(2) ü.vhd')).toMatchObject({ sizeBytes: 512 });
  });

  it('refuses paths that lead out of the share', async () => {
    for (const path of ['../out.vhd', 'a/../../out.vhd', 'a//b', '/abs', 'nul\0', '']) await expectShareError(share().createFile(path, 1), 'SHARE_PROTOCOL');
  });
}

function accessConforms(share: () => Share, grants: boolean): void {
  it('renews what it signs grants with, however often it is asked', async () => {
    await share().renewGrants();
    await share().renewGrants();
  });

  if (!grants) {
    it('hands out no mount by https, for it can grant nothing', () => {
      expect(share().mountSources('sha256/aa/file.vhd', inOneHour()).map((source) => source.type)).not.toContain('https');
    });
    return;
  }

  it('hands out read-only mounts of this region that name the file and end with their grant', () => {
    const expiresAt = inOneHour();
    const sources = share().mountSources('sha256/aa/file.vhd', expiresAt);
    expect(sources.length).toBeGreaterThan(0);
    for (const source of sources) {
      expect(source.region).toBe(share().region);
      expect(source.source).toContain('sha256/aa/file.vhd');
      if (source.type !== 'https') expect(source.options).toContain('ro');
      if (source.type === 'https') expect(source.expiresAt?.getTime()).toBeGreaterThanOrEqual(expiresAt.getTime() - 1000);
    }
  });
}
