import { X509Certificate } from 'node:crypto';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { FileSASPermissions, generateFileSASQueryParameters, StorageSharedKeyCredential } from '@azure/storage-file-share';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { startFileShareEmulator } from './start-emulator.js';
import { sdkClient } from './testing/sdk-clients.js';
import { sendRaw } from './testing/raw-request.js';
import { startTemporaryEmulator, type TemporaryEmulator, TEST_KEY } from './testing/temporary-emulator.js';
import { makeCertificate } from './tls/self-made-certificate.js';

const accounts = [{ name: 'acct1', key: TEST_KEY }];
let emulator: TemporaryEmulator;
beforeAll(async () => {
  emulator = await startTemporaryEmulator(['acct1', 'acct2'], { https: { port: 0, names: ['files.test', 'fd00::1'] } });
});
afterAll(() => emulator.close());

describe('a made certificate', () => {
  it('is its own authority, for all names of the emulator and no others', () => {
    const certificate = new X509Certificate(emulator.certificate!);
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    expect(certificate.ca).toBe(true);
    for (const name of ['localhost', 'files.test', 'acct1.file.localhost', 'acct2.file.core.windows.net']) expect(certificate.checkHost(name)).toBe(name);
    for (const address of ['127.0.0.1', '::1', 'fd00::1']) expect(certificate.checkIP(address)).toBe(address);
    expect([certificate.checkHost('other.test'), certificate.checkIP('127.0.0.2')]).toEqual([undefined, undefined]);
    expect(Date.parse(certificate.validTo) - Date.now()).toBeGreaterThan(3600 * 86_400_000);
  });

  it('serves a client that trusts it, and no other', async () => {
    const trusting = await sendRaw({ method: 'GET', url: emulator.secureUrl!, target: '/acct1/?comp=list', signAs: { account: 'acct1', key: TEST_KEY }, ca: emulator.certificate });
    expect(trusting.status).toBe(200);
    await expect(sendRaw({ method: 'GET', url: emulator.secureUrl!, target: '/acct1/?comp=list' })).rejects.toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
  });

  it('is kept over restarts for as long as it fits, with a key that nobody else can read', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'emulator-tls-'));
    const certificates: (string | undefined)[] = [];
    for (const names of [[], [], ['more.test'], ['more.test']]) {
      const started = await startFileShareEmulator({ folder, port: 0, accounts, https: { port: 0, names } });
      certificates.push(started.certificate);
      await started.close();
    }
    expect(certificates[1]).toBe(certificates[0]);
    expect(certificates[2]).not.toBe(certificates[0]);
    expect(certificates[3]).toBe(certificates[2]);
    expect((await stat(join(folder, '.records', '.tls', 'key.pem'))).mode & 0o077).toBe(0);
    await rm(folder, { recursive: true });
  });
});

describe('a given certificate', () => {
  it('is served as it is', async () => {
    const given = makeCertificate(['127.0.0.1'], new Date());
    const own = await startTemporaryEmulator(['acct1'], { https: { port: 0, ...given } });
    expect(own.certificate).toBe(given.certificate);
    const answer = await sendRaw({ method: 'GET', url: own.secureUrl!, target: '/acct1/?comp=list', ca: given.certificate });
    expect(answer.status).toBe(401);
    await own.close();
  });

  it('is refused without its key, with that of another, and when it is none', async () => {
    const one = makeCertificate(['a.test'], new Date());
    const start = (https: object): Promise<unknown> => startTemporaryEmulator(['acct1'], { https: { port: 0, ...https } });
    await expect(start({ certificate: one.certificate })).rejects.toThrow('certificate and key must be given both');
    await expect(start({ certificate: one.certificate, key: makeCertificate(['a.test'], new Date()).key })).rejects.toThrow('does not belong to https.key');
    await expect(start({ certificate: 'x', key: 'y' })).rejects.toThrow('must be PEM');
  });
});

describe('host-style addresses, to the unmodified SDK', () => {
  it.each(['http', 'https'] as const)('serve everything over %s by key', async (protocol) => {
    const port = new URL(protocol === 'http' ? emulator.url : emulator.secureUrl!).port;
    const origin = `${protocol}://acct1.file.localhost:${port}`;
    const service = sdkClient(origin, { ca: emulator.certificate });
    const share = service.getShareClient(`host-${protocol}`);
    await share.create({ quota: 1 });
    const folder = share.getDirectoryClient('a b');
    await folder.create();
    const file = folder.getFileClient('c%d');
    await file.uploadData(Buffer.from('content'));
    await file.rename('a b/renamed');
    expect((await folder.getFileClient('renamed').downloadToBuffer()).toString()).toBe('content');
    const { value: page } = await service.listShares().byPage().next() as { value: { serviceEndpoint: string; shareItems: { name: string }[] } };
    expect(page.serviceEndpoint).toBe(`${origin}/`);
    expect(page.shareItems.map(({ name }) => name)).toContain(`host-${protocol}`);
    await share.delete();
  });

  it('copy from other accounts of the same emulator, with signatures over the account once', async () => {
    const port = new URL(emulator.url).port;
    const theirs = sdkClient(`http://acct2.file.core.windows.net:${port}`).getShareClient('layers');
    await theirs.create({ quota: 1 });
    await theirs.rootDirectoryClient.getFileClient('from').uploadData(Buffer.alloc(512, 'b'));
    const query = generateFileSASQueryParameters(
      { shareName: 'layers', filePath: 'from', permissions: FileSASPermissions.parse('r'), expiresOn: new Date(Date.now() + 60_000) }, new StorageSharedKeyCredential('acct2', TEST_KEY),
    ).toString();
    const ours = sdkClient(`http://acct1.file.core.windows.net:${port}`).getShareClient('layers');
    await ours.create({ quota: 1 });
    const file = ours.rootDirectoryClient.getFileClient('to');
    await file.create(512);
    await file.uploadRangeFromURL(`http://acct2.file.core.windows.net:${port}/layers/from?${query}`, 0, 0, 512);
    expect((await file.downloadToBuffer()).toString()).toBe('b'.repeat(512));
  });

  it('of no account of this emulator are answered like a wrong signature', async () => {
    const answer = await sendRaw({ method: 'GET', url: emulator.url, target: '/?comp=list', headers: { host: 'nobody.file.localhost' }, signAs: { account: 'nobody', key: TEST_KEY } });
    expect(answer).toMatchObject({ status: 403, code: 'AuthenticationFailed' });
  });
});
