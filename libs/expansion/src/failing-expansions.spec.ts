import { gzipSync, zstdCompressSync } from 'node:zlib';

import { describe, expect, it } from 'vitest';

import { chunked, expandBytes, LARGE_TAR, layerOf, tarOf } from '#expansion/testing';
import { expansionPartialPath, LAYER_FILE_VERSION, layerFilePath, ShareError } from '#shares';
import { MemoryShare } from '#shares/testing';

import { expandLayer } from './expand-layer.js';

const HELD = { claimId: 'attempt', isHeld: () => Promise.resolve(true) };

describe('expandLayer, failing', () => {
  const layer = layerOf(LARGE_TAR);
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
    ['nothing more of its tar', LARGE_TAR.subarray(0, 100_000)],
    ['nothing more of its gzip', gzipSync(LARGE_TAR).subarray(0, 100_000)],
    ['nothing more of its zstd', zstdCompressSync(LARGE_TAR).subarray(0, 100_000)],
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
    for (const blob of [LARGE_TAR, gzipSync(LARGE_TAR)]) {
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
