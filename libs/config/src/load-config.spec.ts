import { describe, expect, it } from 'vitest';

import { PLACEMENT_PARAMETERS_DEFAULT } from '#placement';
import { MINUTE_MS } from '#quantities';

import { ConfigError } from './config-error.js';
import { keepsLayers } from './gateway-config.js';
import { loadConfig } from './load-config.js';
import { printConfig } from './print-config.js';

const KEY = 'A'.repeat(86) + '==';

function load(yaml: string, environment: Record<string, string> = {}, roles?: string[]) {
  return loadConfig({
    environment: { TRANSLOCATOR_CONFIG: 'c.yaml', ...environment },
    ...(roles === undefined ? {} : { overrides: { roles } }),
    readFile: (path) => {
      if (path === 'c.yaml') return yaml;
      if (path === 'token.txt') return 'from-a-file-0123456789\n';
      throw new Error(`ENOENT: no such file ${path}`);
    },
  });
}

function problems(yaml: string, environment: Record<string, string> = {}): readonly { field: string; value?: string; rule: string }[] {
  try {
    load(yaml, environment);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

describe('the configuration', () => {
  it('is the embedded default when nothing is set', () => {
    const { config } = loadConfig({ environment: {}, readFile: () => '' });
    expect(config.server).toMatchObject({ host: '127.0.0.1', port: 8080 });
    expect(config.database).toEqual({ kind: 'embedded' });
    expect(config.regions.list.map((region) => region.name)).toEqual(['westeurope', 'eastus', 'southeastasia']);
    expect(config.placement.every).toBe(15 * MINUTE_MS);
  });

  it('reports every problem at once, with field, value and rule', () => {
    const found = problems('server: { port: 70000, hostt: x }\ndemand: { flushEvery: soon }\nregions: { home: mars }\nshares: { kind: azure }', {
      TRANSLOCATOR_ADMIN_TOKEN: 'short',
      TRANSLOCATOR_PROT: '1',
    });
    expect(found.map((problem) => problem.field)).toEqual(
      expect.arrayContaining(['server.port', 'server.hostt', 'demand.flushEvery', 'TRANSLOCATOR_ADMIN_TOKEN', 'TRANSLOCATOR_PROT']),
    );
    expect(found.find((problem) => problem.field === 'demand.flushEvery')).toMatchObject({ value: '"soon"', rule: expect.stringContaining('5s') });
  });

  it('refuses fields that do not go together', () => {
    expect(problems('regions: { home: mars, list: [{ name: a1 }, { name: a1 }], links: [{ from: a1, to: b1, roundTripMs: 5, pricePerGb: 0 }] }').map((each) => each.field)).toEqual([
      'regions.list.1.name',
      'regions.home',
      'regions.links.0.to',
    ]);
    expect(problems('roles: [lookup]').map((each) => each.field)).toEqual(['roles']);
  });

  it('lets the command line win over the environment, and the environment over the file', () => {
    const { config } = load('server: { port: 1 }\nregistry: { url: "http://a:1" }', { TRANSLOCATOR_PORT: '2', TRANSLOCATOR_REGISTRY_URL: 'https://b' }, ['all']);
    expect(config.server.port).toBe(2);
    expect(config.registry.url).toBe('https://b');
    expect(config.roles).toEqual(['lookup', 'control', 'worker']);
  });

  it('requires tokens and keys where the service is not one person’s own', () => {
    const yaml = 'server: { host: 0.0.0.0 }\ndatabase: { kind: server }\nshares: { kind: azure }\nregions: { home: r1, list: [{ name: r1, share: { account: acct1 } }] }';
    expect(problems(yaml).map((each) => each.field)).toEqual([
      'TRANSLOCATOR_DATABASE_URL',
      'TRANSLOCATOR_ADMIN_TOKEN',
      'TRANSLOCATOR_SERVICE_TOKEN',
      'TRANSLOCATOR_NOTIFICATION_TOKEN',
      'TRANSLOCATOR_SHARE_KEYS',
    ]);
  });

  it('asks for what the credential of the shares needs, and takes tokens over https only', () => {
    const yaml = (credential: string, endpoint = 'https://acct1.file.core.windows.net'): string =>
      `shares: { kind: azure, credential: ${credential} }\nregions: { home: r1, list: [{ name: r1, share: { account: acct1, endpoint: "${endpoint}" } }] }`;
    expect(problems(yaml('identity'))).toEqual([]);
    expect(problems(yaml('identity', 'http://10.0.0.1/acct1')).map((each) => each.field)).toEqual(['regions.list.0.share.endpoint']);
    expect(problems(yaml('sas')).map((each) => each.field)).toEqual(['TRANSLOCATOR_SHARE_SAS']);
    expect(problems(yaml('sas'), { TRANSLOCATOR_SHARE_SAS: 'acct1=sv=2026' })[0]).toMatchObject({ field: 'TRANSLOCATOR_SHARE_SAS' });
    const writing = { TRANSLOCATOR_SHARE_SAS: 'acct1=sp=rwdl&sig=a', TRANSLOCATOR_SHARE_READ_SAS: 'acct1=sp=rw&sig=hush' };
    expect(problems(yaml('sas'), writing).map((each) => each.field)).toEqual(['TRANSLOCATOR_SHARE_READ_SAS']);
    expect(JSON.stringify(problems(yaml('sas'), writing))).not.toContain('hush');
    const { config, secrets } = load(yaml('sas'), { TRANSLOCATOR_SHARE_SAS: 'acct1=?sv=2026-04-06&sp=rwdl&sig=abc%2Bd%3D', TRANSLOCATOR_SHARE_READ_SAS: 'acct1=sp=r&sig=hush' });
    expect(secrets.shareSas).toEqual({ acct1: 'sv=2026-04-06&sp=rwdl&sig=abc%2Bd%3D' });
    expect(printConfig(config, secrets)).not.toMatch(/abc|hush/);
  });

  it('takes a gateway of a region that is not home, and keeps layers where they pass and have somewhere to go', () => {
    const gateway = (settings: string) => load(`gateway: { ${settings} }`).config.gateway;
    const fields = (settings: string): string[] => problems(`gateway: { ${settings} }`).map((each) => each.field);
    expect([gateway(''), gateway('enabled: true'), gateway('region: eastus'), gateway('enabled: true, region: eastus, keep: { layers: false }')].map(keepsLayers)).toEqual([false, false, false, false]);
    expect(keepsLayers(gateway('enabled: true, region: eastus'))).toBe(true);
    expect(fields('region: westeurope')).toEqual(['gateway.region']);
    expect(problems('gateway: { region: mars }')[0]).toEqual({ field: 'gateway.region', value: '"mars"', rule: 'must be one of the regions in the list that is not home: eastus, southeastasia' });
    for (const settings of ['keep: { layers: true }', 'enabled: true, keep: { layers: true }', 'region: eastus, keep: { layers: true }']) expect(fields(settings)).toEqual(['gateway.keep.layers']);
    expect(fields('keep: { spool: 0, memory: 0, spooled: 0, within: 2h, expansions: 100 }').toSorted()).toEqual(['gateway.keep.expansions', 'gateway.keep.memory', 'gateway.keep.spool', 'gateway.keep.spooled', 'gateway.keep.within']);
  });

  it('has plans weigh as the planner does by itself, and keeps room for what passes only where there is a gateway that may keep it', () => {
    const { horizonMs: _horizonMs, smallLayerBytes: smallLayer, ...weights } = PLACEMENT_PARAMETERS_DEFAULT;
    expect(load('{}').config.placement).toMatchObject({ ...weights, smallLayer, reactiveRatio: 0 });
    const ratio = (yaml: string): number => load(yaml).config.placement.reactiveRatio;
    const gateways = ['enabled: true, region: eastus', 'enabled: true', 'enabled: true, keep: { layers: false }', 'region: eastus'];
    expect(gateways.map((settings) => ratio(`gateway: { ${settings} }`))).toEqual([weights.reactiveRatio, weights.reactiveRatio, 0, 0]);
    expect([ratio('placement: { reactiveRatio: 0.2 }'), ratio('gateway: { enabled: true }\nplacement: { reactiveRatio: 0 }')]).toEqual([0.2, 0]);
    const { config, secrets } = load('gateway: { enabled: true }');
    expect(printConfig(config, secrets)).toContain('  reactiveRatio: 0.1\n');
  });

  it('takes NFS with the networks that admit to it, and folders of hosts with theirs', () => {
    const fields = (share: string): string[] => problems(`regions: { home: a1, list: [{ name: a1, share: { ${share} } }] }`).map((each) => each.field.replace('regions.list.0.share.', ''));
    expect(fields('protocol: nfs, networks: [10.4.0.0/16], folders: [{ path: /mnt/layers, networks: [10.4.7.1, "fd00::/8"] }]')).toEqual([]);
    expect(fields('protocol: nfs')).toEqual(['networks']);
    expect(fields('protocol: nfs, smbHost: x, networks: [10.4.0.0/16]')).toEqual(['smbHost']);
    expect(fields('nfsExport: "nfs.test:/layers"')).toEqual(['nfsExport']);
    expect(fields('protocol: nfs, networks: [all], nfsExport: "nfs.test"')).toEqual(['nfsExport', 'networks.0']);
    expect(fields('folders: [{ path: mnt, networks: [] }]')).toEqual(['folders.0.path', 'folders.0.networks']);
  });

  it('takes TLS with what belongs together, and keys of tokens with a name for the registry', () => {
    const fields = (yaml: string): string[] => problems(yaml).map((each) => each.field);
    const tls = (more: string): string => `server: { tls: { certificate: a, key: b${more} } }`;
    expect(fields(tls(''))).toEqual([]);
    expect(fields('server: { tls: { certificate: a } }')).toEqual(['server.tls.key']);
    expect(fields(tls(', clientCa: c'))).toEqual(['server.tls.clientCa']);
    expect(fields(tls(', clientCertificates: optional'))).toEqual(['server.tls.clientCa']);
    expect(fields(tls(', clients: [{ name: "CN=x", scopes: [lookup] }]'))).toEqual(['server.tls.clients']);
    expect(fields(tls(', clientCa: c, clientCertificates: required, clients: [{ name: "x", scopes: [root] }]'))).toEqual(['server.tls.clients.0.name', 'server.tls.clients.0.scopes.0']);
    const tokens = (more: string): string => `registry: { tokens: { realm: "https://auth.test/token", service: registry.test, ${more} } }`;
    expect(fields(tokens('keys: [{ jwks: "https://auth.test/keys" }, { file: keys.pem }]'))).toEqual([]);
    for (const keys of ['keys: []', 'keys: [{ jwks: "ftp://x" }]', 'keys: [{ url: "https://x" }]']) expect(fields(tokens(keys))[0]).toMatch(/^registry\.tokens\.keys/);
    expect(fields(tokens('keys: [{ file: k }], clockLeeway: 1h'))).toEqual(['registry.tokens.clockLeeway']);
    expect(fields('registry: { tokens: { realm: "https://x/\\"y", service: "a\\"b", keys: [{ file: k }] } }')).toEqual(['registry.tokens.realm', 'registry.tokens.service']);
  });

  it('reads a secret from a file and never prints one', () => {
    const { config, secrets } = load('{}', { TRANSLOCATOR_ADMIN_TOKEN_FILE: 'token.txt', TRANSLOCATOR_SHARE_KEYS: `acct1=${KEY}` });
    expect(secrets.adminToken).toBe('from-a-file-0123456789');
    const printed = printConfig(config, secrets);
    expect(printed).toContain('adminToken');
    expect(printed).toContain('shareKeys.acct1');
    expect(printed).not.toContain('0123456789');
    expect(printed).not.toContain(KEY);
  });

  it('says what is wrong with the file itself', () => {
    expect(problems('a: [1,')[0]).toMatchObject({ field: 'c.yaml', rule: expect.stringContaining('YAML') });
    expect(problems('- 1')[0]).toMatchObject({ rule: 'must be a mapping of settings' });
    expect(problems('{}', { TRANSLOCATOR_CONFIG: 'gone.yaml' })[0]).toMatchObject({ field: 'TRANSLOCATOR_CONFIG' });
  });
});
