import { describe, expect, it } from 'vitest';

import { FAULT_KINDS } from '#file-share-emulator';
import { makeTestCertificate, TestIssuer } from '#file-share-emulator/testing';

import { readConfig } from './config.js';
import { HELP } from './help.js';

const KEY = Buffer.alloc(64, 'k').toString('base64');
const TEST_CERTIFICATE = makeTestCertificate();
const noFile = (path: string): string => {
  throw new Error(`no such file: ${path}`);
};

describe('readConfig', () => {
  it('lets a flag win over the environment and the environment over the file', () => {
    const file = `folder: from-file\nport: 1\nhost: 127.0.0.3\naccounts: [{ name: filed, key: ${KEY}, region: eastus }]`;
    const env = { FILE_SHARE_EMULATOR_CONFIG: 'x.yaml', FILE_SHARE_EMULATOR_FOLDER: 'from-env', FILE_SHARE_EMULATOR_PORT: '2' };
    expect(readConfig(['--port', '3'], env, () => file)).toEqual({
      kind: 'run',
      options: { folder: 'from-env', port: 3, host: '127.0.0.3', accounts: [{ name: 'filed', key: KEY, region: 'eastus' }], disturbances: {} },
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

  it('reads everything that the file can say, and the files it names', () => {
    const issuer = new TestIssuer();
    const { certificate, key } = TEST_CERTIFICATE;
    const files: Record<string, string> = {
      'x.yaml': `
        accounts: [{ name: east, key: ${KEY}, region: eastus }, { name: tokyo, key: ${KEY}, region: japaneast }]
        https: { port: 0, certificateFile: server.pem, keyFile: server.key }
        issuer: { url: 'https://issuer.test/tenant', keysFile: jwks.json, roles: { someone: reader } }
        controlPort: 0
        deleteRetentionDays: 7
        limits: [{ account: east, latencyMs: 20, bytesPerSecond: 1000 }]
        links: [{ from: eastus, to: japaneast, latencyMs: 160 }]
        faults: [{ kind: server-busy, ratio: 0.05, operation: Get File }]
        seed: 7`,
      'server.pem': certificate, 'server.key': key, 'jwks.json': JSON.stringify({ keys: issuer.options().keys }),
    };
    expect(readConfig(['--config', 'x.yaml'], {}, (path) => files[path] ?? noFile(path))).toMatchObject({
      kind: 'run',
      options: {
        https: { port: 0, certificate, key },
        issuer: { url: 'https://issuer.test/tenant', keys: issuer.options().keys, roles: { someone: 'reader' } },
        controlPort: 0,
        deleteRetentionDays: 7,
        disturbances: { limits: [{ account: 'east', latencyMs: 20 }], links: [{ from: 'eastus' }], faults: [{ kind: 'server-busy', ratio: 0.05 }], seed: 7 },
      },
    });
  });

  it('takes the ports of HTTPS and of the control interface from flags and the environment', () => {
    const env = { FILE_SHARE_EMULATOR_ACCOUNTS: `one:${KEY}`, FILE_SHARE_EMULATOR_CONTROL_PORT: '0' };
    expect(readConfig(['--https-port', '0'], env, noFile)).toMatchObject({ kind: 'run', options: { https: { port: 0 }, controlPort: 0 } });
  });

  it('runs on the example that the help shows, once its files are there', () => {
    const example = HELP.split('\n').filter((line) => /^ {2,6}(?:folder|host|port|accounts|https|issuer|controlPort|deleteRetentionDays|limits|links|faults|seed|-) ?.*[:{]/.test(line) && !line.includes('--')).join('\n').replaceAll('BASE64', KEY);
    const files: Record<string, string> = { 'x.yaml': example, 'server.pem': TEST_CERTIFICATE.certificate, 'server.key': TEST_CERTIFICATE.key, 'jwks.json': JSON.stringify({ keys: new TestIssuer().options().keys }) };
    const config = readConfig(['--config', 'x.yaml'], {}, (path) => files[path] ?? noFile(path));
    expect(config).toMatchObject({ kind: 'run' });
    const faults = config.kind === 'run' ? config.options.disturbances?.faults : [];
    expect(faults?.map(({ kind }) => kind).toSorted()).toEqual([...FAULT_KINDS].toSorted());
  });

  it.each([
    ['port: x', 'x.yaml: port: '],
    ['accounts: [{ name: east }]', 'x.yaml: accounts[0].key: '],
    ['faults: [{ kind: earthquake }]', 'x.yaml: faults[0].kind: '],
    ['faults: [{ kind: server-busy, ratio: 3 }]', 'faults[0].ratio: 3 is not a number from 0 to 1'],
    ['limits: [{ account: east }]', 'limits[0]: limits nothing'],
    ['limits: [{ acount: east, latencyMs: 1 }]', 'acount'],
    ['links: [{ from: a, to: a, latencyMs: 1 }]', 'links[0]: from and to are both "a"'],
    ['deleteRetentionDays: 400', 'deleteRetentionDays: 400 is not a whole number from 0 to 365'],
    ['https: { certificateFile: gone.pem, keyFile: gone.key }', 'x.yaml: https.certificateFile: no such file: gone.pem'],
    ['issuer: { url: nowhere, keys: [] }', 'issuer.url: "nowhere" is not a URL'],
    ['issuer: { url: "https://i.test", keys: [{ kty: RSA }] }', 'issuer.keys: must be public keys'],
    ['issuer: { url: "https://i.test", keys: [] }', 'issuer: tokens are taken over HTTPS only'],
    ['port: 5\ncontrolPort: 5', 'are not different ports'],
    ['a: [', 'x.yaml: '],
  ])('tells field, value and rule of %s', (text, problem) => {
    const config = readConfig(['--config', 'x.yaml'], {}, (path) => (path === 'x.yaml' ? text : noFile(path)));
    expect(config.kind === 'invalid' ? config.problems.join('\n') : '').toContain(problem);
  });
});
