import { createHash } from 'node:crypto';
import { gzipSync, zstdCompressSync } from 'node:zlib';

import { describe, expect, it } from 'vitest';

import { chunked, expandBytes, LARGE_TAR, type LayerBytes, layerOf, readExpanded, SMALL_TAR } from '#expansion/testing';
import type { Digest } from '#oci';
import { crc64Of, expansionPartialPath, LAYER_FILE_VERSION, layerFilePath, partialFilePath, pieceRange } from '#shares';
import { MemoryShare } from '#shares/testing';

import { expandLayer } from './expand-layer.js';

const HELD = { claimId: 'attempt', isHeld: () => Promise.resolve(true) };

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
  it.each(forms(SMALL_TAR))('gives the golden bytes for a small layer stored as %s', async (_, layer) => {
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

  it.each(forms(LARGE_TAR))('records every piece of a large layer stored as %s, and writes no zeros', async (_, layer) => {
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
    const { expanded, share } = await expandBytes(layerOf(SMALL_TAR));
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
    const { expanded, share } = await expandBytes(layerOf(SMALL_TAR));
    expect(share.paths).toEqual([layerFilePath(expanded.digest, expanded.writerVersion)]);
    expect((await share.stat(layerFilePath(expanded.digest, expanded.writerVersion)))?.metadata).toEqual({
      layer_digest: expanded.digest, diff_id: expanded.diffId, vhd_digest: expanded.vhd.digest, writer_version: String(LAYER_FILE_VERSION),
    });
  });

  it('gives no file its name that is not the expected one, and leaves nothing of it', async () => {
    const { layer, blob } = layerOf(SMALL_TAR);
    const { expanded } = await expandBytes({ layer, blob });
    const share = new MemoryShare({ name: 'east' });
    const expand = (expectedVhd: Digest) => expandLayer({ layer, blob: chunked(blob, 1000), share, ...HELD, signal: new AbortController().signal, expectedVhd });
    await expect(expand(layer.digest)).rejects.toMatchObject({ code: 'OTHER_FILE', transient: false, details: { expected: layer.digest, actual: expanded.vhd.digest } });
    expect(share.paths).toEqual([]);
    expect(await expand(expanded.vhd.digest)).toEqual(expanded);
  });

  it('counts the bytes of the blob, not of the tar', async () => {
    const { layer, blob } = layerOf(LARGE_TAR, gzipSync(LARGE_TAR));
    const seen: number[] = [];
    const share = new MemoryShare({ name: 'home' });
    await expandLayer({ ...HELD, layer, blob: chunked(blob, 1_000_000), share, signal: new AbortController().signal, onProgress: (bytes) => seen.push(bytes) });
    expect(seen.at(-1)).toBe(blob.length);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
  });

  it('removes what earlier attempts left, but nothing of a copy or of another layer', async () => {
    const share = new MemoryShare({ name: 'home' });
    const { layer, blob } = layerOf(LARGE_TAR);
    const others = [partialFilePath(layer.digest, 'copy.0123456789abcdef.claim'), expansionPartialPath(layerOf(SMALL_TAR).layer.digest, 'other'), '.partial/notes.txt'];
    for (const path of [expansionPartialPath(layer.digest, 'first'), expansionPartialPath(layer.digest, 'second'), ...others]) await share.createFile(path, 40_000_000);
    const { expanded } = await expandBytes({ layer, blob }, { share });
    expect(expanded).toEqual((await expandBytes({ layer, blob })).expanded);
    expect(share.paths).toEqual([...others, layerFilePath(layer.digest, LAYER_FILE_VERSION)].toSorted());
    expect(await expandBytes({ layer, blob }, { share })).toMatchObject({ expanded });
  });

  it.each([0, 1, SMALL_TAR.length - 1, SMALL_TAR.length + 1, 2 ** 45])('gives the same when an image claims that the blob has %i bytes', async (sizeBytes) => {
    const { layer, blob, diffId } = layerOf(SMALL_TAR);
    const { expanded, share } = await expandBytes({ layer: { ...layer, sizeBytes }, blob });
    expect(expanded).toEqual((await expandBytes({ layer, blob })).expanded);
    expect(expanded.diffId).toBe(diffId);
    expect(share.calls.flatMap((call) => (call.operation === 'createFile' ? [call.path] : []))).toHaveLength(1);
  });
});
