import { randomBytes } from 'node:crypto';

import { describe, expect, it } from 'vitest';

import { DiscardingTarget, expandStack, expandViewOf, readExpanded, tarOf, treeOfTar } from '#expansion/testing';
import { digestHex } from '#oci';
import { expansionPartialPath, LAYER_FILE_VERSION, layerFilePath, PIECE_BYTES } from '#shares';

import { BuiltTree } from './built-tree.js';
import { ErofsWriter } from './erofs-writer.js';
import { NO_XATTRS } from './erofs-xattrs.js';
import { expandView } from './expand-view.js';
import { DEFAULT_EXPANSION_LIMITS, MAX_VIEW_LAYERS } from './expansion-limits.js';
import { ROOT } from './filesystem-tree.js';
import { mergedViewDigest } from './merged-view-digest.js';
import { PieceStream } from './piece-stream.js';

const never = new AbortController().signal;
const LOWER = tarOf({ name: 'etc/', type: '5', mode: 0o755 }, { name: 'etc/passwd', contents: 'root' }, { name: 'etc/old', contents: 'o'.repeat(5000) });
const MIDDLE = tarOf({ name: 'etc/.wh.old' }, { name: 'bin/tool', contents: 't'.repeat(9000), pax: { 'SCHILY.xattr.user.note': 'x' } }, { name: 'bin/alias', type: '1', linkName: 'bin/tool' });
const UPPER = tarOf({ name: 'etc/passwd', contents: 'root\nuser' }, { name: 'empty' });
const STACK = [LOWER, MIDDLE, UPPER];

const viewOf = (layers: readonly { readonly digest: `sha256:${string}` }[]): `sha256:${string}` => mergedViewDigest(layers.map((layer) => layer.digest))!;

describe('expandView', () => {
  it('leaves a file under the digest of the view, of the same form as a layer’s', async () => {
    const stack = await expandStack(STACK);
    const view = await expandViewOf(stack);
    const path = layerFilePath(viewOf(stack.layers), LAYER_FILE_VERSION);
    expect(view).toMatchObject({ digest: viewOf(stack.layers), diffId: viewOf(stack.layers), writerVersion: LAYER_FILE_VERSION, entryCount: 6 });
    expect(view.pieceCrc64s).toHaveLength(1);
    expect(await stack.share.stat(path)).toMatchObject({
      sizeBytes: view.vhd.sizeBytes,
      metadata: { layer_digest: view.digest, diff_id: view.digest, vhd_digest: view.vhd.digest, writer_version: String(LAYER_FILE_VERSION) },
    });
    expect((await readExpanded(stack.share, view)).subarray(-512, -504).toString()).toBe('conectix');
    expect(view.verity!.hashOffset).toBeLessThan(view.vhd.sizeBytes);
    expect(stack.share.paths).toEqual([...stack.layers, view].map((file) => layerFilePath(file.digest, LAYER_FILE_VERSION)).toSorted());
  });

  it('gives these layers these bytes, at any time', async () => {
    const view = await expandViewOf(await expandStack(STACK));
    expect(view.vhd).toEqual({ digest: 'sha256:183d4ca96f7754df7c0435e6be1ba07b04f89175da0eaf267723253750d26134', sizeBytes: 20_992 });
    expect(await expandViewOf(await expandStack(STACK))).toEqual(view);
  });

  it('tells its devices by the digests of the layers, each once, in one address space behind its own blocks', async () => {
    const stack = await expandStack([...STACK, MIDDLE, LOWER]);
    const bytes = await readExpanded(stack.share, await expandViewOf(stack));
    const table = bytes.readUInt16LE(1024 + 88) * 128;
    expect(bytes.readUInt16LE(1024 + 86)).toBe(3);
    let next = bytes.readUInt32LE(1024 + 36);
    for (const [index, layer] of stack.layers.slice(0, 3).entries()) {
      const slot = bytes.subarray(table + index * 128, table + (index + 1) * 128);
      expect(slot.toString('latin1', 0, 64)).toBe(digestHex(layer.digest));
      expect(slot.readUInt32LE(64)).toBe(layer.verity!.hashOffset / 4096);
      expect(slot.readUInt32LE(68)).toBe(next);
      next += slot.readUInt32LE(64);
    }
  });

  it('reads of the layers little more than their names and attributes', async () => {
    const stack = await expandStack([tarOf({ name: 'large', contents: randomBytes(40_000_000) }), tarOf({ name: 'other', contents: randomBytes(40_000_000) })]);
    const before = stack.share.traffic.readBytes;
    const view = await expandViewOf(stack);
    expect(stack.share.traffic.readBytes - before).toBeLessThan(2 * (PIECE_BYTES + 4096) + view.vhd.sizeBytes + 4096);
    expect(view.vhd.sizeBytes).toBeLessThan(30_000);
  });

  it('makes the file anew over the remains of an attempt that was cut short', async () => {
    const stack = await expandStack(STACK);
    const view = await expandViewOf(await expandStack(STACK));
    await stack.share.createFile(expansionPartialPath(view.digest, 'first'), 40_000_000);
    expect(await expandViewOf(stack, { claimId: 'second' })).toEqual(view);
    expect(stack.share.paths).toHaveLength(4);
  });
});

describe('expandView, failing', () => {
  it('refuses layers that are not those of the view', async () => {
    const { share, layers } = await expandStack(STACK);
    const attempt = { share, claimId: 'attempt', isHeld: () => Promise.resolve(true), signal: never };
    await expect(expandView({ ...attempt, view: viewOf(layers), layers: layers.slice(1) })).rejects.toThrow(TypeError);
    await expect(expandView({ ...attempt, view: viewOf(layers), layers: layers.slice(2) })).rejects.toThrow(TypeError);
  });

  it('refuses layers whose files are of another version: their bytes are others, and so would the view’s be', async () => {
    const { share, layers: [lowest, ...above] } = await expandStack(STACK);
    const { verity: _none, ...old } = lowest!;
    const before = share.paths;
    await expect(expandViewOf({ share, layers: [{ ...old, writerVersion: 1 }, ...above] })).rejects.toThrow(/of version 1/);
    expect(share.paths).toEqual(before);
  });

  it('refuses views that pass a limit, and leaves nothing', async () => {
    const stack = await expandStack(STACK);
    const before = stack.share.paths;
    await expect(expandViewOf(stack, { limits: { maxEntries: 5 } })).rejects.toMatchObject({ code: 'TOO_LARGE', transient: false, details: { limit: 'maxEntries' } });
    await expect(expandViewOf(stack, { limits: { maxNameBytes: 20 } })).rejects.toMatchObject({ code: 'TOO_LARGE' });
    expect(stack.share.paths).toEqual(before);
  });

  it('refuses more layers than it has devices for', async () => {
    const { share, layers: [layer] } = await expandStack([LOWER]);
    const layers = Array.from({ length: MAX_VIEW_LAYERS + 1 }, (_, index) => ({ ...layer!, digest: `sha256:${String(index).padStart(64, '0')}` as const }));
    await expect(expandViewOf({ share, layers })).rejects.toMatchObject({ code: 'TOO_LARGE', details: { limit: 'MAX_VIEW_LAYERS' } });
  });

  it('names the layer whose file is not its record’s, and publishes nothing', async () => {
    const stack = await expandStack(STACK);
    const damaged = stack.layers[1]!;
    const bytes = await readExpanded(stack.share, damaged);
    bytes[damaged.verity!.hashOffset - 4096]! ^= 4;
    await stack.share.writeRange(layerFilePath(damaged.digest, LAYER_FILE_VERSION), 0, bytes);
    await expect(expandViewOf(stack)).rejects.toMatchObject({ code: 'LAYER_FILE_INVALID', transient: true, details: { layer: damaged.digest, field: 'piece 0' } });
    expect(await stack.share.stat(layerFilePath(viewOf(stack.layers), LAYER_FILE_VERSION))).toBeUndefined();
    await stack.share.remove(layerFilePath(damaged.digest, LAYER_FILE_VERSION));
    await expect(expandViewOf(stack)).rejects.toMatchObject({ code: 'LAYER_FILE_INVALID', details: { layer: damaged.digest, field: 'file' } });
  });

  it.each(['list', 'createFile', 'stat', 'readRange', 'writeRange', 'resizeFile', 'setMetadata', 'rename'] as const)(
    'passes an error of %s on, with nothing under the final name before the rename, and succeeds when tried again', async (operation) => {
      const stack = await expandStack(STACK);
      stack.share.failNext(operation, 'SHARE_BUSY');
      await expect(expandViewOf(stack, { claimId: 'first' })).rejects.toMatchObject({ code: 'SHARE_BUSY' });
      expect(await stack.share.stat(layerFilePath(viewOf(stack.layers), LAYER_FILE_VERSION))).toBeUndefined();
      expect(await expandViewOf(stack, { claimId: 'second' })).toEqual(await expandViewOf(await expandStack(STACK)));
      expect(stack.share.paths).toHaveLength(4);
    });

  it('publishes nothing when the claim is lost, and leaves no file', async () => {
    const stack = await expandStack(STACK);
    let asked = 0;
    await expect(expandViewOf(stack, { isHeld: () => Promise.resolve((asked += 1) < 1) })).rejects.toMatchObject({ code: 'CLAIM_LOST' });
    expect(stack.share.paths).toHaveLength(3);
  });

  it('ends with the reason of its signal, and is made by the next attempt', async () => {
    const stack = await expandStack(STACK);
    const stop = new AbortController();
    stack.share.before = ({ operation }) => {
      if (operation === 'readRange') stop.abort(new Error('stopping'));
    };
    await expect(expandViewOf(stack, { claimId: 'first', signal: stop.signal })).rejects.toThrow('stopping');
    stack.share.before = () => {};
    await expandViewOf(stack, { claimId: 'second' });
    expect(stack.share.paths).toHaveLength(4);
  });

  it('refuses layers with more blocks than can be addressed together', async () => {
    const finish = (blockCount: number): Promise<unknown> => {
      const devices = [{ tag: 'a'.repeat(64), blockCount: 2 ** 31 }, { tag: 'b'.repeat(64), blockCount }];
      return new ErofsWriter(new PieceStream(new DiscardingTarget())).finish(treeOfTar(LOWER), devices);
    };
    await expect(finish(2 ** 31)).rejects.toMatchObject({ code: 'TOO_LARGE', details: { limit: 'MAX_BLOCKS' } });
    await expect(finish(2 ** 31 - 4)).resolves.toMatchObject({ superblock: { blockCount: 3, devices: { count: 2, tableBlock: 1 } } });
  });

  it('refuses views of more bytes than nodes would fetch, before it writes any', async () => {
    const attributes = { mode: 0o040755, uid: 0, gid: 0, mtimeSeconds: 0, mtimeNanoseconds: 0, xattrs: NO_XATTRS };
    const written = async (links: number): Promise<number> => {
      const tree = new BuiltTree(DEFAULT_EXPANSION_LIMITS, attributes);
      // Each takes a block.
      for (let index = 0; index < links; index += 1) tree.setName(ROOT, `link-${index}`, tree.add(ROOT, { ...attributes, mode: 0o120777 }, { target: 't'.repeat(4095) }));
      const pieces = new PieceStream(new DiscardingTarget());
      const begun = pieces.position;
      const devices = [{ tag: 'a'.repeat(64), blockCount: 1 }, { tag: 'b'.repeat(64), blockCount: 1 }];
      const failure = await new ErofsWriter(pieces).finish(tree, devices).then(() => undefined, (error: unknown) => error);
      if (failure !== undefined) expect(failure).toMatchObject({ code: 'TOO_LARGE', transient: false, details: { limit: 'MAX_VIEW_BYTES', max: 64 * 2 ** 20 } });
      return pieces.position - begun;
    };
    expect(await written(16_000)).toBeGreaterThan(63 * 2 ** 20);
    expect(await written(16_300)).toBe(4096);
  });
});
