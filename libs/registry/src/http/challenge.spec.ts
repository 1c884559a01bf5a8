import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { parseChallenges } from './challenge.js';

describe('a WWW-Authenticate header', () => {
  it('names the realm, the service and the scope of a token', () => {
    expect(parseChallenges('Bearer realm="https://auth.example/token?a=b,c",service="registry.example",scope="repository:team/app:pull,push"')).toEqual([
      { scheme: 'bearer', parameters: { realm: 'https://auth.example/token?a=b,c', service: 'registry.example', scope: 'repository:team/app:pull,push' } },
    ]);
  });

  it('may hold several challenges, escapes and bare values', () => {
    expect(parseChallenges('Basic realm="a \\"b\\"", Negotiate, BEARER Realm=x , error = "no"')).toEqual([
      { scheme: 'basic', parameters: { realm: 'a "b"' } },
      { scheme: 'negotiate', parameters: {} },
      { scheme: 'bearer', parameters: { realm: 'x', error: 'no' } },
    ]);
  });

  it('is read to an end whatever it holds', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => Array.isArray(parseChallenges(text))));
    fc.assert(fc.property(fc.stringMatching(/^[Ba ="\\,]{0,200}$/), (text) => Array.isArray(parseChallenges(text))));
    expect(parseChallenges(`Bearer ${'a="'.repeat(100_000)}`).length).toBeGreaterThan(0);
  });
});
