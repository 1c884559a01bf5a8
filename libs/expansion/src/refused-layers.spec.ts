import { gzipSync, zstdCompressSync } from 'node:zlib';

import { describe, expect, it } from 'vitest';

import { expandBytes, LARGE_TAR, type LayerBytes, layerOf, noise, readExpanded, SMALL_TAR, tarOf } from '#expansion/testing';
import { MemoryShare } from '#shares/testing';

const GZIPPED = gzipSync(SMALL_TAR);
const ZSTD = zstdCompressSync(SMALL_TAR);
const changed = (bytes: Buffer, at: number): Buffer => {
  const copy = Buffer.from(bytes);
  copy[at]! ^= 1;
  return copy;
};

describe('expandLayer, refusing', () => {
  it.each<[string, string, LayerBytes, object?]>([
    ['what is no tar', 'TAR_INVALID', layerOf(noise(10_000, 'no tar'))],
    ['a layer of a Windows image', 'LAYER_UNSUPPORTED', layerOf(tarOf({ name: 'Files/', type: '5', pax: { 'MSWINDOWS.fileattr': '16' } }))],
    ['a blob of another digest', 'DIGEST_MISMATCH', { ...layerOf(SMALL_TAR), blob: changed(SMALL_TAR, 512 + 124) }],
    ['a blob that is longer than it says', 'DIGEST_MISMATCH', { ...layerOf(SMALL_TAR), blob: Buffer.concat([SMALL_TAR, Buffer.alloc(1)]) }],
    ['a gzip blob that changed on the way', 'DIGEST_MISMATCH', { ...layerOf(SMALL_TAR, GZIPPED), blob: changed(GZIPPED, 40) }],
    ['what only begins as gzip', 'COMPRESSION_INVALID', layerOf(SMALL_TAR, Buffer.concat([GZIPPED.subarray(0, 10), SMALL_TAR]))],
    ['gzip cut short', 'COMPRESSION_INVALID', layerOf(SMALL_TAR, GZIPPED.subarray(0, -20))],
    ['garbage behind gzip', 'COMPRESSION_INVALID', layerOf(SMALL_TAR, Buffer.concat([GZIPPED, Buffer.from('garbage')]))],
    ['what only begins as zstd', 'COMPRESSION_INVALID', layerOf(SMALL_TAR, Buffer.concat([ZSTD.subarray(0, 4), SMALL_TAR]))],
    ['zstd cut short', 'COMPRESSION_INVALID', layerOf(SMALL_TAR, ZSTD.subarray(0, -3))],
    ['garbage behind zstd', 'COMPRESSION_INVALID', layerOf(SMALL_TAR, Buffer.concat([ZSTD, Buffer.from('garbage')]))],
    ['a tar cut short', 'TAR_INVALID', layerOf(LARGE_TAR.subarray(0, 5_000_000))],
    ['a hard link to a lower layer', 'LINK_TARGET_MISSING', layerOf(tarOf({ name: 'a', type: '1', linkName: 'lower' }))],
    ['a name that leads out', 'TAR_INVALID', layerOf(tarOf({ name: 'a/../../b' }))],
    ['a whiteout of no name', 'TAR_INVALID', layerOf(tarOf({ name: 'a/.wh.' }))],
    ['a whiteout of ".."', 'TAR_INVALID', layerOf(tarOf({ name: 'a/.wh...' }))],
    ['a link without a target', 'TAR_INVALID', layerOf(tarOf({ name: 'a', type: '2' }))],
    ['a device that Linux cannot hold', 'TAR_INVALID', layerOf(tarOf({ name: 'a', type: '3', major: 4096 }))],
    ['attributes that Linux cannot hold', 'ENTRY_UNSUPPORTED', layerOf(tarOf({ name: 'a', pax: { [`SCHILY.xattr.user.${'n'.repeat(256)}`]: 'x' } }))],
    ['a decompression bomb', 'TOO_LARGE', layerOf(LARGE_TAR, gzipSync(LARGE_TAR)), { maxUncompressedBytes: 20_000_000 }],
    ['a blob beyond all measure', 'TOO_LARGE', layerOf(LARGE_TAR), { maxBlobBytes: 20_000_000 }],
    ['a bomb of holes', 'TOO_LARGE', layerOf(tarOf({ name: 'a', pax: { 'GNU.sparse.size': '9000000000000000', 'GNU.sparse.map': '9000000000000000,0' } }))],
    ['too many entries', 'TOO_LARGE', layerOf(SMALL_TAR), { maxEntries: 4 }],
  ])('%s says so, finally, and leaves no file', async (_, code, layer, limits = {}) => {
    const share = new MemoryShare({ name: 'home' });
    await expect(expandBytes(layer, { share, limits })).rejects.toMatchObject({ name: 'ExpansionError', code, transient: false });
    expect(share.paths).toEqual([]);
  });

  it('names a truncated blob transient', async () => {
    const layer = layerOf(SMALL_TAR, GZIPPED);
    await expect(expandBytes({ ...layer, blob: GZIPPED.subarray(0, 100) })).rejects.toMatchObject({ code: 'BLOB_TRUNCATED', transient: true });
  });

  it('drops attributes that steer overlayfs, and those of other namespaces', async () => {
    const pax = { 'SCHILY.xattr.trusted.overlay.redirect': '/etc', 'SCHILY.xattr.user.overlay.opaque': 'y', 'SCHILY.xattr.odd.name': 'z', 'SCHILY.xattr.user.kept': 'k' };
    const { expanded, share } = await expandBytes(layerOf(tarOf({ name: 'a', pax })));
    const file = (await readExpanded(share, expanded)).toString('latin1');
    expect(['overlay', 'odd', 'kept'].map((name) => file.includes(name))).toEqual([false, false, true]);
  });
});
