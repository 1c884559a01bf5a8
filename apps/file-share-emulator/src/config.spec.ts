import { describe, expect, it } from 'vitest';

import { readConfig } from './config.js';

const KEY = Buffer.alloc(64, 'k').toString('base64');
const noFile = (path: string): string => {
  throw new Error(`no such file: ${path}`);
};

describe('readConfig', () => {
  it('lets a flag win over the environment and the environment over the file', () => {
    const file = `folder: from-file\nport: 1\nhost: 127.0.0.3\naccounts: [{ name: filed, key: ${KEY}, region: eastus }]`;
    const env = { FILE_SHARE_EMULATOR_CONFIG: 'x.yaml', FILE_SHARE_EMULATOR_FOLDER: 'from-env', FILE_SHARE_EMULATOR_PORT: '2' };
    expect(readConfig(['--port', '3'], env, () => file)).toEqual({
      kind: 'run',
      options: { folder: 'from-env', port: 3, host: '127.0.0.3', accounts: [{ name: 'filed', key: KEY, region: 'eastus' }] },
    });
  });

  it('reads accounts from repeated flags and from the environment', () => {
    const expected = [{ name: 'one', key: KEY }, { name: 'two', key: KEY }];
    expect(readConfig(['--account', `one:${KEY}`, '--account', `two:${KEY}`], {}, noFile)).toMatchObject({ options: { accounts: expected } });
    expect(readConfig([], { FILE_SHARE_EMULATOR_ACCOUNTS: `one:${KEY},two:${KEY}` }, noFile)).toMatchObject({ options: { accounts: expected } });
  });

  it('tells every problem at once and never a key', () => {
    const config = readConfig(['--config', 'gone.yaml', '--port', 'x', '--account', 'Bad!:secretsecret'], {}, noFile);
    expect(config).toMatchObject({ kind: 'invalid' });
    const problems = config.kind === 'invalid' ? config.problems.join('\n') : '';
    for (const part of ['gone.yaml', 'port', 'accounts[0].name', 'accounts[0].key']) expect(problems).toContain(part);
    expect(problems).not.toContain('secretsecret');
  });

  it('refuses unknown flags and unknown fields of the file', () => {
    expect(readConfig(['--what'], {}, noFile)).toMatchObject({ kind: 'invalid' });
    const config = readConfig(['--config', 'x'], {}, () => `fodler: x\naccounts: [{ name: acct, key: ${KEY} }]`);
    expect(config.kind === 'invalid' ? config.problems.join() : '').toContain('fodler');
  });

  it('answers --help before anything else', () => {
    expect(readConfig(['--help', '--port', 'x'], {}, noFile)).toEqual({ kind: 'help' });
  });
});
