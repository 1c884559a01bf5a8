import { inspect } from 'node:util';

import { expect, it } from 'vitest';

import { ManualClock } from '#clock/testing';
import { loadConfig } from '#config';

import { keyCredentials, shareCredentials } from './share-credentials.js';
import { openShares } from './share-set.js';

const KEY = Buffer.alloc(64, 'k').toString('base64');
const TOKENS = {
  TRANSLOCATOR_ADMIN_TOKEN: 'admin-token-0123456789', TRANSLOCATOR_SERVICE_TOKEN: 'service-token-0123456789', TRANSLOCATOR_NOTIFICATION_TOKEN: 'notify-token-0123456789',
};

function settings(credential: string, environment: Readonly<Record<string, string>> = {}): ReturnType<typeof loadConfig> {
  const yaml = `shares: { kind: azure, credential: ${credential} }
regions: { home: r1, list: [{ name: r1, share: { account: acct1, throughputIn: 10MiB } }, { name: r2, share: { account: acct1, shareName: others } }] }`;
  return loadConfig({ environment: { TRANSLOCATOR_CONFIG: 'c.yaml', ...TOKENS, ...environment }, readFile: () => yaml });
}

it.each([
  ['key', { TRANSLOCATOR_SHARE_KEYS: `acct1=${KEY}` }, ['smb', 'https']],
  ['sas', { TRANSLOCATOR_SHARE_SAS: 'acct1=sp=rcwdl&sig=hush', TRANSLOCATOR_SHARE_READ_SAS: 'acct1=sp=r&sig=hush' }, ['smb']],
  // No token is asked for before the first call, and so there is no key to sign with yet.
  ['identity', {}, ['smb']],
])('shares opened by %s hand out mounts without anything secret', async (credential, environment, types) => {
  const found = settings(credential, environment);
  const shares = openShares(found.config, { credentialOf: await shareCredentials(found) }, new ManualClock());
  const mounts = [...shares.byName.values()].flatMap((share) => share.mountSources('a.vhd', new Date('2026-01-01T01:00:00Z')));
  expect(mounts.map((mount) => mount.type)).toEqual([...types, ...types]);
  expect(`${JSON.stringify(mounts)}${inspect(shares, { depth: 20, showHidden: true })}`).not.toMatch(new RegExp(`hush|${KEY.slice(0, 20)}`));
});

it('the home share is the one of the home region', () => {
  const { config } = settings('key', { TRANSLOCATOR_SHARE_KEYS: `acct1=${KEY}` });
  expect(openShares(config, { credentialOf: keyCredentials({ acct1: KEY }) }, new ManualClock()).home.name).toBe('r1');
});
