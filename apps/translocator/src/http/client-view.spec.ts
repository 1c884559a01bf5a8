import type { FastifyRequest } from 'fastify';
import { describe, expect, it } from 'vitest';

import { loadConfig } from '#config';

import { ClientView } from './client-view.js';

function viewOf(gateway: string): ClientView {
  const yaml = `registry: { url: "https://registry.example:5000/path" }\ngateway: ${gateway}`;
  return new ClientView(loadConfig({ environment: { TRANSLOCATOR_CONFIG: 'c.yaml' }, readFile: () => yaml }).config);
}
const by = (host: string, protocol = 'https'): FastifyRequest => ({ host, protocol, ip: '192.0.2.7' }) as FastifyRequest;

describe('what clients see of this service', () => {
  it('is the name that they call it by, or the registry\'s where theirs cannot be repeated', () => {
    const view = viewOf('{}');
    expect(view.callerOf(by('near.example:8443'))).toEqual({ address: '192.0.2.7', host: 'near.example:8443', protocol: 'https' });
    expect(view.callerOf(by('[2001:db8::1]:80')).host).toBe('[2001:db8::1]:80');
    for (const host of ['', 'a b', 'a"b', 'a/b', 'user@a', 'a\r\nx: y']) expect(view.callerOf(by(host)).host).toBe('registry.example:5000');
  });

  it('is a realm of its own only by the names of the registry, and only when that is set', () => {
    const own = viewOf('{ realm: own, hosts: [Registry.Example, other.example:8443] }');
    expect(own.realmFor(by('registry.example'))).toBe('https://registry.example/oauth2/token');
    expect(own.realmFor(by('registry.example:444', 'http'))).toBe('http://registry.example:444/oauth2/token');
    expect(own.realmFor(by('other.example:8443'))).toBe('https://other.example:8443/oauth2/token');
    expect([own.realmFor(by('other.example')), own.realmFor(by('evil.example')), viewOf('{ hosts: [registry.example] }').realmFor(by('registry.example'))]).toEqual([undefined, undefined, undefined]);
    expect(own.realmFor(by('registry.example:5000'))).toBe('https://registry.example:5000/oauth2/token');
    // What is told to such clients elsewhere, the name of the registry as this service reaches it, leads no client anywhere.
    expect(['', 'a b', 'a"b'].map((host) => own.realmFor(by(host)))).toEqual([undefined, undefined, undefined]);
  });

  it('serves the registry of its URL, and of the names that are set, with their ports', () => {
    const view = viewOf('{ hosts: [docker.example] }');
    expect(['registry.example:5000', 'DOCKER.example'].every((name) => view.serves(name))).toBe(true);
    expect(['registry.example', 'docker.example:5000', '', 'other.example'].some((name) => view.serves(name))).toBe(false);
  });
});
