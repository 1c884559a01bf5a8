import { describe, expect, it } from 'vitest';

import { namesOf } from './certificate-names.js';

const names = (subjectAltName: string | undefined, CN?: string | string[]): readonly string[] =>
  namesOf({ subjectAltName, toLegacyObject: () => ({ subject: { CN } }) } as unknown as Parameters<typeof namesOf>[0]);

describe('the names of a certificate', () => {
  it('are its alternative names, each with its kind, and its one common name', () => {
    expect(names('DNS:a.test, URI:spiffe://test/registry, IP Address:10.0.0.1, email:a@b', 'registry')).toEqual(['DNS:a.test', 'URI:spiffe://test/registry', 'IP:10.0.0.1', 'email:a@b', 'CN=registry']);
    expect(names(undefined, 'registry')).toEqual(['CN=registry']);
    expect(names(undefined)).toEqual([]);
  });

  it('are never a part of a value', () => {
    expect(names('URI:"http://x/, DNS:registry, y", DNS:real')).toEqual(['DNS:real']);
    expect(names('URI:"a\\", DNS:registry, \\"b", DNS:real')).toEqual(['DNS:real']);
    expect(names('DNS:"registry"')).toEqual([]);
  });

  it('are none when the list cannot be read to its end, or there are several common names', () => {
    for (const text of ['DNS:a, "', 'URI:"open, DNS:registry', 'DNS:a,DNS:registry"', ', DNS:registry', 'DNS:a\nDNS:registry"x']) expect(names(text)).not.toContain('DNS:registry');
    expect(names('URI:"open, DNS:registry')).toEqual([]);
    expect(names(undefined, ['other', 'registry'])).toEqual([]);
  });
});
