import { describe, expect, it } from 'vitest';

import { OCI_MANIFEST, parseDigest, type Reference } from '#oci';

import { eventsOfExchange, type ManifestExchange } from './event-of-exchange.js';
import { referenceToExamine } from './registry-event.js';

const DIGEST = parseDigest(`sha256:${'a'.repeat(64)}`);
const at = new Date('2026-01-01T00:00:00Z');
const TAG: Reference = { kind: 'tag', tag: 'v1' };

function examined(exchange: Partial<ManifestExchange>): (string | undefined)[] {
  let count = 0;
  const whole = { method: 'PUT', status: 201, repository: 'team/app', reference: TAG, digest: DIGEST, mediaType: OCI_MANIFEST, tags: [], ...exchange };
  return eventsOfExchange(whole, { at, newId: () => String((count += 1)) }).map(referenceToExamine);
}

describe('a manifest that passes through', () => {
  it('has its tag examined when it was pushed or deleted by it', () => {
    expect([examined({}), examined({ method: 'DELETE', status: 202, mediaType: undefined })]).toEqual([['v1'], ['v1']]);
  });

  it('has its digest examined when it was pushed or deleted by that', () => {
    const reference: Reference = { kind: 'digest', digest: DIGEST };
    expect([examined({ reference }), examined({ reference, method: 'DELETE', status: 202, digest: undefined })]).toEqual([[DIGEST], [DIGEST]]);
  });

  it('has every tag examined that the registry set besides', () => {
    expect(examined({ reference: { kind: 'digest', digest: DIGEST }, tags: ['a', 'b', 'not a tag'] })).toEqual([DIGEST, 'a', 'b']);
  });

  it('changes nothing when the registry refused it, or when it was read', () => {
    expect([examined({ status: 400 }), examined({ status: 401 }), examined({ status: 307 }), examined({ method: 'GET', status: 200 }), examined({ method: 'DELETE', status: 404 })]).toEqual([[], [], [], [], []]);
  });
});
