import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { inspect } from 'node:util';

import {
  AccountSASPermissions, AccountSASResourceTypes, AccountSASServices, generateAccountSASQueryParameters, generateFileSASQueryParameters, ShareSASPermissions, StorageSharedKeyCredential,
} from '@azure/storage-file-share';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { Clock } from '#clock';
import { startTemporaryEmulator, type TemporaryEmulator, TEST_KEY, TestIssuer } from '#file-share-emulator/testing';
import { DAY_MS, HOUR_MS } from '#quantities';

import { ShareError } from '../share-error.js';
import { expectShareError, shareConformance, SUITE_CAPACITY_BYTES } from '../testing/share-conformance.js';
import { AzureFilesAccount } from './azure-files-account.js';
import type { AzureFilesCredential } from './azure-files-credential.js';
import { AzureFilesShare } from './azure-files-share.js';

const SHARED_KEY = new StorageSharedKeyCredential('acct1', TEST_KEY);
const inOneHour = (): Date => new Date(Date.now() + HOUR_MS);
const issuer = new TestIssuer();
const HTTPS = { https: { port: 0 }, issuer: issuer.options({ writer: 'contributor', reader: 'reader' }) };

/** The machine's clock, some time ahead, that does not wait. */
class ShiftedClock extends Clock {
  aheadMs = 0;
  now(): Date {
    return new Date(Date.now() + this.aheadMs);
  }
  async sleep(): Promise<void> {}
}

function accountSas(permissions = 'rwdlacup'): string {
  const values = {
    expiresOn: inOneHour(), permissions: AccountSASPermissions.parse(permissions), services: AccountSASServices.parse('f').toString(), resourceTypes: AccountSASResourceTypes.parse('sco').toString(),
  };
  return generateAccountSASQueryParameters(values, SHARED_KEY).toString();
}

function shareSas(permissions: string): string {
  return generateFileSASQueryParameters({ shareName: 'layers', permissions: ShareSASPermissions.parse(permissions), expiresOn: inOneHour() }, SHARED_KEY).toString();
}

let emulator: TemporaryEmulator;
let clock: ShiftedClock;
/** Tokens that were given so far, and whether there are any more. */
let tokens: { readonly given: string[]; asked: number; scopes: unknown; refuse: boolean };
beforeAll(async () => {
  emulator = await startTemporaryEmulator(['acct1', 'acct2', 'acct3'], HTTPS);
  // As on a machine that trusts who made the emulator's certificate.
  setDefaultCACertificates([...getCACertificates('default'), emulator.certificate!]);
});
afterAll(() => emulator.close());
beforeEach(() => {
  clock = new ShiftedClock();
  tokens = { given: [], asked: 0, scopes: undefined, refuse: false };
});

function byToken(oid = 'writer'): Extract<AzureFilesCredential, { kind: 'token' }> {
  const getToken = async (scopes: string | string[]): Promise<{ token: string; expiresOnTimestamp: number }> => {
    tokens.asked += 1;
    tokens.scopes = scopes;
    if (tokens.refuse) throw new Error('no identity here');
    const token = issuer.token({ oid });
    tokens.given.push(token);
    return { token, expiresOnTimestamp: Date.now() + HOUR_MS };
  };
  return { kind: 'token', token: { getToken } };
}

function open(credential: AzureFilesCredential, endpoint = `${emulator.url}/acct1`): AzureFilesShare {
  const account = new AzureFilesAccount({ name: 'acct1', endpoint, credential, clock });
  return new AzureFilesShare({ name: 'home', region: 'westeurope', capacityBytes: SUITE_CAPACITY_BYTES, shareName: 'layers', account });
}

const identified = (oid?: string): AzureFilesShare => open(byToken(oid), `${emulator.secureUrl}/acct1`);

shareConformance('AzureFilesShare with an account’s signature', async () => {
  const folder = await startTemporaryEmulator();
  const sas = accountSas();
  const share = (shareName: string, capacityBytes: number): AzureFilesShare =>
    new AzureFilesShare({
      name: shareName, region: 'westeurope', capacityBytes, shareName,
      account: new AzureFilesAccount({ name: 'acct1', endpoint: `${folder.url}/acct1`, credential: { kind: 'sas', sas, readSas: accountSas('r') } }),
    });
  return { share: share('layers', SUITE_CAPACITY_BYTES), other: share('others', SUITE_CAPACITY_BYTES * 4), close: () => folder.close() };
}, { grants: false });

shareConformance('AzureFilesShare with the tokens of an identity', async () => {
  const share = (name: string, capacityBytes: number): AzureFilesShare =>
    new AzureFilesShare({
      name, region: 'westeurope', capacityBytes, shareName: 'layers',
      account: new AzureFilesAccount({ name, endpoint: `${emulator.secureUrl}/${name}`, credential: { kind: 'token', token: issuer.credential({ oid: 'writer' }) } }),
    });
  return { share: share('acct2', SUITE_CAPACITY_BYTES), other: share('acct3', SUITE_CAPACITY_BYTES * 4), close: async () => {} };
});

describe('with a signature', () => {
  it('of the share alone, a share that is there is used, and how full it is stays unknown', async () => {
    await open({ kind: 'key', key: TEST_KEY }).ensureExists();
    const share = open({ kind: 'sas', sas: shareSas('rcwdl') });
    await share.ensureExists();
    await share.createFile('a/b.vhd', 1000);
    await share.rename('a/b.vhd', 'c.vhd');
    expect(await share.stat('c.vhd')).toMatchObject({ sizeBytes: 1000 });
    expect(await share.remove('c.vhd')).toBe(true);
    expect(await share.usage()).toBeUndefined();
  });

  it('nodes get no https mount, and copies read by the one that only reads', async () => {
    const share = open({ kind: 'sas', sas: accountSas(), readSas: shareSas('r') });
    expect(share.mountSources('x.vhd', inOneHour())).toEqual([]);
    const { url } = await share.grantCopySource('x.vhd', inOneHour());
    expect(new URL(url).searchParams.get('sp')).toBe('r');
    await expectShareError(open({ kind: 'sas', sas: accountSas() }).grantCopySource('x.vhd', inOneHour()), 'SHARE_DENIED');
  });

  it('one for reading that may do more is refused', () => {
    expect(() => open({ kind: 'sas', sas: accountSas(), readSas: shareSas('rw') })).toThrow(ShareError);
  });
});

describe('with the tokens of an identity', () => {
  it('every call carries one, with the intent, and https alone will do', async () => {
    const share = identified();
    await share.ensureExists();
    await share.createFile('deep/t.vhd', 2000);
    await share.writeRange('deep/t.vhd', 0, Buffer.alloc(2000, 5));
    await share.rename('deep/t.vhd', 't.vhd');
    expect(await share.readRange('t.vhd', { offset: 10, length: 20 })).toEqual(Buffer.alloc(20, 5));
    expect(tokens).toMatchObject({ asked: 1, scopes: ['https://storage.azure.com/.default'] });
    expect(() => open(byToken())).toThrow(/only sent over https/);
  });

  it('files are granted by a user delegation key: for that file, for reading, over https, and it serves', async () => {
    const share = identified();
    await share.ensureExists();
    await share.createFile('dir one/g.vhd', 512);
    await share.writeRange('dir one/g.vhd', 0, Buffer.alloc(512, 'a'));
    const [mount] = share.mountSources('dir one/g.vhd', inOneHour());
    const url = new URL(mount!.source);
    expect(Object.fromEntries(url.searchParams)).toMatchObject({ sr: 'f', sp: 'r', spr: 'https', skoid: 'writer', sktid: 'tenant' });
    expect(await (await fetch(url)).text()).toBe('a'.repeat(512));
    expect((await fetch(url, { method: 'DELETE' })).status).toBe(403);
    expect((await fetch(String(url).replace('g.vhd', 'other.vhd'))).status).toBe(403);
    expect(mount!.expiresAt!.getTime()).toBeGreaterThanOrEqual(Date.now() + HOUR_MS - 5000);
  });

  it('other shares copy by it', async () => {
    const share = identified();
    await share.ensureExists();
    await share.createFile('s.vhd', 512);
    await share.writeRange('s.vhd', 0, Buffer.alloc(512, 'a'));
    await share.createFile('t.vhd', 512);
    const source = await share.grantCopySource('s.vhd', inOneHour());
    expect(new URL(source.url).searchParams.get('skoid')).toBe('writer');
    expect(await open({ kind: 'key', key: TEST_KEY }).copyRange('t.vhd', { offset: 0, length: 512 }, source)).toBe('u661BimQ84c=');
  });

  it('a grant never outlives the key that signed it', async () => {
    const share = identified();
    await share.renewGrants();
    const [mount] = share.mountSources('x.vhd', new Date(Date.now() + 30 * DAY_MS));
    expect(mount!.expiresAt!.getTime()).toBeLessThan(new Date(new URL(mount!.source).searchParams.get('ske')!).getTime());
  });

  it('mounts are without https when the key is over, and with it again when it was renewed', async () => {
    const share = identified();
    await share.ensureExists();
    clock.aheadMs = 8 * DAY_MS;
    expect(share.mountSources('x.vhd', inOneHour())).toEqual([]);
    clock.aheadMs = 0;
    await share.renewGrants();
    expect(share.mountSources('x.vhd', inOneHour())).toHaveLength(1);
  });

  it('of one that may only read, the share is read, and nothing is written', async () => {
    await identified().ensureExists();
    const share = identified('reader');
    await share.ensureExists();
    expect(await share.stat('nothing.vhd')).toBeUndefined();
    await expectShareError(share.createFile('new.vhd', 1), 'SHARE_DENIED');
  });

  it('of one without any role, the share is not taken into use', async () => {
    await expectShareError(identified('stranger').ensureExists(), 'SHARE_DENIED');
  });

  it('one that cannot be had is asked for again, and then told as the reason', async () => {
    const share = identified();
    tokens.refuse = true;
    const error = await expectShareError(share.stat('x.vhd'), 'SHARE_UNAVAILABLE');
    expect(error.message).toContain('no identity here');
    expect(error.transient).toBe(true);
    expect(tokens.asked).toBe(6);
  });
});

describe('no credential', () => {
  it('is in what nodes or other shares get, in errors, or in anything that shows the share', async () => {
    const [sas, readSas] = [accountSas(), shareSas('r')];
    const signatureOf = (text: string): string => new URLSearchParams(text).get('sig')!;
    const shares = [open({ kind: 'key', key: TEST_KEY }), open({ kind: 'sas', sas, readSas }), identified()];
    const shown: unknown[] = [];
    for (const share of shares) {
      await share.ensureExists();
      shown.push(share, share.mountSources('x.vhd', inOneHour()), await share.grantCopySource('x.vhd', inOneHour()));
      shown.push(await share.readRange('none.vhd', { offset: 0, length: 1 }).catch((error: unknown) => error));
    }
    shown.push(await open({ kind: 'sas', sas: `${sas}x` }).stat('x.vhd').catch((error: unknown) => error));
    shown.push(await open({ kind: 'sas', sas }, 'http://127.0.0.1:1/acct1').rename('x.vhd', 'y.vhd').catch((error: unknown) => error));
    tokens.refuse = true;
    shown.push(await identified().stat('x.vhd').catch((error: unknown) => error));
    const secrets = [TEST_KEY, signatureOf(sas), encodeURIComponent(signatureOf(sas)), ...tokens.given];
    for (const each of shown) {
      const text = `${inspect(each, { depth: 20, showHidden: true })}${JSON.stringify(each)}${String(each)}`;
      for (const secret of secrets) expect(text).not.toContain(secret);
    }
  });
});
