import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { FileSystemAttributes, type ShareClient, type ShareServiceClient } from '@azure/storage-file-share';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { crc64Of } from '#shares';

import { type RawAnswer, sendRaw } from '../testing/raw-request.js';
import { sdkClient } from '../testing/sdk-clients.js';
import { startTemporaryEmulator, type TemporaryEmulator, TEST_KEY } from '../testing/temporary-emulator.js';

let emulator: TemporaryEmulator;
let service: ShareServiceClient;
let share: ShareClient;
const SDDL = 'O:S-1-5-21-2127521184-1604012920-1887927527-21560751G:S-1-5-21-2127521184-1604012920-1887927527-513D:AI(A;;FA;;;SY)(A;;FA;;;BA)';

beforeAll(async () => {
  emulator = await startTemporaryEmulator();
  service = sdkClient(`${emulator.url}/acct1`);
  share = service.getShareClient('layers');
  await share.create({ quota: 1 });
});
afterEach(() => emulator.control.disturb({}));
afterAll(() => emulator.close());

function send(method: string, target: string, headers: Record<string, string> = {}, body?: Buffer): Promise<RawAnswer> {
  return sendRaw({ method, url: emulator.url, target: `/acct1/${target}`, headers, signAs: { account: 'acct1', key: TEST_KEY }, ...(body === undefined ? {} : { body }) });
}

describe('permissions, to the unmodified SDK', () => {
  it('are kept by keys, the same for the same text, and given to files and folders by key or in full', async () => {
    const { filePermissionKey: key } = await share.createPermission(SDDL);
    expect(key).toMatch(/^\d+\*\d+$/);
    expect((await share.createPermission(SDDL)).filePermissionKey).toBe(key);
    expect((await share.getPermission(key!)).permission).toBe(SDDL);
    const file = share.rootDirectoryClient.getFileClient('by-key');
    expect((await file.create(1, { filePermissionKey: key! })).filePermissionKey).toBe(key);
    const folder = share.getDirectoryClient('in-full');
    expect((await folder.create({ filePermission: SDDL })).filePermissionKey).toBe(key);
    await expect(share.rootDirectoryClient.getFileClient('x').create(1, { filePermissionKey: '1*1' })).rejects.toMatchObject({ statusCode: 400, code: 'FileInvalidPermissionKey' });
    await expect(share.createPermission('everybody')).rejects.toMatchObject({ statusCode: 400, code: 'FileInvalidPermission' });
    const headers = { 'x-ms-type': 'file', 'x-ms-content-length': '1', 'x-ms-file-permission': SDDL, 'x-ms-file-permission-key': key! };
    expect(await send('PUT', 'layers/both', headers)).toMatchObject({ status: 400, code: 'InvalidHeaderValue' });
  });

  it('have defaults, as the real service was recorded', async () => {
    expect((await share.rootDirectoryClient.getFileClient('default').create(1)).filePermissionKey).toMatch(/^18334277426550052432\*/);
    expect((await share.getDirectoryClient('default-folder').create()).filePermissionKey).toMatch(/^4470876496940820823\*6255667487792660190$/);
  });
});

describe('attributes and times, to the unmodified SDK', () => {
  it('are kept as given, changed one by one, and are part of listings', async () => {
    const file = share.rootDirectoryClient.getFileClient('timed');
    const [creationTime, lastWriteTime, changeTime] = ['2020-01-02T03:04:05Z', '2021-01-02T03:04:05Z', '2022-01-02T03:04:05Z'].map((text) => new Date(text));
    await file.create(10, { fileAttributes: FileSystemAttributes.parse('Hidden | Archive'), creationTime: creationTime!, lastWriteTime: lastWriteTime!, changeTime: changeTime! });
    expect(await file.getProperties()).toMatchObject({ fileAttributes: 'Hidden | Archive', fileCreatedOn: creationTime, fileLastWriteOn: lastWriteTime, fileChangeOn: changeTime });
    await file.setProperties({ lastWriteTime: new Date('2023-01-02T03:04:05Z') });
    expect(await file.getProperties()).toMatchObject({ fileAttributes: 'Hidden | Archive', fileCreatedOn: creationTime, fileLastWriteOn: new Date('2023-01-02T03:04:05Z') });
    const listed = (await share.rootDirectoryClient.listFilesAndDirectories({ prefix: 'timed', includeAttributes: true, includeTimestamps: true, includePermissionKey: true, includeEtag: true } as object).next()).value;
    expect(listed).toMatchObject({ attributes: 'Hidden | Archive', permissionKey: expect.stringContaining('*'), properties: { creationTime, etag: (await file.getProperties()).etag } });
    const folder = share.getDirectoryClient('timed-folder');
    await folder.create({ metadata: { a: 'b' } });
    await folder.setMetadata({ c: 'd' });
    await folder.setProperties({ creationTime: creationTime! });
    expect(await folder.getProperties()).toMatchObject({ metadata: { c: 'd' }, fileCreatedOn: creationTime, fileAttributes: 'Directory' });
  });

  it('move with writes, unless those are told to leave the last write time', async () => {
    const file = share.rootDirectoryClient.getFileClient('preserved');
    const at = new Date('2021-01-02T03:04:05Z');
    await file.create(1024, { lastWriteTime: at });
    await file.uploadRange('x', 0, 1, { fileLastWrittenMode: 'Preserve' });
    await file.clearRange(0, 512, { fileLastWrittenMode: 'Preserve' });
    expect((await file.getProperties()).fileLastWriteOn).toEqual(at);
    const before = (await file.getProperties()).etag;
    const { etag } = await file.uploadRange('x', 0, 1);
    expect(etag).not.toBe(before);
    expect((await file.getProperties()).fileLastWriteOn!.getTime()).toBeGreaterThan(Date.now() - 60_000);
    await file.setMetadata({ a: 'b' });
    const { fileLastWriteOn, lastModified } = await file.getProperties();
    expect(fileLastWriteOn!.getTime()).toBeLessThanOrEqual(lastModified!.getTime() + 1000);
  });

  it('that are no times or attributes are refused', async () => {
    const file = { 'x-ms-type': 'file', 'x-ms-content-length': '1' };
    for (const bad of [{ 'x-ms-file-creation-time': 'yesterday' }, { 'x-ms-file-attributes': 'Secret' }, { 'x-ms-file-last-write-time': '2021-13-40T00:00:00Z' }]) {
      expect(await send('PUT', 'layers/bad', { ...file, ...bad })).toMatchObject({ status: 400, code: 'InvalidHeaderValue' });
    }
  });

  it('that say read-only keep everybody from writing and deleting, until they say otherwise', async () => {
    const file = share.rootDirectoryClient.getFileClient('read-only');
    await file.create(10, { fileAttributes: FileSystemAttributes.parse('ReadOnly') });
    expect((await file.getProperties()).fileAttributes).toBe('ReadOnly');
    for (const change of [() => file.uploadRange('x', 0, 1), () => file.clearRange(0, 10), () => file.resize(5), () => file.delete(), () => file.create(1)]) {
      await expect(change()).rejects.toMatchObject({ statusCode: 409, code: 'ReadOnlyAttribute' });
    }
    await share.rootDirectoryClient.getFileClient('over').create(1);
    const over = share.rootDirectoryClient.getFileClient('over');
    await expect(over.rename('read-only', { replaceIfExists: true })).rejects.toMatchObject({ code: 'ReadOnlyAttribute' });
    await over.rename('read-only', { replaceIfExists: true, ignoreReadOnly: true });
    await file.create(10, { fileAttributes: FileSystemAttributes.parse('ReadOnly') });
    await file.setProperties({ fileAttributes: FileSystemAttributes.parse('None') });
    await file.delete();
  });
});

describe('renaming, to the unmodified SDK', () => {
  it('moves a folder with everything in it, and keeps records with their files', async () => {
    const folder = share.getDirectoryClient('from-here');
    await folder.create({ metadata: { of: 'folder' } });
    await folder.getDirectoryClient('sub').create();
    const file = folder.getDirectoryClient('sub').getFileClient('file');
    const { fileId } = await file.create(1024, { metadata: { of: 'file' } });
    await file.uploadRange('x', 600, 1);
    await folder.rename('to-there');
    const moved = share.getDirectoryClient('to-there');
    expect(await folder.exists()).toBe(false);
    expect((await moved.getProperties()).metadata).toEqual({ of: 'folder' });
    const inside = moved.getDirectoryClient('sub').getFileClient('file');
    expect(await inside.getProperties()).toMatchObject({ fileId, metadata: { of: 'file' } });
    expect((await inside.getRangeList()).rangeList).toEqual([{ start: 512, end: 1023 }]);
    await expect(moved.rename('to-there/sub/deeper')).rejects.toMatchObject({ statusCode: 400 });
    await expect(moved.rename('default')).rejects.toMatchObject({ statusCode: 409 });
  });

  it('of a leased file needs its lease, and so does replacing one', async () => {
    const [one, two] = ['leased-one', 'leased-two'].map((name) => share.rootDirectoryClient.getFileClient(name));
    await one!.create(1);
    await two!.create(2);
    const [first, second] = [await one!.getShareLeaseClient().acquireLease(-1), await two!.getShareLeaseClient().acquireLease(-1)];
    await expect(one!.rename('leased-two', { replaceIfExists: true })).rejects.toMatchObject({ statusCode: 412, code: 'LeaseIdMissing' });
    const leaseAccessConditions = { leaseId: first.leaseId! };
    await expect(one!.rename('leased-two', { replaceIfExists: true, sourceLeaseAccessConditions: leaseAccessConditions })).rejects.toMatchObject({ statusCode: 412 });
    await one!.rename('leased-two', { replaceIfExists: true, sourceLeaseAccessConditions: leaseAccessConditions, destinationLeaseAccessConditions: { leaseId: second.leaseId! } });
    expect((await two!.getProperties()).contentLength).toBe(1);
  });

  it('changes the case of a name', async () => {
    const file = share.rootDirectoryClient.getFileClient('Case');
    await file.create(3, { metadata: { a: 'b' } });
    await file.rename('CASE');
    expect((await readdir(emulator.shareFolder('acct1', 'layers'))).filter((name) => name.toLowerCase() === 'case')).toEqual(['CASE']);
    expect((await file.getProperties()).metadata).toEqual({ a: 'b' });
  });
});

describe('names, to the unmodified SDK', () => {
  it('are found whatever their case, and keep the one they were given', async () => {
    const folder = share.getDirectoryClient('MixedCase');
    await folder.create();
    await folder.getFileClient('Äpfel.TXT').uploadData(Buffer.from('content'));
    const other = share.getDirectoryClient('mixedcase').getFileClient('äPFEL.txt');
    expect((await other.downloadToBuffer()).toString()).toBe('content');
    await other.uploadData(Buffer.from('replaced'));
    const names: string[] = [];
    for await (const entry of folder.listFilesAndDirectories()) names.push(entry.name);
    expect(names).toEqual(['Äpfel.TXT']);
    await expect(share.getDirectoryClient('MIXEDCASE').create()).rejects.toMatchObject({ statusCode: 409, code: 'ResourceAlreadyExists' });
    await other.delete();
    await share.getDirectoryClient('mixedCASE').delete();
    expect(await folder.exists()).toBe(false);
  });

  it('created in two cases at once are one file', async () => {
    const spellings = ['twice', 'TWICE', 'Twice', 'tWICE'];
    await Promise.all(spellings.map((name) => share.rootDirectoryClient.getFileClient(name).create(1)));
    expect((await readdir(emulator.shareFolder('acct1', 'layers'))).filter((name) => name.toLowerCase() === 'twice')).toHaveLength(1);
  });

  it('end without dots, unless dots are asked for', async () => {
    const dotted = sdkClient(`${emulator.url}/acct1`, { allowTrailingDot: true, allowSourceTrailingDot: true }).getShareClient('layers').rootDirectoryClient;
    await dotted.getFileClient('dotted..').create(1);
    await share.rootDirectoryClient.getFileClient('dotted..').create(2);
    expect((await readdir(emulator.shareFolder('acct1', 'layers'))).filter((name) => name.startsWith('dotted')).toSorted()).toEqual(['dotted', 'dotted..']);
    await dotted.getFileClient('dotted..').rename('renamed.', { replaceIfExists: true });
    expect(await dotted.getFileClient('renamed.').exists()).toBe(true);
  });

  it('that XML cannot hold are listed in percent-encoding', async () => {
    await writeFile(join(emulator.shareFolder('acct1', 'layers'), 'control\u0001&\uFFFF'), 'x');
    const answer = await send('GET', 'layers?restype=directory&comp=list&prefix=control');
    expect(answer.body.toString()).toContain('<Name Encoded="true">control%01%26%EF%BF%BF</Name>');
    const listed: string[] = [];
    for await (const entry of share.rootDirectoryClient.listFilesAndDirectories({ prefix: 'control' })) listed.push(entry.name);
    expect(listed).toEqual(['control\u0001&\uFFFF']);
  });
});

describe('handles, to the unmodified SDK', () => {
  it('are listed with what holds them, in the way of changes, and closed one by one or all', async () => {
    const folder = share.getDirectoryClient('held');
    await folder.create();
    const file = folder.getFileClient('file');
    await file.uploadData(Buffer.from('content'));
    const place = { account: 'acct1', share: 'layers', path: 'held/file' };
    const opened = await emulator.control.openHandle(place, { clientIp: '10.0.0.7:445', clientName: 'node-7' });
    await emulator.control.openHandle({ ...place, path: 'held' });
    const handles: { handleId: string; path: string; clientIp: string; fileId: string }[] = [];
    for await (const handle of folder.listHandles({ recursive: true })) handles.push(handle as never);
    expect(handles.map(({ path }) => path)).toEqual(['held/file', 'held']);
    expect(handles[0]).toMatchObject({ handleId: opened.id, clientIp: '10.0.0.7:445', clientName: 'node-7', sessionId: opened.sessionId, fileId: (await file.getProperties()).fileId, accessRightList: ['Read'] });
    expect((await file.downloadToBuffer()).toString()).toBe('content');
    for (const change of [() => file.delete(), () => file.uploadRange('x', 0, 1), () => file.rename('away'), () => folder.rename('gone'), () => file.resize(1)]) {
      await expect(change()).rejects.toMatchObject({ statusCode: 409, code: 'SharingViolation' });
    }
    expect(await file.forceCloseHandle(opened.id)).toMatchObject({ closedHandlesCount: 1, closeFailureCount: 0 });
    await expect(file.forceCloseHandle(opened.id)).rejects.toMatchObject({ statusCode: 404 });
    await emulator.control.openHandle(place, { sharing: 'read-write' });
    await file.uploadRange('x', 0, 1);
    await expect(file.delete()).rejects.toMatchObject({ code: 'SharingViolation' });
    expect(await share.rootDirectoryClient.forceCloseAllHandles({ recursive: true })).toMatchObject({ closedHandlesCount: 2 });
    await file.delete();
  });

  it('come by page', async () => {
    await share.rootDirectoryClient.getFileClient('paged').create(1);
    for (let index = 0; index < 5; index += 1) await emulator.control.openHandle({ account: 'acct1', share: 'layers', path: 'paged' });
    const sizes: number[] = [];
    for (let marker: string | undefined = ''; marker !== undefined;) {
      const page = (await send('GET', `layers/paged?comp=listhandles&maxresults=2&marker=${marker}`)).body.toString();
      sizes.push(page.split('<Handle>').length - 1);
      marker = /<NextMarker>(.+)<\/NextMarker>/.exec(page)?.[1];
    }
    expect(sizes).toEqual([2, 2, 1]);
  });
});

describe('structured bodies, to the unmodified SDK', () => {
  const checked = { contentChecksumAlgorithm: 'StorageCrc64' } as const;

  it('are taken apart, checked and stored without their frame', async () => {
    const file = share.rootDirectoryClient.getFileClient('structured');
    await file.create(5 * 1024 * 1024);
    await file.uploadRange('hello', 10, 5, checked);
    expect((await file.downloadToBuffer(10, 5)).toString()).toBe('hello');
    const whole = share.rootDirectoryClient.getFileClient('structured-whole');
    const bytes = Buffer.alloc(9 * 1024 * 1024 + 7, 'content');
    await whole.uploadData(bytes, checked as object);
    expect((await whole.downloadToBuffer()).equals(bytes)).toBe(true);
    expect((await whole.downloadToBuffer(undefined, undefined, checked as object)).equals(bytes)).toBe(true);
  });

  it('whose checksums or lengths are wrong change nothing', async () => {
    const file = share.rootDirectoryClient.getFileClient('unframed');
    await file.create(5);
    // The message that the client sends for "hello", byte by byte.
    const frame = (change: (message: Buffer) => void): Buffer => {
      const message = Buffer.alloc(44);
      message.writeUInt8(1, 0);
      message.writeBigUInt64LE(44n, 1);
      message.writeUInt16LE(1, 9);
      message.writeUInt16LE(1, 11);
      message.writeUInt16LE(1, 13);
      message.writeBigUInt64LE(5n, 15);
      message.write('hello', 23);
      for (const at of [28, 36]) Buffer.from(crc64Of(Buffer.from('hello')), 'base64').copy(message, at);
      change(message);
      return message;
    };
    const headers = { 'x-ms-write': 'update', 'x-ms-range': 'bytes=0-4', 'x-ms-structured-body': 'XSM/1.0; properties=crc64', 'x-ms-structured-content-length': '5' };
    const put = (change: (message: Buffer) => void): Promise<RawAnswer> => send('PUT', 'layers/unframed?comp=range', headers, frame(change));
    expect(await put((message) => message.write('j', 23))).toMatchObject({ status: 400, code: 'Crc64Mismatch' });
    for (const change of [
      (message: Buffer) => message.writeUInt8(2, 0), (message: Buffer) => message.writeBigUInt64LE(45n, 1), (message: Buffer) => message.writeUInt16LE(2, 11),
      (message: Buffer) => message.writeBigUInt64LE(6n, 15), (message: Buffer) => message.writeBigUInt64LE(2n ** 63n, 15), (message: Buffer) => message.writeUInt16LE(0, 9),
    ]) expect(await put((message) => void change(message))).toMatchObject({ status: 400, code: 'InvalidInput' });
    expect((await file.getRangeList()).rangeList).toEqual([]);
  });
});

describe('files that bring their content, to the unmodified SDK', () => {
  it('are created whole in one call', async () => {
    const answer = await send('PUT', 'layers/at-once', { 'x-ms-type': 'file', 'x-ms-content-length': '7', 'x-ms-version': '2026-04-06' }, Buffer.from('content'));
    expect(answer).toMatchObject({ status: 201, headers: { 'content-md5': expect.any(String) } });
    expect((await share.rootDirectoryClient.getFileClient('at-once').downloadToBuffer()).toString()).toBe('content');
    const early = await send('PUT', 'layers/too-early', { 'x-ms-type': 'file', 'x-ms-content-length': '7', 'x-ms-version': '2025-11-05' }, Buffer.from('content'));
    expect(early).toMatchObject({ status: 400, code: 'InvalidHeaderValue' });
    const long = await send('PUT', 'layers/too-long', { 'x-ms-type': 'file', 'x-ms-content-length': '3', 'x-ms-version': '2026-04-06' }, Buffer.from('content'));
    expect(long.status).toBe(416);
  });
});
