import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { FileSASPermissions, FileSystemAttributes, generateFileSASQueryParameters, type ShareClient, type ShareFileClient, StorageSharedKeyCredential } from '@azure/storage-file-share';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { MiB } from '#quantities';

import { sdkClient } from '../testing/sdk-clients.js';
import { startTemporaryEmulator, type TemporaryEmulator, TEST_KEY } from '../testing/temporary-emulator.js';
import { IS_SDK_12_33_0 } from '../testing/tested-sdk.js';

let emulator: TemporaryEmulator;
let share: ShareClient;
let theirs: ShareClient;

beforeAll(async () => {
  emulator = await startTemporaryEmulator();
  share = sdkClient(`${emulator.url}/acct1`).getShareClient('layers');
  theirs = sdkClient(`${emulator.url}/acct2`).getShareClient('layers');
  await share.create({ quota: 1 });
  await theirs.create({ quota: 1 });
});
afterEach(() => emulator.control.disturb({}));
afterAll(() => emulator.close());

function signed(name: string): string {
  const values = { shareName: 'layers', filePath: name, permissions: FileSASPermissions.parse('r'), expiresOn: new Date(Date.now() + 60_000) };
  return `${emulator.url}/acct2/layers/${name}?${generateFileSASQueryParameters(values, new StorageSharedKeyCredential('acct2', TEST_KEY)).toString()}`;
}

async function settled(file: ShareFileClient): Promise<Awaited<ReturnType<ShareFileClient['getProperties']>>> {
  await expect.poll(async () => (await file.getProperties()).copyStatus).not.toBe('pending');
  return file.getProperties();
}

describe('copies of whole files, to the unmodified SDK', () => {
  it('within an account are done when they are answered (as the real service was recorded), with content, headers and metadata', async () => {
    const source = share.rootDirectoryClient.getFileClient('source');
    await source.create(9 * MiB, { fileHttpHeaders: { fileContentType: 'x/y' }, metadata: { of: 'source' } });
    await source.uploadRange('tail', 9 * MiB - 4, 4);
    const target = share.rootDirectoryClient.getFileClient('target');
    const answer = await target.startCopyFromURL(source.url);
    expect(answer).toMatchObject({ copyStatus: 'success', copyId: expect.stringMatching(/^[0-9a-f]{8}-/) });
    const properties = await target.getProperties();
    expect(properties).toMatchObject({ contentLength: 9 * MiB, contentType: 'x/y', metadata: { of: 'source' }, copyId: answer.copyId, copyStatus: 'success', copyProgress: `${9 * MiB}/${9 * MiB}`, copySource: source.url });
    expect(properties.copyCompletedOn).toBeInstanceOf(Date);
    expect((await target.downloadToBuffer(9 * MiB - 4)).toString()).toBe('tail');
    expect((await target.getRangeList()).rangeList).toEqual([{ start: 9 * MiB - 512, end: 9 * MiB - 1 }]);
    await expect(target.abortCopyFromURL(answer.copyId!)).rejects.toMatchObject({ statusCode: 409, code: 'NoPendingCopyOperation' });
    const { _response: { request } } = await target.startCopyFromURL(source.url, { metadata: { of: 'target' } });
    // 12.33.0 does not send the metadata that it is given for a copy: what the source has stays.
    expect(request.headers.get('x-ms-meta-of')).toBe(IS_SDK_12_33_0 ? undefined : 'target');
    expect((await target.getProperties()).metadata).toEqual({ of: IS_SDK_12_33_0 ? 'source' : 'target' });
  });

  it('take attributes and times of the source where that is asked for', async () => {
    const source = share.rootDirectoryClient.getFileClient('with-properties');
    const at = new Date('2021-01-02T03:04:05Z');
    await source.create(10, { fileAttributes: FileSystemAttributes.parse('Hidden'), creationTime: at, lastWriteTime: at });
    const target = share.rootDirectoryClient.getFileClient('with-properties-too');
    await target.startCopyFromURL(source.url, { copyFileSmbInfo: { fileAttributes: 'source', fileCreationTime: 'source', fileLastWriteTime: 'source', setArchiveAttribute: true } } as object);
    expect(await target.getProperties()).toMatchObject({ fileAttributes: 'Hidden | Archive', fileCreatedOn: at, fileLastWriteOn: at });
    const plain = share.rootDirectoryClient.getFileClient('without-properties');
    await plain.startCopyFromURL(source.url);
    expect((await plain.getProperties()).fileAttributes).toBe('Archive');
  });

  it('between accounts go on behind the answer', async () => {
    await theirs.rootDirectoryClient.getFileClient('far').uploadData(Buffer.alloc(5 * MiB, 'f'));
    const target = share.rootDirectoryClient.getFileClient('near');
    expect(await target.startCopyFromURL(signed('far'))).toMatchObject({ copyStatus: 'pending' });
    expect(await settled(target)).toMatchObject({ copyStatus: 'success', copyProgress: `${5 * MiB}/${5 * MiB}`, copySource: `${emulator.url}/acct2/layers/far` });
    expect((await target.downloadToBuffer()).equals(Buffer.alloc(5 * MiB, 'f'))).toBe(true);
  });

  it('that stay pending keep others from the file, until they are aborted: then it is empty and keeps its metadata', async () => {
    emulator.control.disturb({ faults: [{ kind: 'copy-pending', account: 'acct1' }] });
    await theirs.rootDirectoryClient.getFileClient('slow').uploadData(Buffer.alloc(1000, 's'), { metadata: { of: 'slow' } });
    const target = share.rootDirectoryClient.getFileClient('waiting');
    const { copyId } = await target.startCopyFromURL(signed('slow'));
    expect(await target.getProperties()).toMatchObject({ copyStatus: 'pending', copyProgress: '0/1000', contentLength: 1000 });
    await expect(target.uploadRange('x', 0, 1)).rejects.toMatchObject({ statusCode: 409, code: 'PendingCopyOperation' });
    await expect(target.delete()).rejects.toMatchObject({ statusCode: 409, code: 'PendingCopyOperation' });
    await expect(target.abortCopyFromURL('11111111-1111-1111-1111-111111111111')).rejects.toMatchObject({ statusCode: 409, code: 'CopyIdMismatch' });
    await target.abortCopyFromURL(copyId!);
    expect(await target.getProperties()).toMatchObject({ copyStatus: 'aborted', contentLength: 0, metadata: { of: 'slow' } });
    await target.delete();
  });

  it('that stayed pending go on when the fault ends', async () => {
    emulator.control.disturb({ faults: [{ kind: 'copy-pending' }] });
    const source = share.rootDirectoryClient.getFileClient('held-back');
    await source.uploadData(Buffer.from('content'));
    const target = share.rootDirectoryClient.getFileClient('held-back-copy');
    expect(await target.startCopyFromURL(source.url)).toMatchObject({ copyStatus: 'pending' });
    emulator.control.disturb({});
    expect((await settled(target)).copyStatus).toBe('success');
    expect((await target.downloadToBuffer()).toString()).toBe('content');
  });

  it('whose source fails in the middle end as failed, with the reason', async () => {
    const bad = createServer((request, response) => {
      if (request.method === 'HEAD') response.writeHead(200, { 'content-length': 1000 }).end();
      else response.writeHead(503, { 'x-ms-error-code': 'ServerBusy' }).end();
    }).listen(0, '127.0.0.1');
    await once(bad, 'listening');
    const target = share.rootDirectoryClient.getFileClient('broken');
    await target.startCopyFromURL(`http://127.0.0.1:${(bad.address() as AddressInfo).port}/file`);
    expect(await settled(target)).toMatchObject({ copyStatus: 'failed', copyStatusDescription: expect.stringContaining('503 CannotVerifyCopySource') });
    bad.close();
  });

  it('of a source that is not there, or not allowed, are refused and leave the target as it was', async () => {
    const target = share.rootDirectoryClient.getFileClient('untouched');
    await target.uploadData(Buffer.from('before'));
    await expect(target.startCopyFromURL(`${emulator.url}/acct1/layers/absent`)).rejects.toMatchObject({ statusCode: 404, code: 'CannotVerifyCopySource' });
    await expect(target.startCopyFromURL(`${emulator.url}/acct2/layers/far`)).rejects.toMatchObject({ statusCode: 401, code: 'CannotVerifyCopySource' });
    expect((await target.downloadToBuffer()).toString()).toBe('before');
  });

  it('take the source as it was in a snapshot', async () => {
    const source = share.rootDirectoryClient.getFileClient('versioned');
    await source.uploadData(Buffer.from('old'));
    const { snapshot } = await share.createSnapshot();
    await source.uploadData(Buffer.from('newer'));
    const target = share.rootDirectoryClient.getFileClient('restored');
    await target.startCopyFromURL(`${source.url}?sharesnapshot=${snapshot}`);
    expect((await target.downloadToBuffer()).toString()).toBe('old');
  });
});

describe('the conditions of Put Range From URL', () => {
  it('compare the CRC64 of the source', async () => {
    await theirs.rootDirectoryClient.getFileClient('known').uploadData(Buffer.alloc(512, 'a'));
    const target = share.rootDirectoryClient.getFileClient('conditional');
    await target.create(512);
    const [right, wrong] = [Buffer.from('u661BimQ84c=', 'base64'), Buffer.from('zGf3rvhKPeA=', 'base64')];
    const copy = (conditions: object): Promise<unknown> => target.uploadRangeFromURL(signed('known'), 0, 0, 512, { sourceConditions: conditions } as object);
    await expect(copy({ sourceIfMatchCrc64: wrong })).rejects.toMatchObject({ statusCode: 412, code: 'SourceConditionNotMet' });
    await expect(copy({ sourceIfNoneMatchCrc64: right })).rejects.toMatchObject({ statusCode: 412, code: 'SourceConditionNotMet' });
    await copy({ sourceIfMatchCrc64: right });
    await copy({ sourceIfNoneMatchCrc64: wrong });
  });
});
