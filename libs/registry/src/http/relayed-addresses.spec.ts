import { describe, expect, it } from 'vitest';

import { addressesForClient, addressForClient, withRealm } from './relayed-addresses.js';

const caller = { address: '192.0.2.7', host: 'near.example:8443', protocol: 'https' } as const;
const view = { registry: new URL('http://registry.example:5000/'), caller, realm: undefined };
const behindPath = { ...view, registry: new URL('https://registry.example/team/') };

describe('an address in an answer of the registry', () => {
  it.each([
    ['leads to this service when it leads to the registry', view, 'http://registry.example:5000/v2/a/blobs/uploads/1?_state=x%3D', 'https://near.example:8443/v2/a/blobs/uploads/1?_state=x%3D'],
    ['leads to this service when the registry takes itself for one on https', view, 'https://registry.example/v2/a', 'https://near.example:8443/v2/a'],
    ['stays when it leads to a store of blobs', view, 'https://store.example/blob?sig=x', 'https://store.example/blob?sig=x'],
    ['stays when another port of the host has it', view, 'http://registry.example:9000/v2/a', 'http://registry.example:9000/v2/a'],
    ['stays when it is relative', view, '/v2/a/tags/list?n=2&last=b', '/v2/a/tags/list?n=2&last=b'],
    ['stays when it names a host without a scheme', view, '//registry.example:5000/v2/a', '//registry.example:5000/v2/a'],
    ['loses the path in front of the registry', behindPath, 'https://registry.example/team/v2/a', 'https://near.example:8443/v2/a'],
    ['loses that path also when it is relative', behindPath, '/team/v2/a', '/v2/a'],
    ['stays when it is none', view, 'not an address', 'not an address'],
  ])('%s', (_title, seen, address, expected) => {
    expect(addressForClient(address, seen)).toBe(expected);
  });

  it('is found in Location and in every part of Link', () => {
    const link = '<http://registry.example:5000/v2/a?n=1>; rel="next", </v2/b>; rel="prev"';
    expect(addressesForClient({ location: 'http://registry.example:5000/v2/x', link, etag: '"x"' }, view)).toEqual({
      location: 'https://near.example:8443/v2/x', link: '<https://near.example:8443/v2/a?n=1>; rel="next", </v2/b>; rel="prev"', etag: '"x"',
    });
  });
});

describe('a challenge', () => {
  const bearer = 'Bearer realm="https://auth.example/token",service="registry",scope="repository:a:pull"';

  it('keeps its realm unless this service has one of its own', () => {
    expect(addressesForClient({ 'www-authenticate': bearer }, view)['www-authenticate']).toBe(bearer);
    expect(addressesForClient({ 'www-authenticate': bearer }, { ...view, realm: 'https://near.example/oauth2/token' })['www-authenticate']).toBe(
      'Bearer realm="https://near.example/oauth2/token",service="registry",scope="repository:a:pull"',
    );
  });

  it('that asks for a password stays as it is', () => {
    expect(withRealm('Basic realm="x"', 'https://near.example/t')).toBe('Basic realm="x"');
  });

  it('cannot be broken out of by what the registry wrote', () => {
    expect(withRealm('Bearer realm="a", error="say \\"x\\" \\\\"', 'r')).toBe('Bearer realm="r",error="say \\"x\\" \\\\"');
  });
});
