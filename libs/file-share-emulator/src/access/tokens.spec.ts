import { FileSASPermissions, generateFileSASQueryParameters, SASProtocol, type ShareServiceClient, ShareSASPermissions, type UserDelegationKey } from '@azure/storage-file-share';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { sendRaw, type RawAnswer } from '../testing/raw-request.js';
import { sdkClient } from '../testing/sdk-clients.js';
import { startTemporaryEmulator, type TemporaryEmulator } from '../testing/temporary-emulator.js';
import { TestIssuer } from '../testing/test-issuer.js';

const issuer = new TestIssuer();
let emulator: TemporaryEmulator;
let owner: ShareServiceClient;

beforeAll(async () => {
  emulator = await startTemporaryEmulator(['acct1', 'acct2'], { https: { port: 0 }, issuer: issuer.options({ writer: 'contributor', reader: 'reader' }) });
  owner = sdkClient(`${emulator.url}/acct1`);
  const share = owner.getShareClient('layers');
  await share.create({ quota: 1 });
  await share.rootDirectoryClient.getFileClient('file').uploadData(Buffer.from('content'));
});
afterAll(() => emulator.close());

function clientOf(oid: string, config: { fileRequestIntent?: 'backup' } = { fileRequestIntent: 'backup' }): ShareServiceClient {
  return sdkClient(`${emulator.secureUrl}/acct1`, { credential: issuer.credential({ oid }), ca: emulator.certificate, ...config });
}

function bearer(token: string, headers: Record<string, string> = {}, url = emulator.secureUrl!): Promise<RawAnswer> {
  const all = { authorization: `Bearer ${token}`, 'x-ms-file-request-intent': 'backup', ...headers };
  return sendRaw({ method: 'GET', url, target: '/acct1/layers/file', headers: all, ca: emulator.certificate });
}

describe('tokens, from the unmodified SDK', () => {
  it('of a contributor do everything, on every kind of resource', async () => {
    const service = clientOf('writer');
    const share = service.getShareClient('by-token');
    await share.create({ quota: 1 });
    const file = share.rootDirectoryClient.getFileClient('a');
    await file.uploadData(Buffer.from('bytes'));
    expect((await file.downloadToBuffer()).toString()).toBe('bytes');
    const names: string[] = [];
    for await (const item of service.listShares()) names.push(item.name);
    expect(names).toEqual(['by-token', 'layers']);
    await share.delete();
  });

  it('of a reader read and list, and change nothing', async () => {
    const share = clientOf('reader').getShareClient('layers');
    expect((await share.rootDirectoryClient.getFileClient('file').downloadToBuffer()).toString()).toBe('content');
    await expect(share.rootDirectoryClient.getFileClient('file').delete()).rejects.toMatchObject({ statusCode: 403, code: 'AuthorizationPermissionMismatch' });
    await expect(share.rootDirectoryClient.getFileClient('new').create(1)).rejects.toMatchObject({ statusCode: 403, code: 'AuthorizationPermissionMismatch' });
  });

  it('of somebody without a role do nothing', async () => {
    await expect(clientOf('stranger').getShareClient('layers').rootDirectoryClient.getProperties()).rejects.toMatchObject({ statusCode: 403, code: 'AuthorizationPermissionMismatch' });
  });

  it('need the request intent', async () => {
    const failure = await clientOf('writer', {}).getShareClient('layers').rootDirectoryClient.getProperties().then(() => undefined, (error: unknown) => error);
    expect(failure).toMatchObject({ statusCode: 400, code: 'MissingRequiredHeader' });
    expect(JSON.stringify(failure)).toContain('x-ms-file-request-intent');
  });
});

describe('tokens', () => {
  it('are refused with the reason when they are expired, early, for somebody else, by somebody else, or changed', async () => {
    const good = issuer.token({ oid: 'writer' });
    expect((await bearer(good)).status).toBe(200);
    const changed = good.split('.').with(1, Buffer.from(JSON.stringify({ oid: 'writer', aud: 'https://storage.azure.com', iss: 'https://issuer.test/tenant', exp: 9_999_999_999 })).toString('base64url')).join('.');
    const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${good.split('.')[1]}.`;
    const bad = {
      'Lifetime validation failed. The token is expired': issuer.token({ issuedAt: new Date(Date.now() - 7_200_000) }),
      'Lifetime validation failed. The token is not valid yet': issuer.token({ issuedAt: new Date(Date.now() + 3_600_000) }),
      'Audience validation failed': issuer.token({ aud: 'https://management.azure.com' }),
      'Issuer validation failed': issuer.token({ iss: 'https://other.test' }),
      'Signature validation failed': new TestIssuer().token(),
      'Signature validation failed ': changed,
      'The token is not a signed JSON Web Token': unsigned,
    };
    for (const [reason, token] of Object.entries(bad)) {
      const answer = await bearer(token);
      expect({ reason, status: answer.status, code: answer.code }).toEqual({ reason, status: 401, code: 'InvalidAuthenticationInfo' });
      expect(answer.body.toString()).toContain(`<AuthenticationErrorDetail>${reason.trim()}`);
      expect(answer.headers['www-authenticate']).toContain('Bearer authorization_uri=https://issuer.test/tenant resource_id=https://storage.azure.com');
    }
  });

  it('are not taken over HTTP, with another intent, or on shares in versions before they were', async () => {
    const token = issuer.token({ oid: 'writer' });
    expect(await bearer(token, {}, emulator.url)).toMatchObject({ status: 403, code: 'AuthenticationFailed' });
    expect(await bearer(token, { 'x-ms-file-request-intent': 'restore' })).toMatchObject({ status: 400, code: 'InvalidHeaderValue' });
    const headers = { authorization: `Bearer ${token}`, 'x-ms-file-request-intent': 'backup', 'x-ms-version': '2024-08-04' };
    const old = await sendRaw({ method: 'GET', url: emulator.secureUrl!, target: '/acct1/layers?restype=share', headers, ca: emulator.certificate });
    expect(old).toMatchObject({ status: 403, code: 'AuthenticationFailed' });
    expect((await bearer(token, { 'x-ms-version': '2024-08-04' })).status).toBe(200);
  });

  it('are asked for by the answer to a request without a credential', async () => {
    const answer = await sendRaw({ method: 'GET', url: emulator.secureUrl!, target: '/acct1/layers/file', ca: emulator.certificate });
    expect(answer).toMatchObject({ status: 401, code: 'NoAuthenticationInformation' });
    expect(answer.headers['www-authenticate']).toContain('Bearer authorization_uri=');
  });
});

describe('user delegation keys and signatures, from the unmodified SDK', () => {
  const inAnHour = new Date(Date.now() + 3_600_000);
  let key: UserDelegationKey;
  beforeAll(async () => {
    key = await clientOf('writer').getUserDelegationKey(new Date(Date.now() - 60_000), inAnHour);
  });

  interface Wanted {
    readonly filePath?: string;
    readonly permissions?: string;
    readonly protocol?: SASProtocol;
    readonly delegatedUserObjectId?: string;
    readonly expiresOn?: Date;
  }

  function signed(by: UserDelegationKey, { filePath = 'file', permissions = 'r', expiresOn = inAnHour, ...more }: Wanted = {}): string {
    const parsed = filePath === '' ? ShareSASPermissions.parse(permissions) : FileSASPermissions.parse(permissions);
    return generateFileSASQueryParameters({ shareName: 'layers', ...(filePath === '' ? {} : { filePath }), permissions: parsed, expiresOn, ...more }, by, 'acct1').toString();
  }

  function get(query: string, headers: Record<string, string> = {}, method = 'GET'): Promise<RawAnswer> {
    return sendRaw({ method, url: emulator.secureUrl!, target: `/acct1/layers/file?${query}`, headers, ca: emulator.certificate });
  }

  it('sign URLs that read the file they are for, until they end', async () => {
    expect(key).toMatchObject({ signedObjectId: 'writer', signedTenantId: 'tenant', signedService: 'f' });
    const reader = sdkClient(`${emulator.secureUrl}/acct1?${signed(key, { protocol: SASProtocol.Https })}`, { credential: null, ca: emulator.certificate });
    expect((await reader.getShareClient('layers').rootDirectoryClient.getFileClient('file').downloadToBuffer()).toString()).toBe('content');
    const query = signed(key, { expiresOn: new Date(Date.now() - 1000) });
    expect(await get(query)).toMatchObject({ status: 403, code: 'AuthenticationFailed' });
    expect(await get(signed(key, { filePath: 'other' }))).toMatchObject({ status: 403, code: 'AuthenticationFailed' });
    expect(await get(signed(key).replace('skoid=writer', 'skoid=reader'))).toMatchObject({ status: 403, code: 'AuthenticationFailed' });
  });

  it('allow what they name, and never more than their issuer may do', async () => {
    expect(await get(signed(key), {}, 'DELETE')).toMatchObject({ status: 403, code: 'AuthorizationPermissionMismatch' });
    const weak = await clientOf('reader').getUserDelegationKey(new Date(Date.now() - 60_000), inAnHour);
    expect((await get(signed(weak, { permissions: 'rd' }))).status).toBe(200);
    expect(await get(signed(weak, { permissions: 'rd' }), {}, 'DELETE')).toMatchObject({ status: 403, code: 'AuthorizationPermissionMismatch' });
    const list = sdkClient(`${emulator.secureUrl}/acct1?${signed(key, { filePath: '', permissions: 'rl' })}`, { credential: null, ca: emulator.certificate });
    const names: string[] = [];
    for await (const entry of list.getShareClient('layers').rootDirectoryClient.listFilesAndDirectories()) names.push(entry.name);
    expect(names).toEqual(['file']);
  });

  it('that are bound to a user need that user\'s token, and no others take one', async () => {
    const bound = signed(key, { delegatedUserObjectId: 'reader' });
    const token = (oid: string): Record<string, string> => ({ authorization: `Bearer ${issuer.token({ oid })}`, 'x-ms-file-request-intent': 'backup' });
    expect((await get(bound, token('reader'))).status).toBe(200);
    expect(await get(bound, token('writer'))).toMatchObject({ status: 403, code: 'AuthenticationFailed' });
    expect(await get(bound)).toMatchObject({ status: 403, code: 'AuthenticationFailed' });
    expect(await get(signed(key), token('writer'))).toMatchObject({ status: 403, code: 'AuthenticationFailed' });
  });

  it('are issued to tokens only, for seven days at most', async () => {
    await expect(owner.getUserDelegationKey(new Date(), inAnHour)).rejects.toMatchObject({ statusCode: 403, code: 'AuthenticationFailed' });
    const tooLong = new Date(Date.now() + 8 * 86_400_000);
    await expect(clientOf('writer').getUserDelegationKey(new Date(), tooLong)).rejects.toMatchObject({ statusCode: 400, code: 'InvalidXmlNodeValue' });
    await expect(clientOf('writer').getUserDelegationKey(new Date(), new Date(Date.now() - 1000))).rejects.toMatchObject({ statusCode: 400, code: 'InvalidXmlNodeValue' });
    const target = '/acct1/?restype=service&comp=userdelegationkey';
    const headers = { authorization: `Bearer ${issuer.token({ oid: 'writer' })}` };
    for (const body of ['<KeyInfo>', '<Other/>', '<!DOCTYPE x><KeyInfo/>', '<KeyInfo><Expiry>&evil;</Expiry></KeyInfo>', '']) {
      const answer = await sendRaw({ method: 'POST', url: emulator.secureUrl!, target, headers, body: Buffer.from(body), ca: emulator.certificate });
      expect({ body, status: answer.status, code: answer.code }).toEqual({ body, status: 400, code: 'InvalidXmlDocument' });
    }
  });
});

describe('copies', () => {
  it('read a source with the token that is given for it', async () => {
    const theirs = sdkClient(`${emulator.url}/acct2`).getShareClient('layers');
    await theirs.create();
    await theirs.rootDirectoryClient.getFileClient('from').uploadData(Buffer.alloc(512, 'a'));
    const target = owner.getShareClient('layers').rootDirectoryClient.getFileClient('to');
    await target.create(512);
    const source = `${emulator.secureUrl}/acct2/layers/from`;
    const authorization = (oid: string): { scheme: string; value: string } => ({ scheme: 'Bearer', value: issuer.token({ oid }) });
    await target.uploadRangeFromURL(source, 0, 0, 512, { sourceAuthorization: authorization('reader') });
    expect((await target.downloadToBuffer()).toString()).toBe('a'.repeat(512));
    await expect(target.uploadRangeFromURL(source, 0, 0, 512, { sourceAuthorization: authorization('stranger') })).rejects.toMatchObject({ statusCode: 403, code: 'CannotVerifyCopySource' });
  });
});
