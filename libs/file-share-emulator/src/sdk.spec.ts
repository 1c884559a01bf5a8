import { stat } from 'node:fs/promises';
import { join } from 'node:path';

import {
  AccountSASPermissions, generateFileSASQueryParameters, FileSASPermissions, type ShareClient, ShareServiceClient, StorageSharedKeyCredential,
} from '@azure/storage-file-share';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { MiB } from '#quantities';
import { crc64Of } from '#shares';

import { sdkClient } from './testing/sdk-clients.js';
import { startTemporaryEmulator, type TemporaryEmulator, TEST_KEY } from './testing/temporary-emulator.js';
import { copiedCrc64, SDK_VERSION } from './testing/tested-sdk.js';

let emulator: TemporaryEmulator;
let service: ShareServiceClient;
let share: ShareClient;
const credential = new StorageSharedKeyCredential('acct1', TEST_KEY);

beforeAll(async () => {
  emulator = await startTemporaryEmulator();
  service = new ShareServiceClient(`${emulator.url}/acct1`, credential, { retryOptions: { maxTries: 1 } });
  share = service.getShareClient('layers');
  await share.create({ quota: 10 });
});
afterAll(() => emulator.close());

function grant(filePath: string, account = 'acct1', expiresOn = new Date(Date.now() + 60_000)): string {
  const signer = new StorageSharedKeyCredential(account, TEST_KEY);
  const query = generateFileSASQueryParameters({ shareName: 'layers', filePath, permissions: FileSASPermissions.parse('r'), expiresOn }, signer);
  return `${emulator.url}/${account}/layers/${filePath}?${query.toString()}`;
}

describe('the unmodified SDK', () => {
  it('is of the version that these tests are run with, however its clients are made', async () => {
    for (const client of [service, sdkClient(`${emulator.url}/acct1`)]) {
      const { _response: { request } } = await client.getProperties();
      expect(request.headers.get('user-agent')?.split(' ')[0]?.split('/')[1]).toBe(SDK_VERSION);
    }
  });
});

describe('shares, to the unmodified SDK', () => {
  it('are created, described, listed by page, measured and deleted', async () => {
    const other = service.getShareClient('second-share');
    await other.create({ quota: 3, metadata: { owner: 'test' } });
    expect(await other.getProperties()).toMatchObject({ quota: 3, metadata: { owner: 'test' } });
    await expect(other.create()).rejects.toMatchObject({ statusCode: 409, code: 'ShareAlreadyExists' });
    const names: string[] = [];
    for await (const page of service.listShares().byPage({ maxPageSize: 1 })) names.push(...(page.shareItems ?? []).map((item) => item.name));
    expect(names).toEqual(['layers', 'second-share']);
    await other.rootDirectoryClient.getFileClient('f').create(1000);
    expect((await other.getStatistics()).shareUsageBytes).toBe(1000);
    await other.setQuota(5);
    expect((await other.getProperties()).quota).toBe(5);
    await other.delete();
    await expect(other.getProperties()).rejects.toMatchObject({ statusCode: 404, code: 'ShareNotFound' });
    await other.create();
    expect(await other.rootDirectoryClient.getFileClient('f').exists()).toBe(false);
    await other.delete();
  });

  it('refuse a file that does not fit', async () => {
    const small = service.getShareClient('small');
    await small.create({ quota: 1 });
    await small.rootDirectoryClient.getFileClient('a').create(1024 * MiB - 10);
    await expect(small.rootDirectoryClient.getFileClient('b').create(11)).rejects.toMatchObject({ code: 'ShareSizeLimitReached' });
    await expect(small.rootDirectoryClient.getFileClient('a').resize(1025 * MiB)).rejects.toMatchObject({ code: 'ShareSizeLimitReached' });
    await small.rootDirectoryClient.getFileClient('b').create(10);
    await small.delete();
  });
});

describe('directories, to the unmodified SDK', () => {
  it('are created once, listed by page with files and sizes, and deleted when they are empty', async () => {
    const directory = share.getDirectoryClient('dir');
    const created = await directory.create();
    expect(created.fileId).toMatch(/^\d{19,20}$/);
    expect(created.fileParentId).toBe('0');
    await expect(directory.create()).rejects.toMatchObject({ statusCode: 409, code: 'ResourceAlreadyExists' });
    await expect(share.getDirectoryClient('no/where').create()).rejects.toMatchObject({ statusCode: 404, code: 'ParentNotFound' });
    await directory.getDirectoryClient('sub').create();
    for (const name of ['a', 'b', 'c & d']) await directory.getFileClient(name).create(7);
    const listed: unknown[] = [];
    for await (const page of directory.listFilesAndDirectories({ includeEtag: true, includeTimestamps: true }).byPage({ maxPageSize: 2 })) {
      expect(page.segment.fileItems.length + page.segment.directoryItems.length).toBeLessThanOrEqual(2);
      listed.push(...page.segment.fileItems.map((file) => [file.name, file.properties.contentLength]), ...page.segment.directoryItems.map((found) => found.name));
    }
    expect(listed).toEqual([['a', 7], ['b', 7], ['c & d', 7], 'sub']);
    const prefixed: string[] = [];
    for await (const entry of directory.listFilesAndDirectories({ prefix: 'c' })) prefixed.push(entry.name);
    expect(prefixed).toEqual(['c & d']);
    await expect(directory.delete()).rejects.toMatchObject({ statusCode: 409, code: 'DirectoryNotEmpty' });
    for (const name of ['a', 'b', 'c & d']) await directory.deleteFile(name);
    await directory.deleteSubdirectory('sub');
    await directory.delete();
    expect(await directory.exists()).toBe(false);
  });
});

describe('files, to the unmodified SDK', () => {
  it('keep their content headers, metadata and identity; resizing keeps the bytes', async () => {
    const file = share.rootDirectoryClient.getFileClient('kept');
    const created = await file.create(3000, { fileHttpHeaders: { fileContentType: 'application/x-vhd', fileCacheControl: 'no-store' }, metadata: { sha256: 'ab' } });
    // An instant in ticks, which begins with 8D until 2027.
    expect(created.etag).toMatch(/^"0x8[D-F][0-9A-F]{13}"$/);
    expect(created.fileAttributes).toBe('Archive');
    const properties = await file.getProperties();
    expect(properties).toMatchObject({ contentLength: 3000, contentType: 'application/x-vhd', cacheControl: 'no-store', metadata: { sha256: 'ab' }, fileId: created.fileId });
    await file.uploadRange('x'.repeat(3000), 0, 3000);
    await file.resize(1000);
    await file.resize(2000);
    expect((await file.downloadToBuffer()).equals(Buffer.concat([Buffer.alloc(1000, 'x'), Buffer.alloc(1000)]))).toBe(true);
    expect((await file.getProperties()).fileId).toBe(created.fileId);
  });

  it('upload and download whole files of several ranges', async () => {
    const bytes = Buffer.alloc(9 * MiB + 123, 'content');
    const file = share.rootDirectoryClient.getFileClient('whole');
    await file.uploadData(bytes);
    expect((await file.downloadToBuffer()).equals(bytes)).toBe(true);
    const ranged = await file.download(9 * MiB, 200, { rangeGetContentMD5: true });
    expect(ranged._response.status).toBe(206);
    expect(ranged.contentRange).toBe(`bytes ${9 * MiB}-${9 * MiB + 122}/${bytes.length}`);
    expect(ranged.contentMD5).toBeDefined();
    await expect(file.download(bytes.length, 1)).rejects.toMatchObject({ statusCode: 416, code: 'InvalidRange' });
  });

  it('move in one step and replace only when told', async () => {
    const file = share.rootDirectoryClient.getFileClient('old name');
    await file.create(10, { metadata: { complete: '1' } });
    await share.rootDirectoryClient.getFileClient('taken').create(20);
    await expect(file.rename('taken')).rejects.toMatchObject({ statusCode: 409, code: 'ResourceAlreadyExists' });
    await expect(file.rename('no/where')).rejects.toMatchObject({ statusCode: 404, code: 'ParentNotFound' });
    await file.rename('taken', { replaceIfExists: true });
    expect(await share.rootDirectoryClient.getFileClient('taken').getProperties()).toMatchObject({ contentLength: 10, metadata: { complete: '1' } });
    await expect(file.rename('taken')).rejects.toMatchObject({ statusCode: 404, code: 'ResourceNotFound' });
  });
});

describe('ranges, to the unmodified SDK', () => {
  it('have a granularity of 512 bytes, are clipped to the end, and an unaligned clear only zeroes (as the real service was recorded)', async () => {
    const file = share.rootDirectoryClient.getFileClient('ten');
    await file.create(10);
    await file.uploadRange('hello', 0, 5);
    await file.uploadRange('world', 5, 5);
    await file.clearRange(1, 8);
    expect((await file.getRangeList()).rangeList).toEqual([{ start: 0, end: 9 }]);
    expect((await file.downloadToBuffer()).toString('latin1')).toBe('h\0\0\0\0\0\0\0\0d');
  });

  it('show written units only, and lose the whole units of a clear (as the real service was recorded)', async () => {
    const file = share.rootDirectoryClient.getFileClient('units');
    await file.create(2049);
    await file.uploadRange('hello', 0, 5);
    await file.clearRange(0, 1024);
    await file.uploadRange('world', 1023, 5);
    expect((await file.getRangeList()).rangeList).toEqual([{ start: 512, end: 1535 }]);
    expect((await file.getRangeList({ range: { offset: 1024, count: 100 } })).rangeList).toEqual([{ start: 1024, end: 1123 }]);
  });

  it('are refused beyond the end and with another MD5 than announced', async () => {
    const file = share.rootDirectoryClient.getFileClient('refused');
    await file.create(100);
    await expect(file.uploadRange('x'.repeat(101), 0, 101)).rejects.toMatchObject({ statusCode: 416, code: 'InvalidRange' });
    await expect(file.uploadRange('abc', 0, 3, { contentMD5: new Uint8Array(16) })).rejects.toMatchObject({ statusCode: 400, code: 'Md5Mismatch' });
    expect((await file.getRangeList()).rangeList).toEqual([]);
  });

  it('leave holes on the host where zeros arrive', async () => {
    const file = share.rootDirectoryClient.getFileClient('sparse');
    await file.create(8 * MiB);
    await file.uploadRange(Buffer.alloc(4 * MiB), 0, 4 * MiB);
    await file.uploadRange(Buffer.alloc(4096, 1), 6 * MiB, 4096);
    const host = await stat(join(emulator.shareFolder('acct1', 'layers'), 'sparse'));
    expect(host.size).toBe(8 * MiB);
    expect(host.blocks * 512).toBeLessThanOrEqual(64 * 1024);
    await file.uploadRange(Buffer.alloc(4096), 6 * MiB, 4096);
    expect((await file.downloadToBuffer()).equals(Buffer.alloc(8 * MiB))).toBe(true);
  });
});

describe('copies from a URL, to the unmodified SDK', () => {
  it('give the CRC64 of the copied range, from another account and from another emulator', async () => {
    const elsewhere = await startTemporaryEmulator();
    for (const source of [emulator, elsewhere]) {
      const theirs = new ShareServiceClient(`${source.url}/acct2`, new StorageSharedKeyCredential('acct2', TEST_KEY)).getShareClient('layers');
      await theirs.create();
      await theirs.rootDirectoryClient.getFileClient('from').create(1024);
      await theirs.rootDirectoryClient.getFileClient('from').uploadRange(Buffer.concat([Buffer.alloc(512, 'a'), Buffer.alloc(512, 'b')]), 0, 1024);
      const url = grant('from', 'acct2').replace(emulator.url, source.url);
      const file = share.rootDirectoryClient.getFileClient('to');
      await file.create(1024);
      const answers = [await file.uploadRangeFromURL(url, 512, 0, 512), await file.uploadRangeFromURL(url, 0, 512, 512)];
      expect(answers.map(copiedCrc64)).toEqual(['zGf3rvhKPeA=', 'u661BimQ84c=']);
      expect((await file.downloadToBuffer()).toString()).toBe('b'.repeat(512) + 'a'.repeat(512));
      await theirs.delete();
    }
    await elsewhere.close();
  });

  it('are refused when the source is not as announced, and nothing is written', async () => {
    await share.rootDirectoryClient.getFileClient('announced').uploadData(Buffer.alloc(512, 'a'));
    const file = share.rootDirectoryClient.getFileClient('untouched');
    await file.create(512);
    const wrong = Buffer.from(crc64Of(Buffer.from('other')), 'base64');
    await expect(file.uploadRangeFromURL(grant('announced'), 0, 0, 512, { sourceContentCrc64: wrong } as object)).rejects.toMatchObject({ code: 'Crc64Mismatch' });
    expect((await file.getRangeList()).rangeList).toEqual([]);
  });

  it('pass the refusal of the source on, with its status and code', async () => {
    const file = share.rootDirectoryClient.getFileClient('denied');
    await file.create(512);
    const url = `${grant('denied').split('&sig=')[0]}&sig=AAAA`;
    const failure = await file.uploadRangeFromURL(url, 0, 0, 512).then(() => undefined, (error: unknown) => error as { code: string; statusCode: number; response: { headers: { get(name: string): string } } });
    expect(failure).toMatchObject({ code: 'CannotVerifyCopySource', statusCode: 403 });
    expect(failure?.response.headers.get('x-ms-copy-source-error-code')).toBe('AuthenticationFailed');
    expect(failure?.response.headers.get('x-ms-copy-source-status-code')).toBe('403');
    await expect(file.uploadRangeFromURL(grant('absent'), 0, 0, 512)).rejects.toMatchObject({ code: 'CannotVerifyCopySource', statusCode: 404 });
    await expect(file.uploadRangeFromURL('http://127.0.0.1:1/x', 0, 0, 512)).rejects.toMatchObject({ code: 'CannotVerifyCopySource', statusCode: 500 });
  });

  it('count as copied and as neither ingress nor egress', async () => {
    const before = emulator.traffic();
    await share.rootDirectoryClient.getFileClient('counted').uploadData(Buffer.alloc(1000, 'a'));
    const file = share.rootDirectoryClient.getFileClient('counter');
    await file.create(1000);
    await file.uploadRangeFromURL(grant('counted'), 0, 0, 1000);
    const after = emulator.traffic();
    expect(after['acct1']!.ingressBytes - before['acct1']!.ingressBytes).toBe(1000);
    expect(after['acct1']!.egressBytes).toBe(before['acct1']!.egressBytes);
    expect(after['acct1']!.copyInBytes - before['acct1']!.copyInBytes).toBe(1000);
    expect(after['acct1']!.copyOutBytes - before['acct1']!.copyOutBytes).toBe(1000);
  });
});

describe('shared access signatures, from the unmodified SDK', () => {
  it('of an account allow what they name', async () => {
    const url = service.generateAccountSasUrl(new Date(Date.now() + 60_000), AccountSASPermissions.parse('rl'), 'sco');
    const reader = new ShareServiceClient(url, undefined, { retryOptions: { maxTries: 1 } });
    await share.rootDirectoryClient.getFileClient('readable').uploadData(Buffer.from('text'));
    const file = reader.getShareClient('layers').rootDirectoryClient.getFileClient('readable');
    expect((await file.downloadToBuffer()).toString()).toBe('text');
    await expect(file.delete()).rejects.toMatchObject({ statusCode: 403, code: 'AuthorizationPermissionMismatch' });
    await expect(reader.getShareClient('new-share').create()).rejects.toMatchObject({ statusCode: 403, code: 'AuthorizationPermissionMismatch' });
  });
});
