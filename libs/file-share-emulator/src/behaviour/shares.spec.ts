import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

import type { ShareClient, ShareServiceClient } from '@azure/storage-file-share';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { HOUR_MS } from '#quantities';

import { startFileShareEmulator } from '../start-emulator.js';
import { ShareCatalogue } from '../storage/share-catalogue.js';
import { type RawAnswer, sendRaw } from '../testing/raw-request.js';
import { sdkClient } from '../testing/sdk-clients.js';
import { startTemporaryEmulator, type TemporaryEmulator, TEST_KEY } from '../testing/temporary-emulator.js';

let emulator: TemporaryEmulator;
let service: ShareServiceClient;

beforeAll(async () => {
  emulator = await startTemporaryEmulator(['acct1'], { deleteRetentionDays: 7 });
  service = sdkClient(`${emulator.url}/acct1`);
});
afterAll(() => emulator.close());

const REFUSED = Array.from({ length: 2 }, () => 'TotalSharesProvisionedIopsExceedsAccountLimit');

async function outcome(call: Promise<unknown>): Promise<string> {
  return call.then(() => 'served', (error: { readonly code?: string }) => error.code ?? 'refused without a code');
}

function send(method: string, target: string, headers: Record<string, string> = {}): Promise<RawAnswer> {
  return sendRaw({ method, url: emulator.url, target: `/acct1/${target}`, headers, signAs: { account: 'acct1', key: TEST_KEY } });
}

describe('service properties, to the unmodified SDK', () => {
  it('are all there before anything was said', async () => {
    expect(await service.getProperties()).toMatchObject({ hourMetrics: { enabled: false }, minuteMetrics: { enabled: false }, protocol: { smb: { multichannel: { enabled: false } } } });
  });

  it('are kept, and those that are left out stay', async () => {
    await service.setProperties({ cors: [{ allowedOrigins: '*', allowedMethods: 'GET', allowedHeaders: 'x-ms-a&b', exposedHeaders: '', maxAgeInSeconds: 5 }], protocol: { smb: { multichannel: { enabled: true } } } });
    await service.setProperties({ hourMetrics: { version: '1.0', enabled: false, retentionPolicy: { enabled: false } } });
    expect(await service.getProperties()).toMatchObject({
      cors: [{ allowedOrigins: '*', allowedHeaders: 'x-ms-a&b', maxAgeInSeconds: 5 }], protocol: { smb: { multichannel: { enabled: true } } }, hourMetrics: { version: '1.0', enabled: false },
    });
    const again = await ShareCatalogue.open(join(emulator.folder), 'acct1');
    expect(again.serviceProperties.map(({ name }) => name).toSorted()).toEqual(['Cors', 'HourMetrics', 'ProtocolSettings']);
  });
});

describe('provisioned shares, to the unmodified SDK', () => {
  it('tell what they were given and what comes with it, and refuse what Azure refuses', async () => {
    const share = service.getShareClient('provisioned');
    const create = (options: object): Promise<unknown> => share.create({ shareProvisionedIops: 3500, shareProvisionedBandwidthMibps: 150, quota: 64, ...options } as object);
    await expect(create({ shareProvisionedIops: 100 })).rejects.toMatchObject({ statusCode: 400, code: 'FileShareProvisionedIopsInvalid' });
    await expect(create({ shareProvisionedBandwidthMibps: 20_000 })).rejects.toMatchObject({ statusCode: 400, code: 'FileShareProvisionedBandwidthInvalid' });
    await expect(create({ quota: 5 })).rejects.toMatchObject({ statusCode: 400, code: 'FileShareProvisionedStorageInvalid' });
    await create({});
    const properties = await share.getProperties();
    expect(properties).toMatchObject({ quota: 64, provisionedIops: 3500, provisionedBandwidthMibps: 150, includedBurstIops: 10_500, maxBurstCreditsForIops: 7000 * 3600 });
    const big = service.getShareClient('too-many-iops');
    await expect(big.create({ shareProvisionedIops: 100_000, shareProvisionedBandwidthMibps: 100, quota: 64 } as object)).rejects.toMatchObject({ code: 'TotalSharesProvisionedIopsExceedsAccountLimit' });
    await share.setProperties({ quotaInGB: 128, accessTier: 'Premium' });
    const raised = await share.getProperties();
    expect(raised).toMatchObject({ quota: 128, accessTier: 'Premium', provisionedIops: 3500 });
    expect(raised.nextAllowedQuotaDowngradeTime!.getTime()).toBeGreaterThan(Date.now() + 23 * HOUR_MS);
    await expect(share.setProperties({ quotaInGB: 64 })).rejects.toMatchObject({ statusCode: 409, code: 'ContainerQuotaDowngradeNotAllowed' });
    expect(await share.getProperties()).toMatchObject({ quota: 128 });
  });

  it('are never more together than their account may have, however many are made, raised and restored at once', async () => {
    const other = await startTemporaryEmulator(['acct1'], { deleteRetentionDays: 7 });
    try {
      const client = sdkClient(`${other.url}/acct1`);
      const given = { shareProvisionedIops: 30_000, shareProvisionedBandwidthMibps: 100, quota: 32 } as object;
      // Three fit, of 102,400.
      const made = await Promise.all(Array.from({ length: 5 }, (_, n) => outcome(client.getShareClient(`made-${n}`).create(given))));
      expect(made.toSorted()).toEqual([...REFUSED.slice(0, 2), 'served', 'served', 'served']);
      const shares = await Promise.all([0, 1, 2, 3, 4].filter((n) => made[n] === 'served').map(async (n) => client.getShareClient(`made-${n}`)));
      // 12,400 are left: two of three raises of 5,000 fit.
      const raised = await Promise.all(shares.map((share) => outcome(share.setProperties({ shareProvisionedIops: 35_000 } as object))));
      expect(raised.toSorted()).toEqual([REFUSED[0], 'served', 'served']);
      const [gone] = shares;
      await gone!.delete();
      let version = '';
      for await (const share of client.listShares({ includeDeleted: true })) if (share.deleted === true) version = share.version ?? '';
      // Only one has the place of the one that went.
      const both = await Promise.all([outcome(client.undeleteShare(gone!.name, version)), outcome(client.getShareClient('instead').create(given))]);
      expect(both.toSorted()).toEqual([REFUSED[0], 'served']);
    } finally {
      await other.close();
    }
  });

  it('have one lease when two acquire it at once', async () => {
    const share = service.getShareClient('leased-at-once');
    await share.create();
    const codes = await Promise.all([1, 2].map((n) => outcome(share.getShareLeaseClient(`00000000-0000-4000-8000-00000000000${n}`).acquireLease(60))));
    expect(codes.toSorted()).toEqual(['LeaseAlreadyPresent', 'served']);
  });
});

describe('deleted shares, to the unmodified SDK', () => {
  it('are listed with their version and time left, and come back with everything', async () => {
    const share = service.getShareClient('brought-back');
    await share.create({ metadata: { a: 'b' } });
    await share.rootDirectoryClient.getFileClient('file').uploadData(Buffer.from('content'), { metadata: { c: 'd' } });
    await share.delete();
    await share.create();
    await share.delete();
    const deleted: { name: string; version?: string; deleted?: boolean; properties: { remainingRetentionDays?: number } }[] = [];
    for await (const item of service.listShares({ includeDeleted: true, prefix: 'brought' })) deleted.push(item);
    expect(deleted).toMatchObject([{ deleted: true, properties: { remainingRetentionDays: 7 } }, { deleted: true }]);
    await service.undeleteShare('brought-back', deleted[0]!.version!);
    expect((await share.getProperties()).metadata).toEqual({ a: 'b' });
    const file = share.rootDirectoryClient.getFileClient('file');
    expect((await file.downloadToBuffer()).toString()).toBe('content');
    expect((await file.getProperties()).metadata).toEqual({ c: 'd' });
    await expect(service.undeleteShare('brought-back', deleted[1]!.version!)).rejects.toMatchObject({ statusCode: 409, code: 'ShareAlreadyExists' });
    const remaining: unknown[] = [];
    for await (const item of service.listShares({ includeDeleted: true, prefix: 'brought' })) remaining.push(item.deleted ?? false);
    expect(remaining).toEqual([false, true]);
  });

  it('are finished with after a crash in the middle, and restored ones too', async () => {
    const folder = join(emulator.folder, 'crash');
    const rules = { retentionDays: 7, lingerMs: () => 0 };
    const before = await ShareCatalogue.open(folder, 'acct1', rules);
    for (const name of ['half-deleted', 'half-restored']) {
      const share = await before.create(name, { quotaGiB: 1, metadata: { name } });
      await share.folder.createFile('file', { sizeBytes: 3, content: { type: 'x' }, metadata: {} });
      await before.remove(name);
    }
    const [deleted, restored] = before.deleted.list();
    // As a crash leaves them: the files of one have moved, and the records of the other.
    await rename(join(folder, '.records', 'acct1', '.retained', deleted!.version, 'records'), join(folder, '.records', 'acct1', 'half-deleted'));
    await rename(join(folder, '.records', 'acct1', '.retained', restored!.version, 'records'), join(folder, '.records', 'acct1', 'half-restored'));
    const after = await ShareCatalogue.open(folder, 'acct1', rules);
    expect(after.list()).toEqual([]);
    expect(after.deleted.list().map(({ name }) => name)).toEqual(['half-deleted', 'half-restored']);
    for (const { name, version } of after.deleted.list()) {
      const share = await after.restore(name, version);
      expect(share.record.metadata).toEqual({ name });
      expect(share.folder.usedBytes).toBe(3);
    }
    const gone = await ShareCatalogue.open(folder, 'acct1', { ...rules, retentionDays: 0 });
    expect(gone.list()).toHaveLength(2);
    await rm(folder, { recursive: true });
  });

  it('of which nothing is retained are gone for good', async () => {
    const folder = join(emulator.folder, 'gone');
    const started = await startFileShareEmulator({ folder, port: 0, accounts: [{ name: 'acct1', key: TEST_KEY }] });
    const share = sdkClient(`${started.url}/acct1`).getShareClient('brief');
    await share.create();
    await share.delete();
    const listed: unknown[] = [];
    for await (const item of sdkClient(`${started.url}/acct1`).listShares({ includeDeleted: true })) listed.push(item);
    expect(listed).toEqual([]);
    await started.close();
  });
});

describe('listings, to the unmodified SDK', () => {
  let share: ShareClient;
  beforeAll(async () => {
    share = service.getShareClient('listed');
    await share.create();
    for (const name of ['b', 'a', 'C & D', 'ü']) await share.rootDirectoryClient.getFileClient(name).create(1);
    await share.getDirectoryClient('dir').create();
  });

  it('come by page whatever their size, without gaps or repetitions', async () => {
    for (const maxPageSize of [1, 2, 3, 5000]) {
      const names: string[] = [];
      for await (const { segment } of share.rootDirectoryClient.listFilesAndDirectories().byPage({ maxPageSize })) {
        names.push(...segment.fileItems.map(({ name }) => name), ...segment.directoryItems.map(({ name }) => name));
      }
      expect(names.toSorted()).toEqual(['C & D', 'a', 'b', 'dir', 'ü'].toSorted());
    }
  });

  it('name the folder, what was asked for, and only what was to be included', async () => {
    const plain = (await send('GET', 'listed?restype=directory&comp=list&prefix=C&maxresults=7')).body.toString();
    expect(plain).toMatch(/<EnumerationResults ServiceEndpoint="http:\/\/127\.0\.0\.1:\d+\/acct1\/" ShareName="listed" DirectoryPath=""><Prefix>C<\/Prefix><MaxResults>7<\/MaxResults><DirectoryId>0<\/DirectoryId><Entries>/);
    expect(plain).toMatch(/<File><Name>C &amp; D<\/Name><FileId>\d+<\/FileId><Properties><Content-Length>1<\/Content-Length><\/Properties><\/File>/);
    const full = (await send('GET', 'listed?restype=directory&comp=list&prefix=a&include=Timestamps,Etag,Attributes,PermissionKey')).body.toString();
    expect(full).toMatch(/<CreationTime>[^<]+\.\d{7}Z<\/CreationTime><LastAccessTime>[^<]+<\/LastAccessTime><LastWriteTime>[^<]+<\/LastWriteTime><ChangeTime>[^<]+<\/ChangeTime><Last-Modified>[^<]+ GMT<\/Last-Modified><Etag>&quot;0x[0-9A-F]+&quot;<\/Etag><\/Properties><Attributes>Archive<\/Attributes><PermissionKey>/);
    expect(await send('GET', 'listed?restype=directory&comp=list&include=everything')).toMatchObject({ status: 400, code: 'InvalidQueryParameterValue' });
    expect(await send('GET', 'listed?restype=directory&comp=list&marker=%21')).toMatchObject({ status: 400, code: 'InvalidQueryParameterValue' });
    expect(await send('GET', 'listed/absent?restype=directory&comp=list')).toMatchObject({ status: 404, code: 'ResourceNotFound' });
  });

  it('of shares come by prefix, by page and with metadata', async () => {
    await service.getShareClient('listed').setMetadata({ owner: 'test' });
    const page = (await service.listShares({ prefix: 'lis', includeMetadata: true }).byPage({ maxPageSize: 1 }).next()).value as { shareItems: unknown[] };
    expect(page.shareItems).toMatchObject([{ name: 'listed', metadata: { owner: 'test' }, properties: { quota: 5120, leaseState: 'available', enabledProtocols: 'SMB' } }]);
  });
});
