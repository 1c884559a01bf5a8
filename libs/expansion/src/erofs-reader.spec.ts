import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { arbitraryLayer, describeNames, describeTree, expandBytes, layerOf, readExpanded, tarOf, treeOfTar } from '#expansion/testing';
import { crc64Of, layerFileMetadata, layerFilePath, PIECE_BYTES, pieceCount, pieceRange } from '#shares';
import { MemoryShare } from '#shares/testing';

import { ErofsLayout } from './erofs-layout.js';
import { openLayerFilesystem } from './erofs-reader.js';
import { crc32c } from './erofs-structures.js';
import type { ExpandedLayer } from './expanded-layer.js';
import { ExpansionError } from './expansion-error.js';
import { DEFAULT_EXPANSION_LIMITS } from './expansion-limits.js';
import type { FilesystemTree } from './filesystem-tree.js';
import { stackTrees } from './stack-trees.js';

const never = new AbortController().signal;
type Named = ReturnType<typeof describeNames>;

async function read(share: MemoryShare, layer: ExpandedLayer): Promise<Named> {
  const filesystem = await openLayerFilesystem({ share, layer, signal: never });
  return describeNames(describeTree(await filesystem.readTree(DEFAULT_EXPANSION_LIMITS)));
}

/** Everything that has a place of its own in a filesystem: large directories, long targets, shared and inline attributes, marks, further names. */
const RICH = tarOf(
  ...Array.from({ length: 400 }, (_, index) => ({ name: `many/${index}${'n'.repeat(index % 80)}`, contents: index % 3 === 0 ? 'x' : '' })),
  { name: 'long', type: '2', linkName: 'short', pax: { linkpath: 't'.repeat(4095) } },
  { name: 'big', contents: 'b'.repeat(9000), pax: { 'SCHILY.xattr.trusted.big': 'v'.repeat(60_000), 'SCHILY.xattr.trusted.small': 'x' } },
  { name: 'big-too', pax: { 'SCHILY.xattr.trusted.big': 'v'.repeat(60_000), 'SCHILY.xattr.trusted.other': 'w'.repeat(2000) } },
  { name: 'opaque/', type: '5', mode: 0o700, pax: { 'SCHILY.xattr.user.own': 'kept' } },
  { name: 'opaque/.wh..wh..opq' },
  { name: 'bare/.wh..wh..opq' },
  { name: '.wh.gone' },
  { name: 'hard', type: '1', linkName: 'big' },
  { name: 'many/soft', type: '2', linkName: 'to' },
  { name: 'bare/soft-too', type: '1', linkName: 'many/soft' },
  { name: 'disk', type: '4', major: 7, minor: 300 },
  { name: 'pipe', type: '6' },
  { name: '\xff\xfe', contents: 'no text' },
);

async function rich(): Promise<{ readonly share: MemoryShare; readonly expanded: ExpandedLayer; readonly bytes: Buffer }> {
  const { share, expanded } = await expandBytes(layerOf(RICH));
  return { share, expanded, bytes: await readExpanded(share, expanded) };
}

/** A share that holds other bytes in the place of a layer's file, and the record that goes with them: it still names the old digest. */
async function holding(bytes: Buffer, record: ExpandedLayer): Promise<{ readonly share: MemoryShare; readonly forged: ExpandedLayer }> {
  const share = new MemoryShare({ name: 'home' });
  const path = layerFilePath(record.digest, record.writerVersion);
  await share.createFile(path, bytes.length);
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) await share.writeRange(path, at, bytes.subarray(at, at + PIECE_BYTES));
  await share.setMetadata(path, layerFileMetadata(record));
  const pieceCrc64s = Array.from({ length: pieceCount(bytes.length) }, (_, index) => {
    const { offset, length } = pieceRange(index, bytes.length);
    return crc64Of(bytes.subarray(offset, offset + length));
  });
  return { share, forged: { ...record, vhd: { ...record.vhd, sizeBytes: bytes.length }, pieceCrc64s } };
}

/** Makes the superblock's checksum right again. */
function seal(bytes: Buffer): void {
  bytes.writeUInt32LE(0, 1028);
  bytes.writeUInt32LE(crc32c(bytes.subarray(1024, 4096)), 1028);
}

describe('reading the filesystem of a layer back', () => {
  it('gives the tree that was written, whatever the layer', async () => {
    await fc.assert(fc.asyncProperty(arbitraryLayer, async (tar) => {
      const { share, expanded } = await expandBytes(layerOf(tar));
      expect(await read(share, expanded)).toEqual(describeNames(describeTree(treeOfTar(tar))));
    }), { numRuns: 100 });
  });

  it('gives everything that has a place of its own', async () => {
    const { share, expanded } = await rich();
    const tree = await read(share, expanded);
    expect(tree).toEqual(describeNames(describeTree(treeOfTar(RICH))));
    expect(tree).toMatchObject({ opaque: { isOpaque: true, xattrs: [expect.stringContaining('kept')] }, bare: { isOpaque: true, xattrs: [] }, gone: { isWhiteout: true } });
  });

  it('tells the blocks of the filesystem alone', async () => {
    const { share, expanded } = await rich();
    expect((await openLayerFilesystem({ share, layer: expanded, signal: never })).blockCount * 4096).toBe(expanded.verity!.hashOffset);
  });

  it('reads the pieces with names and attributes once, and none of the contents', async () => {
    const tar = tarOf({ name: 'contents', contents: Buffer.alloc(30_000_000, 'c') }, ...Array.from({ length: 70_000 }, (_, index) => ({ name: `d${index % 300}/${index}` })));
    const { share, expanded } = await expandBytes(layerOf(tar));
    share.calls.length = 0;
    await read(share, expanded);
    const ranges = share.calls.filter((call) => call.operation === 'readRange').map((call) => call.range!);
    expect(ranges.slice(0, 1)).toEqual([{ offset: 0, length: 4096 }]);
    const pieces = ranges.slice(1).map((range) => range.offset / PIECE_BYTES);
    expect(new Set(pieces).size).toBe(pieces.length);
    expect(Math.min(...pieces)).toBe(Math.floor(30_000_000 / PIECE_BYTES));
    expect(pieces.length).toBeGreaterThan(1);
  });

  it('passes errors of the share on', async () => {
    const { share, expanded } = await rich();
    for (const operation of ['stat', 'readRange'] as const) {
      share.failNext(operation, 'SHARE_BUSY');
      await expect(read(share, expanded)).rejects.toMatchObject({ code: 'SHARE_BUSY' });
    }
  });

  it('ends with the reason of its signal', async () => {
    const { share, expanded } = await rich();
    const aborted = AbortSignal.abort(new Error('enough'));
    await expect(openLayerFilesystem({ share, layer: expanded, signal: aborted }).then((open) => open.readTree(DEFAULT_EXPANSION_LIMITS))).rejects.toThrow('enough');
  });
});

describe('reading a file that is not what it should be', () => {
  const invalid = (field: string): object => ({ code: 'LAYER_FILE_INVALID', transient: true, details: { field } });

  it('names the layer, the share, the path and the field', async () => {
    const { share, expanded } = await rich();
    const path = layerFilePath(expanded.digest, expanded.writerVersion);
    await share.resizeFile(path, 4096);
    await expect(read(share, expanded)).rejects.toMatchObject({
      code: 'LAYER_FILE_INVALID', transient: true, details: { layer: expanded.digest, share: 'home', path, field: 'size' },
    });
    await share.remove(path);
    await expect(read(share, expanded)).rejects.toMatchObject(invalid('file'));
  });

  it('notices a file with the digest of another', async () => {
    const { share, expanded } = await rich();
    const other = { ...expanded, vhd: { ...expanded.vhd, digest: expanded.digest } };
    await expect(read(share, other)).rejects.toMatchObject(invalid('vhd_digest'));
  });

  it('notices the filesystem of another layer with the same contents and names', async () => {
    const { expanded, bytes } = await rich();
    const { share, forged } = await holding(bytes, { ...expanded, diffId: expanded.digest.replace(/.$/, '0') as typeof expanded.digest });
    await expect(read(share, forged)).rejects.toMatchObject(invalid('uuid'));
  });

  it.each([
    ['magic', 1024, Buffer.alloc(4)],
    ['feature_compat', 1032, Buffer.from([7])],
    ['blkszbits', 1036, Buffer.from([9])],
    ['sb_extslots', 1037, Buffer.from([1])],
    ['root_nid', 1038, Buffer.from([0, 0])],
    ['inos', 1040, Buffer.alloc(8, 255)],
    ['blocks', 1060, Buffer.alloc(4, 255)],
    ['meta_blkaddr', 1064, Buffer.alloc(4, 255)],
    ['meta_blkaddr', 1064, Buffer.alloc(4)],
    ['xattr_blkaddr', 1068, Buffer.alloc(4, 255)],
    ['uuid', 1072, Buffer.alloc(16)],
    ['feature_incompat', 1104, Buffer.from([8])],
    ['extra_devices', 1110, Buffer.from([1])],
  ])('refuses a wrong %s under a right checksum', async (field, at, value) => {
    const { expanded, bytes } = await rich();
    value.copy(bytes, at);
    seal(bytes);
    const { share, forged } = await holding(bytes, expanded);
    await expect(read(share, forged)).rejects.toMatchObject(invalid(field));
  });

  it('refuses a superblock that its checksum does not fit', async () => {
    const { expanded, bytes } = await rich();
    bytes[1090]! ^= 1;
    const { share, forged } = await holding(bytes, expanded);
    await expect(read(share, forged)).rejects.toMatchObject(invalid('checksum'));
  });

  it('gives an equal tree or a coded error when bytes have changed or are missing', { timeout: 120_000 }, async () => {
    const { expanded, bytes } = await rich();
    const whole = describeNames(describeTree(treeOfTar(RICH)));
    await fc.assert(fc.asyncProperty(damage(bytes.length), async (change) => {
      const { share } = await holding(change(bytes), expanded);
      const result = await read(share, expanded).catch((error: unknown) => error);
      if (result instanceof ExpansionError) expect(result.code).toBe('LAYER_FILE_INVALID');
      else expect(result).toEqual(whole);
    }), { numRuns: 100 });
  });

  it('ends with some tree that can be stacked, or with a coded error, even when the record vouches for the changed bytes', { timeout: 120_000 }, async () => {
    const { expanded, bytes } = await rich();
    const metadataAt = bytes.readUInt32LE(1068) * 4096;
    await fc.assert(fc.asyncProperty(damage(expanded.verity!.hashOffset, metadataAt), async (change) => {
      const changed = change(bytes);
      if (changed.length >= 4096) seal(changed);
      const { share, forged } = await holding(changed, expanded);
      const result = await openLayerFilesystem({ share, layer: forged, signal: never }).then((open) => open.readTree(DEFAULT_EXPANSION_LIMITS)).catch((error: unknown) => error);
      if (result instanceof Error) expect(result).toMatchObject({ code: expect.stringMatching(/^LAYER_FILE_INVALID|TOO_LARGE$/) });
      else expect((await ErofsLayout.of(await stackTrees([{ tree: result as FilesystemTree, firstBlock: 0 }], DEFAULT_EXPANSION_LIMITS))).entryCount).toBeGreaterThan(400);
    }), { numRuns: 1500 });
  });
});

/** A few bytes changed or a run of them zeroed or copied elsewhere, most of them behind `from`; or the end cut off. */
function damage(sizeBytes: number, from = 0): fc.Arbitrary<(bytes: Buffer) => Buffer> {
  const place = fc.oneof({ weight: 6, arbitrary: fc.integer({ min: from, max: sizeBytes - 1 }) }, { weight: 1, arbitrary: fc.integer({ min: 0, max: sizeBytes - 1 }) });
  const flips = fc.array(fc.tuple(place, fc.integer({ min: 1, max: 255 })), { minLength: 1, maxLength: 4 }).map((all) => (bytes: Buffer) => {
    const changed = Buffer.from(bytes);
    for (const [at, mask] of all) changed[at]! ^= mask;
    return changed;
  });
  const run = fc.tuple(place, place, fc.integer({ min: 1, max: 300 })).map(([to, at, length]) => (bytes: Buffer) => {
    const changed = Buffer.from(bytes);
    bytes.copy(changed, to, at, at + length);
    return changed;
  });
  const cut = fc.integer({ min: 0, max: sizeBytes }).map((length) => (bytes: Buffer) => Buffer.from(bytes.subarray(0, length)));
  return fc.oneof({ weight: 8, arbitrary: flips }, { weight: 4, arbitrary: run }, { weight: 1, arbitrary: cut });
}
