import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { digestHex, digestOf, isDigest, parseDigest } from './digest.js';
import { bareMediaType, isImageConfigType, layerFormatOf, MANIFEST_MEDIA_TYPES, manifestKindOf } from './media-types.js';
import { formatPlatform, isSamePlatform, parsePlatform, wantsPlatform } from './platform.js';
import { formatReference, isRepositoryName, parseReference, parseRepositoryName } from './reference.js';

const code = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    return (error as { code: string }).code;
  }
  return 'nothing thrown';
};

describe('a digest', () => {
  it('is the same for the same bytes and is read back as it was written', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const digest = digestOf(bytes);
        expect(parseDigest(digest)).toBe(digest);
        expect(digestHex(digest)).toHaveLength(64);
      }),
    );
  });

  it('of another algorithm, case or length is refused', () => {
    const good = digestOf('x');
    for (const bad of [good.toUpperCase(), `${good}0`, good.slice(0, -1), `sha512:${good.slice(7)}`, `${good}\n`, '']) {
      expect(isDigest(bad)).toBe(false);
      expect(code(() => parseDigest(bad))).toBe('DIGEST_INVALID');
    }
  });
});

describe('a reference', () => {
  it('is a tag or a digest and keeps its text', () => {
    const tags = fc.stringMatching(/^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/);
    fc.assert(fc.property(tags, (tag) => formatReference(parseReference(tag)) === tag));
    expect(parseReference(digestOf('x')).kind).toBe('digest');
    for (const bad of ['', '.hidden', '-dash', 'a/b', 'a b', 'x'.repeat(129), 'sha256:12', '../up']) {
      expect(code(() => parseReference(bad))).toBe('REFERENCE_INVALID');
    }
  });

  it('belongs to a repository with lower-case path components', () => {
    for (const good of ['a', 'team/app', 'a.b/c_d/e__f/g---h', '0/1']) expect(parseRepositoryName(good)).toBe(good);
    for (const bad of ['', 'A', 'a//b', '/a', 'a/', 'a/../b', 'a_-b', 'a'.repeat(256), 'a\n']) {
      expect(isRepositoryName(bad)).toBe(false);
      expect(code(() => parseRepositoryName(bad))).toBe('NAME_INVALID');
    }
  });

  it('takes time in proportion to a hostile name', () => {
    // The processor's time: others on the machine make it no longer.
    const before = process.cpuUsage();
    expect(isRepositoryName(`${'a-'.repeat(127)}!`)).toBe(false);
    expect(isRepositoryName(`${'a/'.repeat(5_000_000)}!`)).toBe(false);
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1000).toBeLessThan(500);
  });
});

describe('a media type', () => {
  it('tells images from indexes and nothing else', () => {
    expect(MANIFEST_MEDIA_TYPES.map(manifestKindOf)).toEqual(['index', 'image', 'index', 'image']);
    expect(manifestKindOf('application/vnd.docker.distribution.manifest.v1+prettyjws')).toBeUndefined();
    expect(isImageConfigType('application/vnd.cncf.helm.config.v1+json')).toBe(false);
  });

  it('tells how a layer is packed', () => {
    expect(layerFormatOf('application/vnd.oci.image.layer.v1.tar+zstd')).toEqual({ compression: 'zstd', foreign: false });
    expect(layerFormatOf('application/vnd.docker.image.rootfs.diff.tar.gzip')).toEqual({ compression: 'gzip', foreign: false });
    expect(layerFormatOf('application/vnd.docker.image.rootfs.foreign.diff.tar.gzip')).toEqual({ compression: 'gzip', foreign: true });
    expect(layerFormatOf('application/vnd.in-toto+json')).toBeUndefined();
  });

  it('is read from a header without parameters', () => {
    expect(bareMediaType('Application/JSON; charset=utf-8')).toBe('application/json');
    expect(bareMediaType(undefined)).toBe('');
  });
});

describe('a platform', () => {
  it('is written as it was read', () => {
    for (const text of ['linux/amd64', 'linux/arm64/v8', 'windows/amd64']) expect(formatPlatform(parsePlatform(text))).toBe(text);
    for (const bad of ['linux', 'linux/', '/amd64', 'a/b/c/d', 'Linux/AMD64', 'linux/amd64/']) expect(code(() => parsePlatform(bad))).toBe('PLATFORM_INVALID');
  });

  it('without a variant is the processor in its usual variant', () => {
    const same = (one: string, other: string): boolean => isSamePlatform(parsePlatform(one), parsePlatform(other));
    expect(same('linux/arm64', 'linux/arm64/v8')).toBe(true);
    expect(same('linux/arm', 'linux/arm/v6')).toBe(false);
    expect(same('linux/amd64', 'linux/amd64/v3')).toBe(false);
    expect(same('linux/s390x', 'linux/s390x')).toBe(true);
    expect(wantsPlatform([], parsePlatform('linux/amd64'))).toBe(false);
  });
});
