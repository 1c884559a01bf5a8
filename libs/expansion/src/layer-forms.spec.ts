import { constants, crc32, deflateRawSync, gunzipSync, gzipSync, zstdCompressSync } from 'node:zlib';

import { describe, expect, it } from 'vitest';

import { canMountLayers, differencesFromTar, estargzOf, expandBytes, layerOf, type RawTarEntry, skippable, tarOf, zstdChunkedOf } from '#expansion/testing';

import { EXPANDABLE_MEDIA_TYPES, refusalOfMediaType } from './layer-media-types.js';

const ENTRIES: readonly RawTarEntry[] = [
  { name: './', type: '5', mode: 0o755 },
  { name: 'etc/', type: '5', mode: 0o755 },
  { name: 'etc/hosts', contents: '127.0.0.1 localhost\n', pax: { mtime: '1700000000.123456789' } },
  { name: 'etc/numbers', contents: Array.from({ length: 40_000 }, (_, index) => `${index}`).join('\n') },
  { name: 'etc/link', type: '2', linkName: 'hosts' },
  { name: 'zeros', contents: new Uint8Array(300_000) },
];
const TAR = tarOf(...ENTRIES);

/** A gzip member with every optional field of RFC 1952: extra, name, comment, checksum of the header. */
function fullGzipMember(bytes: Buffer): Buffer {
  const header = Buffer.concat([Buffer.from([0x1f, 0x8b, 8, 0x1f, 1, 2, 3, 4, 0, 3, 6, 0]), Buffer.from('XX\x02\0ab'), Buffer.from('name.tar\0comment\0', 'latin1')]);
  const end = Buffer.alloc(8);
  end.writeUInt32LE(crc32(bytes), 0);
  end.writeUInt32LE(bytes.length, 4);
  const check = Buffer.alloc(2);
  check.writeUInt16LE(crc32(header) & 0xffff);
  return Buffer.concat([header, check, deflateRawSync(bytes), end]);
}

/** The bytes cut at odd places, each part compressed alone. */
const inParts = (compress: (part: Buffer) => Buffer): Buffer => {
  const cuts = [0, 1, 511, 513, 70_000, TAR.length];
  return Buffer.concat(cuts.slice(1).map((to, index) => compress(TAR.subarray(cuts[index], to))));
};

const ESTARGZ = estargzOf(...ENTRIES);
const CHUNKED = zstdChunkedOf(...ENTRIES);
const FORMS: [title: string, blob: Buffer, tar?: Buffer][] = [
  ['a tar as it is', TAR],
  ['gzip, stored', gzipSync(TAR, { level: 0 })],
  ['gzip, level 9', gzipSync(TAR, { level: 9 })],
  ['gzip with every optional field', fullGzipMember(TAR)],
  ['gzip of several members', inParts((part) => gzipSync(part))],
  ['gzip of several members, some empty', inParts((part) => Buffer.concat([gzipSync(Buffer.alloc(0)), fullGzipMember(part), gzipSync(Buffer.alloc(0))]))],
  ['eStargz', ESTARGZ.blob, ESTARGZ.tar],
  ['zstd', zstdCompressSync(TAR)],
  ['zstd with checksums and without sizes', zstdCompressSync(TAR, { params: { [constants.ZSTD_c_checksumFlag]: 1, [constants.ZSTD_c_contentSizeFlag]: 0 } })],
  ['zstd of the highest level with the longest window', zstdCompressSync(TAR, { params: { [constants.ZSTD_c_compressionLevel]: 19, [constants.ZSTD_c_windowLog]: 27, [constants.ZSTD_c_contentSizeFlag]: 0 } })],
  ['zstd of several frames, some empty, some to be skipped', inParts((part) => Buffer.concat([skippable(Buffer.from('x')), zstdCompressSync(part), zstdCompressSync(Buffer.alloc(0)), skippable(Buffer.alloc(0))]))],
  ['zstd:chunked', CHUNKED.blob, CHUNKED.tar],
];

describe('a layer', () => {
  it.each(FORMS)('is expanded to the same from %s, however it comes', async (_title, blob, tar = TAR) => {
    const { expanded: plain } = await expandBytes(layerOf(tar));
    for (const chunkBytes of [13, 4096, blob.length]) {
      const { expanded } = await expandBytes(layerOf(tar, blob), { chunkBytes });
      expect(expanded).toEqual({ ...plain, digest: layerOf(tar, blob).layer.digest });
    }
  });

  it.skipIf(!canMountLayers())('in eStargz form holds its table of contents and landmark, as extraction does', async () => {
    expect(gunzipSync(ESTARGZ.blob).equals(ESTARGZ.tar)).toBe(true);
    expect(await differencesFromTar(ESTARGZ.tar, { blob: ESTARGZ.blob })).toEqual([]);
  });

  it.skipIf(!canMountLayers())('in zstd:chunked form equals its extraction', async () => {
    expect(await differencesFromTar(CHUNKED.tar, { blob: CHUNKED.blob })).toEqual([]);
  });

  it('is expanded from anything that its first bytes do not call compressed, such as a tar whose first name begins like gzip', async () => {
    const tar = tarOf({ name: '\x1f\x8b\x07' });
    expect((await expandBytes(layerOf(tar))).expanded.entryCount).toBe(1);
    await expect(expandBytes(layerOf(tarOf({ name: '\x1f\x8b\x08' })))).rejects.toMatchObject({ code: 'COMPRESSION_INVALID' });
  });
});

describe('a media type', () => {
  it.each([
    ...['', '+gzip', '+zstd'].flatMap((form) => [`application/vnd.oci.image.layer.v1.tar${form}`, `application/vnd.oci.image.layer.nondistributable.v1.tar${form}`]),
    ...['', '.gzip', '.zstd'].map((form) => `application/vnd.docker.image.rootfs.diff.tar${form}`),
  ])('%s is expanded', (mediaType) => {
    expect(refusalOfMediaType(mediaType)).toBeUndefined();
    expect(EXPANDABLE_MEDIA_TYPES).toContain(mediaType);
  });

  it.each([
    ['application/vnd.docker.image.rootfs.foreign.diff.tar', 'foreign'],
    ['application/vnd.docker.image.rootfs.foreign.diff.tar.gzip', 'foreign'],
    ['application/vnd.oci.image.layer.v1.tar+gzip+encrypted', 'none that is expanded'],
    ['application/vnd.oci.image.config.v1+json', 'none that is expanded'],
    ['application/vnd.in-toto+json', 'none that is expanded'],
    ['', 'none that is expanded'],
  ])('%s is refused, and the reason says why', (mediaType, why) => {
    expect(refusalOfMediaType(mediaType)).toMatchObject({ code: 'MEDIA_TYPE_UNSUPPORTED', message: expect.stringContaining(why) as string });
  });
});
