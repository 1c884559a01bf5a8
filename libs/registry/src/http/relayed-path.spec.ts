import { describe, expect, it } from 'vitest';

import { isAttributesList, parseRelayedPath, RELAYED_PATH_LENGTH_MAX } from './relayed-path.js';

const DIGEST = `sha256:${'a'.repeat(64)}`;

describe('a path for the registry', () => {
  it.each([
    ['/v2/', 'base'], ['/v2', 'base'], ['/v2/_catalog', 'catalogue'], ['/v2/a/b/manifests/v1', 'manifests'], [`/v2/a/blobs/${DIGEST}`, 'blobs'], ['/v2/a/blobs/uploads/', 'uploads'],
    ['/v2/a/blobs/uploads/0-1_x', 'uploads'], ['/v2/a/tags/list', 'tags'], [`/v2/a/referrers/${DIGEST}`, 'referrers'], ['/v2/a/_oci/ext', 'other'],
  ])('%s is for %s', (path, part) => {
    expect(parseRelayedPath(path)).toMatchObject({ part, path });
  });

  it('names a manifest by tag or digest', () => {
    expect(parseRelayedPath('/v2/team/app/manifests/v1')?.manifest).toEqual({ repository: 'team/app', reference: { kind: 'tag', tag: 'v1' } });
    expect(parseRelayedPath(`/v2/app/manifests/${DIGEST.replace(':', '%3A')}`)?.manifest).toEqual({ repository: 'app', reference: { kind: 'digest', digest: DIGEST } });
  });

  it('of Azure\'s data plane names what its deletion removes, and nothing where it lists', () => {
    const removable = (path: string): unknown => parseRelayedPath(`/acr/v1/${path}`)?.removable;
    expect(removable('team/app')).toEqual({ repository: 'team/app' });
    expect(removable('team/app/_tags/v1')).toEqual({ repository: 'team/app', reference: { kind: 'tag', tag: 'v1' } });
    expect(removable(`app/_manifests/${DIGEST.replace(':', '%3A')}`)).toEqual({ repository: 'app', reference: { kind: 'digest', digest: DIGEST } });
    for (const path of ['_catalog', 'team/app/_tags', 'team/app/_manifests', 'team/app/_manifests/v1', `team/app/_tags/${DIGEST}`, 'Team', 'team/app/_tags/v1/x']) expect(removable(path)).toBeUndefined();
    for (const path of ['team/../other', 'team//app', 'team/app/_tags/%2e%2e', 'team%2fapp']) expect(parseRelayedPath(`/acr/v1/${path}`)).toBeUndefined();
    expect(parseRelayedPath('/acr/v1/team/app/_tags?x')).toBeUndefined();
    expect(parseRelayedPath('/acr/v1/team/app/_tags')).toEqual({ part: 'attributes', path: '/acr/v1/team/app/_tags' });
  });

  it('of Azure\'s data plane is a list, an entry of one, or the repository\'s own', () => {
    expect(['_catalog', 'a/_tags', 'a/b/_tags/v1', 'a/_manifests', `a/_manifests/${DIGEST}`].every((path) => isAttributesList(`/acr/v1/${path}`))).toBe(true);
    expect(['a', 'a/b', '_tags', 'a/_catalog', 'a/_tags/v1/x', 'a/_streaming'].some((path) => isAttributesList(`/acr/v1/${path}`))).toBe(false);
    expect(isAttributesList('/v2/a/_tags')).toBe(false);
  });

  it('names a blob by its digest, and by nothing else', () => {
    expect(parseRelayedPath(`/v2/team/app/blobs/${DIGEST.replace(':', '%3a')}`)?.blob).toEqual({ repository: 'team/app', digest: DIGEST });
    for (const path of ['/v2/a/blobs/uploads/', '/v2/a/blobs/sha512:abc', `/v2/Team/blobs/${DIGEST}`, `/v2/a/manifests/${DIGEST}`]) expect(parseRelayedPath(path)?.blob).toBeUndefined();
  });

  it('that follows no grammar is the registry\'s to refuse, and names no manifest', () => {
    for (const path of ['/v2/Team/manifests/v1', '/v2/a/manifests/-x', '/v2/a/manifests/sha512:abc']) expect(parseRelayedPath(path)).toEqual({ part: 'manifests', path });
  });

  it('is not passed on when two readers might read it differently', () => {
    const tricks = ['/v2/../admin', '/v2/a/../b/manifests/v1', '/v2/a/%2e%2E/b', '/v2/a/.%2e/b', '/v2/a/./b', '/v2//a', '/v2/a%2fb/tags/list', '/v2/a%5cb', '/v2/a\\b', '/v2/a%00', '/v2/a#b', '/v2/é', '/v2/a b', '/v2/a\r\nx', '/v3/', '/v2x', ''];
    expect(tricks.filter((path) => parseRelayedPath(path) !== undefined)).toEqual([]);
    expect(parseRelayedPath(`/v2/${'a'.repeat(RELAYED_PATH_LENGTH_MAX)}`)).toBeUndefined();
  });
});
