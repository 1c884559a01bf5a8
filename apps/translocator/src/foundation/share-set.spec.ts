import { Writable } from 'node:stream';
import { inspect } from 'node:util';

import { expect, it } from 'vitest';

import { SystemClock } from '#clock';
import { ManualClock } from '#clock/testing';
import { loadConfig } from '#config';

import { createLogger } from '#telemetry';

import { keyCredentials, shareCredentials } from './share-credentials.js';
import { metricsWithShares } from './share-metrics.js';
import { openShares } from './share-set.js';

const KEY = Buffer.alloc(64, 'k').toString('base64');
const TOKENS = {
  TRANSLOCATOR_ADMIN_TOKEN: 'admin-token-0123456789', TRANSLOCATOR_SERVICE_TOKEN: 'service-token-0123456789', TRANSLOCATOR_NOTIFICATION_TOKEN: 'notify-token-0123456789',
};

/** The machine's clock, that does not wait. */
class HurriedClock extends SystemClock {
  override async sleep(): Promise<void> {}
}

function settings(credential: string, environment: Readonly<Record<string, string>> = {}, endpoint = 'https://acct1.file.core.windows.net'): ReturnType<typeof loadConfig> {
  const yaml = `shares: { kind: azure, credential: ${credential} }
regions: { home: r1, list: [{ name: r1, share: { account: acct1, throughputIn: 10MiB, endpoint: "${endpoint}" } }, { name: r2, share: { account: acct1, shareName: others } }] }`;
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

it('metrics tell how hard each share may be asked', async () => {
  const { config } = settings('key', { TRANSLOCATOR_SHARE_KEYS: `acct1=${KEY}` });
  const text = await metricsWithShares(openShares(config, { credentialOf: keyCredentials({ acct1: KEY }) }, new ManualClock())).text();
  expect(text).toContain('translocator_share_calls_width{region="r1"} 16');
});

it('the home share is the one of the home region', () => {
  const { config } = settings('key', { TRANSLOCATOR_SHARE_KEYS: `acct1=${KEY}` });
  expect(openShares(config, { credentialOf: keyCredentials({ acct1: KEY }) }, new ManualClock()).home.name).toBe('r1');
});

it.each([
  ['key', { TRANSLOCATOR_SHARE_KEYS: `acct1=${KEY}` }],
  ['sas', { TRANSLOCATOR_SHARE_SAS: 'acct1=sp=rcwdl&sig=hush%2Bhush', TRANSLOCATOR_SHARE_READ_SAS: 'acct1=sp=r&sig=hush%2Bhush' }],
])('no line of the log shows a %s, whatever is logged of a call that failed', async (credential, environment) => {
  const found = settings(credential, environment, 'http://127.0.0.1:1/acct1');
  const { home } = openShares(found.config, { credentialOf: await shareCredentials(found) }, new HurriedClock());
  const lines: string[] = [];
  const logger = createLogger('trace', new Writable({ write: (line, _encoding, done) => done(void lines.push(String(line))) }));
  const source = { url: 'http://127.0.0.1:1/layers/x?sig=hush%2Bhush', expiresAt: new Date() };
  for (const call of [() => home.stat('x.vhd'), () => home.rename('x.vhd', 'y.vhd'), () => home.copyRange('x.vhd', { offset: 0, length: 1 }, source), () => home.ensureExists()]) {
    const error: unknown = await call().then(() => undefined, (reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'SHARE_UNAVAILABLE' });
    logger.error({ error, share: home, source }, `failed: ${String(error)}`);
  }
  expect(lines).toHaveLength(4);
  expect(lines.join('')).not.toMatch(new RegExp(`hush|${KEY.slice(0, 20)}`));
});
