import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { digestOf } from './digest.js';
import { parseImageConfig } from './image-config.js';
import { chooseChildren, type ImageIndex, parseManifest } from './manifest.js';
import { DOCKER_MANIFEST, DOCKER_MANIFEST_LIST, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST } from './media-types.js';
import { OciError } from './oci-error.js';
import { INDEX_ENTRIES_MAX, LAYERS_MAX, MANIFEST_BYTES_MAX } from './oci-limits.js';
import { DEFAULT_PLATFORMS } from './platform.js';

const LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip';
const bytes = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const descriptor = (text: string, extra: object = {}): object => ({ mediaType: LAYER, digest: digestOf(text), size: text.length, ...extra });
const image = (extra: object = {}): object => ({
  schemaVersion: 2,
  mediaType: OCI_MANIFEST,
  config: descriptor('config', { mediaType: OCI_CONFIG }),
  layers: [descriptor('one'), descriptor('two')],
  ...extra,
});
const child = (text: string, platform: object | undefined, extra: object = {}): object => descriptor(text, { mediaType: OCI_MANIFEST, platform, ...extra });
const code = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    return (error as { code: string }).code;
  }
  return 'nothing thrown';
};

describe('a manifest', () => {
  it('gives the config and the layers in order', () => {
    const manifest = parseManifest(bytes(image()), `${OCI_MANIFEST}; charset=utf-8`);
    expect(manifest).toMatchObject({ kind: 'image', mediaType: OCI_MANIFEST, annotations: {} });
    expect(manifest.kind === 'image' && manifest.layers.map((layer) => layer.digest)).toEqual([digestOf('one'), digestOf('two')]);
  });

  it('is known by its own media type when the registry names none', () => {
    expect(parseManifest(bytes(image()), '').kind).toBe('image');
    expect(code(() => parseManifest(bytes(image({ mediaType: undefined })), ''))).toBe('MEDIA_TYPE_UNSUPPORTED');
    expect(parseManifest(bytes(image({ mediaType: undefined })), DOCKER_MANIFEST).mediaType).toBe(DOCKER_MANIFEST);
  });

  it('is refused when it contradicts the media type under which it came', () => {
    expect(code(() => parseManifest(bytes(image()), OCI_INDEX))).toBe('MANIFEST_INVALID');
    expect(code(() => parseManifest(bytes(image({ mediaType: undefined })), OCI_INDEX))).toBe('MANIFEST_INVALID');
    expect(code(() => parseManifest(bytes(image({ mediaType: undefined })), 'text/html'))).toBe('MEDIA_TYPE_UNSUPPORTED');
  });

  it.each([
    ['schema 1', image({ schemaVersion: 1 })],
    ['a digest in upper case', image({ layers: [descriptor('x', { digest: digestOf('x').toUpperCase() })] })],
    ['a digest of another algorithm', image({ config: descriptor('x', { digest: `sha512:${'0'.repeat(128)}` }) })],
    ['a negative size', image({ layers: [descriptor('x', { size: -1 })] })],
    ['a fractional size', image({ layers: [descriptor('x', { size: 1.5 })] })],
    ['a size beyond any blob', image({ layers: [descriptor('x', { size: 1e15 })] })],
    ['no layers member', image({ layers: undefined })],
    ['too many layers', image({ layers: Array.from({ length: LAYERS_MAX + 1 }, () => descriptor('x')) })],
    ['annotations that are not texts', image({ annotations: { a: 1 } })],
    ['a list instead of an object', [image()]],
  ])('with %s is refused', (_case, value) => {
    expect(code(() => parseManifest(bytes(value), OCI_MANIFEST))).toBe('MANIFEST_INVALID');
  });

  it('beyond its size limit is refused before it is read', () => {
    expect(code(() => parseManifest(Buffer.alloc(MANIFEST_BYTES_MAX + 1, ' '), OCI_MANIFEST))).toBe('MANIFEST_INVALID');
  });

  it('of arbitrary bytes gives an OciError and nothing else', () => {
    const anything = fc.oneof(fc.uint8Array(), fc.json().map((text) => Buffer.from(text)));
    fc.assert(
      fc.property(anything, fc.constantFrom(OCI_MANIFEST, OCI_INDEX, ''), (input, type) => {
        try {
          parseManifest(input, type);
        } catch (error) {
          expect(error).toBeInstanceOf(OciError);
        }
      }),
    );
  });
});

describe('an index', () => {
  const index = (manifests: object[], mediaType = OCI_INDEX): ImageIndex => {
    const parsed = parseManifest(bytes({ schemaVersion: 2, mediaType, manifests }), mediaType);
    if (parsed.kind !== 'index') throw new Error('not an index');
    return parsed;
  };
  const chosen = (...manifests: object[]): string[] => chooseChildren(index(manifests), DEFAULT_PLATFORMS).map((entry) => entry.digest);

  it('offers the images of the platforms that the policy wants', () => {
    expect(
      chosen(
        child('amd64', { os: 'linux', architecture: 'amd64' }),
        child('arm64', { os: 'linux', architecture: 'arm64', variant: 'v8' }),
        child('s390x', { os: 'linux', architecture: 's390x' }),
        child('windows', { os: 'windows', architecture: 'amd64', 'os.version': '10.0.20348.1' }),
      ),
    ).toEqual([digestOf('amd64'), digestOf('arm64')]);
  });

  it('leaves attestations and nested indexes out', () => {
    expect(
      chosen(
        child('attestation', { os: 'unknown', architecture: 'unknown' }),
        child('marked', { os: 'linux', architecture: 'amd64' }, { annotations: { 'vnd.docker.reference.type': 'attestation-manifest' } }),
        child('nested', { os: 'linux', architecture: 'amd64' }, { mediaType: OCI_INDEX }),
      ),
    ).toEqual([]);
  });

  it('keeps an image without a platform, and every digest once', () => {
    expect(chosen(child('bare', undefined), child('bare', undefined), child('null', null as never))).toEqual([digestOf('bare'), digestOf('null')]);
  });

  it('may be a Docker manifest list, and has a limit', () => {
    expect(index([], DOCKER_MANIFEST_LIST).manifests).toEqual([]);
    const many = Array.from({ length: INDEX_ENTRIES_MAX + 1 }, () => child('x', undefined));
    expect(code(() => index(many))).toBe('MANIFEST_INVALID');
  });

  it('never offers a platform that the policy does not want, whatever it lists', () => {
    const platform = fc.record({ os: fc.constantFrom('linux', 'windows', 'unknown'), architecture: fc.constantFrom('amd64', 'arm64', 'arm', 'unknown') });
    fc.assert(
      fc.property(fc.array(platform), (platforms) => {
        const entries = platforms.map((each, place) => child(String(place), each));
        for (const entry of chooseChildren(index(entries), DEFAULT_PLATFORMS)) {
          expect(entry.platform?.os).toBe('linux');
          expect(['amd64', 'arm64']).toContain(entry.platform?.architecture);
        }
      }),
    );
  });
});

describe('an image config', () => {
  const config = (extra: object = {}): Buffer =>
    bytes({
      os: 'linux',
      architecture: 'arm64',
      variant: 'v8',
      created: '2026-05-01T10:00:00.123456789Z',
      rootfs: { type: 'layers', diff_ids: [digestOf('a'), digestOf('b')] },
      history: [{}],
      ...extra,
    });

  it('gives the platform, the time and the diffIDs', () => {
    expect(parseImageConfig(config(), 2)).toEqual({
      platform: { os: 'linux', architecture: 'arm64', variant: 'v8' },
      createdAt: new Date('2026-05-01T10:00:00.123Z'),
      diffIds: [digestOf('a'), digestOf('b')],
    });
  });

  it('may leave the time and the variant out', () => {
    expect(parseImageConfig(config({ created: null, variant: '' }), 2)).not.toHaveProperty('createdAt');
    expect(parseImageConfig(config({ created: '0001-01-01T00:00:00Z' }), 2)).not.toHaveProperty('createdAt');
    expect(parseImageConfig(config({ created: '+200000-01-01T00:00:00Z' }), 2)).not.toHaveProperty('createdAt');
    expect(parseImageConfig(config({ created: '1970-01-01T00:00:00Z' }), 2).createdAt).toEqual(new Date(0));
    expect(parseImageConfig(config({ created: 'yesterday', variant: '' }), 2).platform).toEqual({ os: 'linux', architecture: 'arm64' });
  });

  it('with another number of diffIDs than there are layers is refused', () => {
    expect(code(() => parseImageConfig(config(), 3))).toBe('CONFIG_INVALID');
    expect(code(() => parseImageConfig(config({ rootfs: { type: 'layers', diff_ids: ['sha256:1', digestOf('b')] } }), 2))).toBe('CONFIG_INVALID');
    expect(code(() => parseImageConfig(config({ rootfs: undefined }), 0))).toBe('CONFIG_INVALID');
    expect(code(() => parseImageConfig(Buffer.from('{'), 0))).toBe('CONFIG_INVALID');
  });
});
