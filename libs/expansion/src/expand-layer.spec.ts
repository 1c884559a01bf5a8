import { createHash } from 'node:crypto';
import { gzipSync, zstdCompressSync } from 'node:zlib';

import { describe, expect, it } from 'vitest';

import { chunked, expandBytes, type LayerBytes, layerOf, readExpanded, tarOf } from '#expansion/testing';
import { crc64Of, expansionPartialPath, LAYER_FILE_VERSION, layerFilePath, partialFilePath, pieceRange, ShareError } from '#shares';
import { MemoryShare } from '#shares/testing';

import { expandLayer } from './expand-layer.js';

const HELD = { claimId: 'attempt', isHeld: () => Promise.resolve(true) };

const noise = (bytes: number, seed: string): Buffer => {
  const blocks: Buffer[] = [];
  for (let index = 0; index * 64 < bytes; index += 1) blocks.push(createHash('sha512').update(`${seed}${index}`).digest());
  return Buffer.concat(blocks).subarray(0, bytes);
};
const SMALL = tarOf(
  { name: './', type: '5', mode: 0o755 },
  { name: 'etc/', type: '5', mode: 0o755, uid: 1, gid: 2 },
  { name: 'etc/hosts', contents: '127.0.0.1 localhost\n', pax: { mtime: '1700000000.123456789', 'SCHILY.xattr.user.note': 'x' } },
  { name: 'etc/hosts-too', type: '1', linkName: 'etc/hosts' },
  { name: 'etc/link', type: '2', linkName: 'hosts' },
  { name: 'dev-null', type: '3', major: 1, minor: 3, mode: 0o666 },
  { name: '.wh.gone' },
);
const LARGE = tarOf({ name: 'a', contents: noise(9_000_000, 'a') }, { name: 'zeros', contents: Buffer.alloc(9_000_000) }, { name: 'b', contents: noise(5_000_000, 'b') });

const forms = (tar: Buffer): [string, LayerBytes][] => [
  ['plain', layerOf(tar)],
  ['gzip', layerOf(tar, gzipSync(tar))],
  ['gzip of several members', layerOf(tar, Buffer.concat([gzipSync(tar.subarray(0, 700)), gzipSync(Buffer.alloc(0)), gzipSync(tar.subarray(700))]))],
  ['zstd', layerOf(tar, zstdCompressSync(tar))],
  ['zstd of several frames', layerOf(tar, Buffer.concat([
    Buffer.from([0x5e, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]), zstdCompressSync(tar.subarray(0, 700)), Buffer.from([0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0]),
    zstdCompressSync(Buffer.alloc(0)), zstdCompressSync(tar.subarray(700)), Buffer.from([0x51, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 9]),
  ]))],
];

describe('expandLayer', () => {
  it.each(forms(SMALL))('gives the golden bytes for a small layer stored as %s', async (_, layer) => {
    for (const chunkBytes of [1, 7, 100_000]) {
      const { expanded } = await expandBytes(layer, { chunkBytes });
      expect(expanded).toMatchObject({
        digest: layer.layer.digest,
        diffId: layer.diffId,
        writerVersion: LAYER_FILE_VERSION,
        vhd: { digest: 'sha256:e5a7463d5950fc0caff50db757081b37aa28f3f0d8dab7618f2a5cafd0b00bbf', sizeBytes: 20_992 },
        verity: { rootHash: 'bd3fe8b76c0559484244243a6e231e83f6ec64047d7d65a724514bf21f259755', hashOffset: 12_288 },
        entryCount: 6,
      });
    }
  });

  it.each(forms(LARGE))('records every piece of a large layer stored as %s, and writes no zeros', async (_, layer) => {
    const { expanded, share } = await expandBytes(layer);
    const file = await readExpanded(share, expanded);
    expect(`sha256:${createHash('sha256').update(file).digest('hex')}`).toBe(expanded.vhd.digest);
    expect(expanded.pieceCrc64s).toEqual(expanded.pieceCrc64s.map((_crc, index) => {
      const { offset, length } = pieceRange(index, file.length);
      const piece = file.subarray(offset, offset + length);
      return piece.every((byte) => byte === 0) ? null : crc64Of(piece);
    }));
    expect(expanded.pieceCrc64s.filter((crc) => crc === null)).toHaveLength(1);
    expect(share.traffic.writtenBytes).toBe(expanded.dataBytes);
    expect(expanded.dataBytes).toBeLessThan(14_300_000);
    expect(file.length).toBeGreaterThan(23_000_000);
  });

  it('ends the file with the footer of a fixed VHD over all blocks before it', async () => {
    const { expanded, share } = await expandBytes(layerOf(SMALL));
    const footer = (await readExpanded(share, expanded)).subarray(-512);
    expect(footer.toString('latin1', 0, 8)).toBe('conectix');
    expect(footer.readBigUInt64BE(48)).toBe(BigInt(expanded.vhd.sizeBytes - 512));
    expect(footer.readUInt32BE(60)).toBe(2);
    const sum = footer.reduce((total, byte, at) => (at >= 64 && at < 68 ? total : total + byte), 0);
    expect(footer.readUInt32BE(64)).toBe(~sum >>> 0);
  });

  it('expands a layer without entries', async () => {
    const { expanded } = await expandBytes(layerOf(Buffer.alloc(1024)));
    expect(expanded.entryCount).toBe(0);
    expect((await expandBytes(layerOf(Buffer.alloc(0)))).expanded.entryCount).toBe(0);
  });

  it('says on the file what it is, and leaves nothing under the partial name', async () => {
    const { expanded, share } = await expandBytes(layerOf(SMALL));
    expect(share.paths).toEqual([layerFilePath(expanded.digest, expanded.writerVersion)]);
    expect((await share.stat(layerFilePath(expanded.digest, expanded.writerVersion)))?.metadata).toEqual({
      layer_digest: expanded.digest, diff_id: expanded.diffId, vhd_digest: expanded.vhd.digest, writer_version: String(LAYER_FILE_VERSION),
    });
  });

  it('counts the bytes of the blob, not of the tar', async () => {
    const { layer, blob } = layerOf(LARGE, gzipSync(LARGE));
    const seen: number[] = [];
    const share = new MemoryShare({ name: 'home' });
    await expandLayer({ ...HELD, layer, blob: chunked(blob, 1_000_000), share, signal: new AbortController().signal, onProgress: (bytes) => seen.push(bytes) });
    expect(seen.at(-1)).toBe(blob.length);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
  });

  it('removes what earlier attempts left, but nothing of a copy or of another layer', async () => {
    const share = new MemoryShare({ name: 'home' });
    const { layer, blob } = layerOf(LARGE);
    const others = [partialFilePath(layer.digest, 'copy.0123456789abcdef.claim'), expansionPartialPath(layerOf(SMALL).layer.digest, 'other'), '.partial/notes.txt'];
    for (const path of [expansionPartialPath(layer.digest, 'first'), expansionPartialPath(layer.digest, 'second'), ...others]) await share.createFile(path, 40_000_000);
    const { expanded } = await expandBytes({ layer, blob }, { share });
    expect(expanded).toEqual((await expandBytes({ layer, blob })).expanded);
    expect(share.paths).toEqual([...others, layerFilePath(layer.digest, LAYER_FILE_VERSION)].toSorted());
    expect(await expandBytes({ layer, blob }, { share })).toMatchObject({ expanded });
  });

  it.each([0, 1, SMALL.length - 1, SMALL.length + 1, 2 ** 45])('gives the same when an image claims that the blob has %i bytes', async (sizeBytes) => {
    const { layer, blob, diffId } = layerOf(SMALL);
    const { expanded, share } = await expandBytes({ layer: { ...layer, sizeBytes }, blob });
    expect(expanded).toEqual((await expandBytes({ layer, blob })).expanded);
    expect(expanded.diffId).toBe(diffId);
    expect(share.calls.flatMap((call) => (call.operation === 'createFile' ? [call.path] : []))).toHaveLength(1);
  });
});

const GZIPPED = gzipSync(SMALL);
const ZSTD = zstdCompressSync(SMALL);
const changed = (bytes: Buffer, at: number): Buffer => {
  const copy = Buffer.from(bytes);
  copy[at]! ^= 1;
  return copy;
};

describe('expandLayer, refusing', () => {
  it.each<[string, string, LayerBytes, object?]>([
    ['what is no tar', 'TAR_INVALID', layerOf(noise(10_000, 'no tar'))],
    ['a layer of a Windows image', 'LAYER_UNSUPPORTED', layerOf(tarOf({ name: 'Files/', type: '5', pax: { 'MSWINDOWS.fileattr': '16' } }))],
    ['a blob of another digest', 'DIGEST_MISMATCH', { ...layerOf(SMALL), blob: changed(SMALL, 512 + 124) }],
    ['a blob that is longer than it says', 'DIGEST_MISMATCH', { ...layerOf(SMALL), blob: Buffer.concat([SMALL, Buffer.alloc(1)]) }],
    ['a gzip blob that changed on the way', 'DIGEST_MISMATCH', { ...layerOf(SMALL, GZIPPED), blob: changed(GZIPPED, 40) }],
    ['what only begins as gzip', 'COMPRESSION_INVALID', layerOf(SMALL, Buffer.concat([GZIPPED.subarray(0, 10), SMALL]))],
    ['gzip cut short', 'COMPRESSION_INVALID', layerOf(SMALL, GZIPPED.subarray(0, -20))],
    ['garbage behind gzip', 'COMPRESSION_INVALID', layerOf(SMALL, Buffer.concat([GZIPPED, Buffer.from('garbage')]))],
    ['what only begins as zstd', 'COMPRESSION_INVALID', layerOf(SMALL, Buffer.concat([ZSTD.subarray(0, 4), SMALL]))],
    ['zstd cut short', 'COMPRESSION_INVALID', layerOf(SMALL, ZSTD.subarray(0, -3))],
    ['garbage behind zstd', 'COMPRESSION_INVALID', layerOf(SMALL, Buffer.concat([ZSTD, Buffer.from('garbage')]))],
    ['a tar cut short', 'TAR_INVALID', layerOf(LARGE.subarray(0, 5_000_000))],
    ['a hard link to a lower layer', 'LINK_TARGET_MISSING', layerOf(tarOf({ name: 'a', type: '1', linkName: 'lower' }))],
    ['a name that leads out', 'TAR_INVALID', layerOf(tarOf({ name: 'a/../../b' }))],
    ['a whiteout of no name', 'TAR_INVALID', layerOf(tarOf({ name: 'a/.wh.' }))],
    ['a whiteout of ".."', 'TAR_INVALID', layerOf(tarOf({ name: 'a/.wh...' }))],
    ['a link without a target', 'TAR_INVALID', layerOf(tarOf({ name: 'a', type: '2' }))],
    ['a device that Linux cannot hold', 'TAR_INVALID', layerOf(tarOf({ name: 'a', type: '3', major: 4096 }))],
    ['attributes that Linux cannot hold', 'ENTRY_UNSUPPORTED', layerOf(tarOf({ name: 'a', pax: { [`SCHILY.xattr.user.${'n'.repeat(256)}`]: 'x' } }))],
    ['a decompression bomb', 'TOO_LARGE', layerOf(LARGE, gzipSync(LARGE)), { maxUncompressedBytes: 20_000_000 }],
    ['a blob beyond all measure', 'TOO_LARGE', layerOf(LARGE), { maxBlobBytes: 20_000_000 }],
    ['a bomb of holes', 'TOO_LARGE', layerOf(tarOf({ name: 'a', pax: { 'GNU.sparse.size': '9000000000000000', 'GNU.sparse.map': '9000000000000000,0' } }))],
    ['too many entries', 'TOO_LARGE', layerOf(SMALL), { maxEntries: 4 }],
  ])('%s says so, finally, and leaves no file', async (_, code, layer, limits = {}) => {
    const share = new MemoryShare({ name: 'home' });
    await expect(expandBytes(layer, { share, limits })).rejects.toMatchObject({ name: 'ExpansionError', code, transient: false });
    expect(share.paths).toEqual([]);
  });

  it('names a truncated blob transient', async () => {
    const layer = layerOf(SMALL, GZIPPED);
    await expect(expandBytes({ ...layer, blob: GZIPPED.subarray(0, 100) })).rejects.toMatchObject({ code: 'BLOB_TRUNCATED', transient: true });
  });

  it('drops attributes that steer overlayfs, and those of other namespaces', async () => {
    const pax = { 'SCHILY.xattr.trusted.overlay.redirect': '/etc', 'SCHILY.xattr.user.overlay.opaque': 'y', 'SCHILY.xattr.odd.name': 'z', 'SCHILY.xattr.user.kept': 'k' };
    const { expanded, share } = await expandBytes(layerOf(tarOf({ name: 'a', pax })));
    const file = (await readExpanded(share, expanded)).toString('latin1');
    expect(['overlay', 'odd', 'kept'].map((name) => file.includes(name))).toEqual([false, false, true]);
  });
});

describe('expandLayer, failing', () => {
  const layer = layerOf(LARGE);
  const final = layerFilePath(layer.layer.digest, LAYER_FILE_VERSION);

  it.each(['createFile', 'resizeFile', 'writeRange', 'dataRanges', 'readRange', 'setMetadata', 'rename', 'stat'] as const)(
    'passes an error of %s on, with nothing under the final name before the rename, and succeeds when tried again', async (operation) => {
      const share = new MemoryShare({ name: 'home' });
      share.failNext(operation, 'SHARE_BUSY');
      await expect(expandBytes(layer, { share })).rejects.toBeInstanceOf(ShareError);
      if (operation !== 'stat') expect(share.paths).not.toContain(final);
      const { expanded } = await expandBytes(layer, { share });
      expect(share.paths).toEqual([final]);
      expect(expanded).toEqual((await expandBytes(layer)).expanded);
    });

  it('notices that the share gave back other bytes', async () => {
    const share = new MemoryShare({ name: 'home' });
    let damaged = false;
    share.before = async ({ operation, path }) => {
      if (operation !== 'dataRanges' || damaged) return;
      damaged = true;
      await share.writeRange(path, 6_000_000, Buffer.from('damage'));
    };
    await expect(expandBytes(layer, { share })).rejects.toMatchObject({ code: 'READ_BACK_MISMATCH', transient: true, details: { piece: 1 } });
    expect(share.paths).not.toContain(final);
  });

  it('notices bytes where it left a hole', async () => {
    const share = new MemoryShare({ name: 'home' });
    let damaged = false;
    share.before = async ({ operation, path }) => {
      if (operation !== 'dataRanges' || damaged) return;
      damaged = true;
      await share.writeRange(path, 13_000_000, Buffer.from('damage'));
    };
    await expect(expandBytes(layer, { share })).rejects.toMatchObject({ code: 'READ_BACK_MISMATCH', transient: true });
  });

  it('leaves what it finds under the final name in place of its own file, and says so', async () => {
    const share = new MemoryShare({ name: 'home' });
    share.before = async ({ operation, path }) => {
      if (operation !== 'stat') return;
      share.before = () => {};
      await share.createFile(path, 7);
    };
    await expect(expandBytes(layer, { share })).rejects.toMatchObject({ code: 'READ_BACK_MISMATCH', transient: true });
    expect(await share.stat(final)).toMatchObject({ sizeBytes: 7 });
  });

  it('does not publish when its claim is lost by then, and leaves nothing', async () => {
    const share = new MemoryShare({ name: 'home' });
    const isHeld = (): Promise<boolean> => Promise.resolve(!share.calls.some((call) => call.operation === 'setMetadata'));
    await expect(expandBytes(layer, { share, isHeld })).rejects.toMatchObject({ code: 'CLAIM_LOST', transient: true });
    expect(share.paths).toEqual([]);
  });

  it('stops with the signal’s reason, closes the blob, and leaves nothing under the final name', async () => {
    const share = new MemoryShare({ name: 'home' });
    const controller = new AbortController();
    let closed = false;
    async function* slow(): AsyncGenerator<Uint8Array> {
      try {
        for await (const chunk of chunked(layer.blob, 1_000_000)) {
          if (share.calls.some((call) => call.operation === 'writeRange')) controller.abort(new Error('the lease ran out'));
          yield chunk;
        }
      } finally {
        closed = true;
      }
    }
    await expect(expandLayer({ ...HELD, layer: layer.layer, blob: slow(), share, signal: controller.signal })).rejects.toThrow('the lease ran out');
    expect(closed).toBe(true);
    expect(share.paths).toEqual([expansionPartialPath(layer.layer.digest, 'attempt')]);
  });

  it.each<[string, Buffer]>([
    ['nothing', Buffer.alloc(0)],
    ['nothing more of its tar', LARGE.subarray(0, 100_000)],
    ['nothing more of its gzip', gzipSync(LARGE).subarray(0, 100_000)],
    ['nothing more of its zstd', zstdCompressSync(LARGE).subarray(0, 100_000)],
  ])('stops also while a blob gives %s', async (_, start) => {
    let given = start.length === 0;
    const share = new MemoryShare({ name: 'home' });
    const controller = new AbortController();
    const silent: AsyncIterable<Uint8Array> = {
      [Symbol.asyncIterator]: () => ({
        next: () => {
          if (!given) {
            given = true;
            return Promise.resolve({ value: start });
          }
          queueMicrotask(() => controller.abort(new Error('the lease ran out')));
          return new Promise(() => {});
        },
        return: () => new Promise(() => {}),
      }),
    };
    await expect(expandLayer({ ...HELD, layer: layer.layer, blob: silent, share, signal: controller.signal })).rejects.toThrow('the lease ran out');
  });

  it('passes an error of the blob on as it is', async () => {
    async function* broken(start: Buffer): AsyncGenerator<Uint8Array> {
      yield start.subarray(0, 100_000);
      throw new Error('connection cut');
    }
    for (const blob of [LARGE, gzipSync(LARGE)]) {
      const share = new MemoryShare({ name: 'home' });
      const expansion = { ...HELD, layer: layer.layer, blob: broken(blob), share, signal: new AbortController().signal };
      await expect(expandLayer(expansion)).rejects.toThrow('connection cut');
      expect(share.paths).not.toContain(final);
    }
  });

  it('never has more than 64 MiB on the way, however slow the share', async () => {
    const share = new MemoryShare({ name: 'home' });
    let waiting = 0;
    let most = 0;
    let release: (() => void)[] = [];
    share.before = ({ operation }) => {
      if (operation !== 'writeRange') return;
      waiting += 1;
      most = Math.max(most, waiting);
      return new Promise<void>((resolve) => {
        release.push(() => { waiting -= 1; resolve(); });
        // One write at a time is let through, and only when nothing else can go on.
        setImmediate(() => setImmediate(() => release.shift()?.()));
      });
    };
    const tar = tarOf({ name: 'a', contents: Buffer.alloc(120_000_000, 'x') });
    const { expanded } = await expandBytes(layerOf(tar), { share, chunkBytes: 1_000_000 });
    release = [];
    expect(most * 4 * 2 ** 20).toBeLessThanOrEqual(64 * 2 ** 20);
    expect(expanded.pieceCrc64s).toHaveLength(29);
  });
});
