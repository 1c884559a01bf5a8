import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { type RawAnswer, sendRaw } from '../testing/raw-request.js';
import { startTemporaryEmulator, type TemporaryEmulator, TEST_KEY } from '../testing/temporary-emulator.js';
import { parseAddress } from '../address.js';
import { sharedKeyText } from './shared-key.js';
import { sign } from './signing.js';

let emulator: TemporaryEmulator;
const signAs = { account: 'acct1', key: TEST_KEY };

beforeAll(async () => {
  emulator = await startTemporaryEmulator();
  await send('PUT', '/acct1/layers?restype=share');
  await send('PUT', '/acct1/layers/file', { 'x-ms-type': 'file', 'x-ms-content-length': '10' });
  await send('PUT', '/acct1/layers/dir?restype=directory');
  await send('PUT', '/acct1/layers/dir/other', { 'x-ms-type': 'file', 'x-ms-content-length': '10' });
});
afterAll(() => emulator.close());

function send(method: string, target: string, headers: Record<string, string> = {}): Promise<RawAnswer> {
  return sendRaw({ method, url: emulator.url, target, headers, signAs });
}

const instant = (msFromNow: number): string => `${new Date(Date.now() + msFromNow).toISOString().slice(0, 19)}Z`;

interface ServiceSas {
  readonly resource?: 's' | 'f';
  readonly path?: string;
  readonly permissions?: string;
  readonly start?: string;
  readonly expiry?: string;
  readonly addresses?: string;
  readonly protocol?: string;
  readonly identifier?: string;
}

/** Signs by the documented text, with nothing of the code under test. */
function serviceSas(sas: ServiceSas): string {
  const { resource = 'f', path = '/file', permissions = 'r', start = '', expiry = instant(60_000) } = sas;
  const { addresses = '', protocol = '', identifier = '' } = sas;
  const canonical = `/file/acct1/layers${resource === 'f' ? path : ''}`;
  const sig = sign([permissions, start, expiry, canonical, identifier, addresses, protocol, '2025-07-05', '', '', '', '', ''].join('\n'), TEST_KEY);
  const parameters = { sp: permissions, st: start, se: expiry, si: identifier, sip: addresses, spr: protocol, sv: '2025-07-05', sr: resource, sig };
  return new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== '')).toString();
}

async function get(sas: string, target = '/acct1/layers/file'): Promise<RawAnswer> {
  return sendRaw({ method: 'GET', url: emulator.url, target: `${target}?${sas}` });
}

describe('SharedKey', () => {
  it('is accepted with Content-Language and Content-Encoding in either order', async () => {
    for (const order of ['language-first', 'encoding-first'] as const) {
      const target = '/acct1/layers/file';
      const headers = { 'x-ms-version': '2021-12-02', 'x-ms-date': new Date().toUTCString(), 'content-language': 'en', 'content-encoding': 'gzip' };
      const address = parseAddress(target, { keepTrailingDots: true });
      const text = sharedKeyText({ method: 'GET', address, headers: new Map(Object.entries(headers)), remoteAddress: '', secure: false }, order);
      const authorization = `SharedKey acct1:${sign(text, TEST_KEY)}`;
      const answer = await sendRaw({ method: 'GET', url: emulator.url, target, headers: { ...headers, authorization } });
      expect(answer.status).toBe(200);
    }
  });

  it('with a wrong signature is refused with the detail that tells why, in XML with a byte order mark', async () => {
    const authorization = `SharedKey acct1:${sign('x', TEST_KEY)}`;
    const answer = await sendRaw({ method: 'GET', url: emulator.url, target: '/acct1/layers/file', headers: { authorization } });
    expect(answer).toMatchObject({ status: 403, code: 'AuthenticationFailed' });
    expect(answer.headers['content-type']).toBe('application/xml');
    expect([...answer.body.subarray(0, 3)]).toEqual([0xef, 0xbb, 0xbf]);
    expect(answer.body.toString()).toContain('<Error><Code>AuthenticationFailed</Code><Message>Server failed to authenticate the request.');
    expect(answer.body.toString()).toMatch(/\nRequestId:[-0-9a-f]{36}\nTime:[^<]+<\/Message><AuthenticationErrorDetail>/);
    expect(answer.body.toString()).not.toContain(TEST_KEY);
  });

  it('of another account, with an old date, or in another scheme is refused', async () => {
    const other = await sendRaw({ method: 'GET', url: emulator.url, target: '/acct1/layers/file', signAs: { account: 'acct2', key: TEST_KEY } });
    expect(other).toMatchObject({ status: 403, code: 'AuthenticationFailed' });
    const old = await send('GET', '/acct1/layers/file', { 'x-ms-date': new Date(Date.now() - 16 * 60_000).toUTCString() });
    expect(old).toMatchObject({ status: 403, code: 'AuthenticationFailed' });
    const bearer = await sendRaw({ method: 'GET', url: emulator.url, target: '/acct1/layers/file', headers: { authorization: 'Bearer abc' } });
    expect(bearer).toMatchObject({ status: 400, code: 'InvalidAuthenticationInfo' });
    expect(await get('')).toMatchObject({ status: 401, code: 'NoAuthenticationInformation' });
  });

  it('answers for an unknown account as for a wrong signature', async () => {
    const unknown = await sendRaw({ method: 'GET', url: emulator.url, target: '/nobody/layers/file', signAs: { account: 'nobody', key: TEST_KEY } });
    expect(unknown).toMatchObject({ status: 403, code: 'AuthenticationFailed' });
  });
});

describe('a service SAS', () => {
  it('reads the file it was signed for and no other', async () => {
    expect((await get(serviceSas({}))).status).toBe(200);
    expect(await get(serviceSas({}), '/acct1/layers/dir/other')).toMatchObject({ status: 403, code: 'AuthenticationFailed' });
    expect((await get(serviceSas({ path: '/dir/other' }), '/acct1/layers/dir/other')).status).toBe(200);
  });

  it('for a share reads its files and lists its folders, but never touches the share itself', async () => {
    const sas = serviceSas({ resource: 's', permissions: 'rwdl' });
    expect((await get(sas, '/acct1/layers/dir/other')).status).toBe(200);
    expect((await get(`restype=directory&comp=list&${sas}`, '/acct1/layers')).status).toBe(200);
    const remove = await sendRaw({ method: 'DELETE', url: emulator.url, target: `/acct1/layers?restype=share&${sas}` });
    expect(remove).toMatchObject({ status: 403, code: 'AuthorizationFailure' });
    expect(await sendRaw({ method: 'GET', url: emulator.url, target: `/acct1/?comp=list&${sas}` })).toMatchObject({ status: 403 });
  });

  it('does nothing that it does not permit', async () => {
    const remove = await sendRaw({ method: 'DELETE', url: emulator.url, target: `/acct1/layers/file?${serviceSas({})}` });
    expect(remove).toMatchObject({ status: 403, code: 'AuthorizationPermissionMismatch' });
    expect(await get(serviceSas({ permissions: 'w' }))).toMatchObject({ status: 403, code: 'AuthorizationPermissionMismatch' });
    const headers = { 'x-ms-type': 'file', 'x-ms-content-length': '1' };
    const replace = await sendRaw({ method: 'PUT', url: emulator.url, target: `/acct1/layers/file?${serviceSas({ permissions: 'c' })}`, headers });
    expect(replace).toMatchObject({ status: 403, code: 'AuthorizationPermissionMismatch' });
  });

  it('holds neither before its start nor after its end, nor without an end', async () => {
    expect((await get(serviceSas({ start: instant(-60_000) }))).status).toBe(200);
    expect(await get(serviceSas({ start: instant(60_000) }))).toMatchObject({ status: 403, code: 'AuthenticationFailed' });
    const expired = await get(serviceSas({ expiry: instant(-2000) }));
    expect(expired).toMatchObject({ status: 403, code: 'AuthenticationFailed' });
    expect(expired.body.toString()).toContain('Signature not valid in the specified time frame');
    expect(await get(serviceSas({ expiry: '' }))).toMatchObject({ status: 403 });
    expect(await get(serviceSas({ expiry: 'tomorrow' }))).toMatchObject({ status: 403 });
  });

  it('is bound to its protocol and addresses', async () => {
    expect(await get(serviceSas({ protocol: 'https' }))).toMatchObject({ status: 403, code: 'AuthorizationProtocolMismatch' });
    expect((await get(serviceSas({ protocol: 'https,http' }))).status).toBe(200);
    expect(await get(serviceSas({ addresses: '10.0.0.1' }))).toMatchObject({ status: 403, code: 'AuthorizationSourceIPMismatch' });
    expect(await get(serviceSas({ addresses: '127.0.0.2-127.0.0.9' }))).toMatchObject({ status: 403, code: 'AuthorizationSourceIPMismatch' });
    expect((await get(serviceSas({ addresses: '127.0.0.0-127.0.0.9' }))).status).toBe(200);
    expect(await get(serviceSas({ addresses: 'everyone' }))).toMatchObject({ status: 403 });
  });

  it('is worth nothing with any parameter changed', async () => {
    for (const [name, value] of [['sp', 'rw'], ['se', instant(3_600_000)], ['sr', 's'], ['sv', '2025-01-05'], ['rsct', 'text/html'], ['sip', '127.0.0.1']] as const) {
      const query = new URLSearchParams(serviceSas({}));
      query.set(name, value);
      const { status, code } = await get(query.toString());
      expect({ name, status, code }).toEqual({ name, status: 403, code: 'AuthenticationFailed' });
    }
  });

  it('of a stored policy or a user delegation key is refused, not ignored', async () => {
    expect(await get(serviceSas({ identifier: 'policy' }))).toMatchObject({ status: 403, code: 'AuthenticationFailed' });
    expect(await get(`${serviceSas({})}&skoid=x`)).toMatchObject({ status: 403, code: 'AuthenticationFailed' });
  });
});

describe('a grant for one file', () => {
  it('does not let that file be replaced by another', async () => {
    const sas = serviceSas({ permissions: 'rwd' });
    const headers = { 'x-ms-file-rename-source': `${emulator.url}/acct1/layers/dir/other`, 'x-ms-file-rename-replace-if-exists': 'true' };
    const answer = await sendRaw({ method: 'PUT', url: emulator.url, target: `/acct1/layers/file?comp=rename&${sas}`, headers });
    expect(answer).toMatchObject({ status: 403, code: 'AuthorizationFailure' });
  });
});
