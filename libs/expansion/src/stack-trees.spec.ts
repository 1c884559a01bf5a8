import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { arbitraryLayer, type DescribedEntry, describeNames, describeTree, type RawTarEntry, tarOf, treeOfTar } from '#expansion/testing';

import { DEFAULT_EXPANSION_LIMITS } from './expansion-limits.js';
import type { FilesystemTree } from './filesystem-tree.js';
import { stackTrees } from './stack-trees.js';

/** Far enough apart that addresses tell their layer. */
const LAYER_BLOCKS = 1_000_000;
const DIRECTORY = 0o040000;
const TYPE = 0o170000;
const dir = (name: string, mode = 0o755): RawTarEntry => ({ name: `${name}/`, type: '5', mode });

async function stack(layers: readonly Buffer[]): Promise<Map<string, DescribedEntry>> {
  return describeTree(await stackOf(layers.map(treeOfTar)));
}

function stackOf(trees: readonly FilesystemTree[]): Promise<FilesystemTree> {
  const distinct = [...new Set(trees)];
  return stackTrees(trees.map((tree) => ({ tree, firstBlock: distinct.indexOf(tree) * LAYER_BLOCKS })), DEFAULT_EXPANSION_LIMITS);
}

/** The names of a stack of entries, the lowest layer first. */
async function names(...layers: readonly (readonly RawTarEntry[])[]): Promise<string[]> {
  return [...(await stack(layers.map((entries) => tarOf(...entries)))).keys()].filter((name) => name !== '').sort();
}

/** The same the other way round, by paths: each layer in its turn hides, removes and adds. */
function naiveStack(trees: readonly FilesystemTree[]): Map<string, DescribedEntry> {
  const distinct = [...new Set(trees)];
  const shown = new Map<string, DescribedEntry>();
  const removeBelow = (path: string): void => {
    for (const name of shown.keys()) if (path === '' ? name !== '' : name.startsWith(`${path}/`)) shown.delete(name);
  };
  for (const tree of trees) {
    const number = distinct.indexOf(tree);
    for (const [path, entry] of describeTree(tree)) {
      const isDirectory = (entry.mode & TYPE) === DIRECTORY;
      if (entry.isOpaque || !isDirectory || (shown.get(path)?.mode ?? 0) >> 12 !== DIRECTORY >> 12) removeBelow(path);
      shown.delete(path);
      const isPlaced = (entry.mode & TYPE) === 0o100000 && entry.sizeBytes > 0;
      const blockOrDevice = entry.blockOrDevice + (isPlaced ? number * LAYER_BLOCKS : 0);
      if (!entry.isWhiteout) shown.set(path, { ...entry, isOpaque: false, blockOrDevice, inode: number * LAYER_BLOCKS + entry.inode });
    }
  }
  return shown;
}

describe('stackTrees', () => {
  it('shows of two files of one name the upper', async () => {
    const shown = await stack([tarOf({ name: 'a', contents: 'low' }), tarOf({ name: 'a', contents: 'higher', uid: 7 })]);
    expect(shown.get('a')).toMatchObject({ sizeBytes: 6, uid: 7, blockOrDevice: LAYER_BLOCKS + 1 });
  });

  it('merges directories, with the attributes of the topmost layer that has them', async () => {
    const shown = await stack([
      tarOf(dir('d', 0o700), { name: 'd/low' }),
      tarOf({ ...dir('d', 0o711), uid: 5, pax: { 'SCHILY.xattr.user.of': 'middle' } }, { name: 'd/middle' }),
      tarOf({ name: 'elsewhere' }),
    ]);
    expect([...shown.keys()].sort()).toEqual(['', 'd', 'd/low', 'd/middle', 'elsewhere']);
    expect(shown.get('d')).toMatchObject({ mode: DIRECTORY | 0o711, uid: 5, xattrs: [expect.stringContaining('middle')] });
  });

  it('hides what a whiteout names, and shows no whiteout, also where nothing is below', async () => {
    expect(await names([{ name: 'a' }, { name: 'd/x' }, { name: 'b' }], [{ name: '.wh.a' }, { name: '.wh.d' }, { name: '.wh.nothing' }])).toEqual(['b']);
  });

  it('shows again what comes back above a whiteout, and nothing from below it', async () => {
    expect(await names([{ name: 'd/old' }], [{ name: '.wh.d' }], [{ name: 'd/new' }])).toEqual(['d', 'd/new']);
  });

  it('shows nothing of the layers below an opaque directory, but of those above', async () => {
    expect(await names([{ name: 'd/old' }, { name: 'd/sub/old' }], [{ name: 'd/.wh..wh..opq' }, { name: 'd/sub/own' }], [{ name: 'd/new' }]))
      .toEqual(['d', 'd/new', 'd/sub', 'd/sub/own']);
  });

  it('sees through no file: a directory above it shows nothing of a directory below it', async () => {
    expect(await names([{ name: 'd/lowest' }], [{ name: 'd' }], [{ name: 'd/top' }])).toEqual(['d', 'd/top']);
    expect(await names([{ name: 'd/lowest' }], [{ name: 'd' }])).toEqual(['d']);
  });

  it('keeps the names of one file together, as many as are left', async () => {
    const shown = await stack([tarOf({ name: 'a', contents: 'x' }, { name: 'b', type: '1', linkName: 'a' }, { name: 'd/c', type: '1', linkName: 'a' }), tarOf({ name: '.wh.a' })]);
    expect([...shown.keys()].sort()).toEqual(['', 'b', 'd', 'd/c']);
    expect(shown.get('d/c')!.inode).toBe(shown.get('b')!.inode);
  });

  it('lets an opaque root hide everything below', async () => {
    expect(await names([{ name: 'a' }], [{ name: '.wh..wh..opq' }, { name: 'b' }])).toEqual(['b']);
  });

  it('gives empty files no address, and files of nothing but zeros theirs', async () => {
    const shown = await stack([tarOf({ name: 'empty' }), tarOf({ name: 'zeros', contents: Buffer.alloc(9000) })]);
    expect(shown.get('empty')).toMatchObject({ sizeBytes: 0, blockOrDevice: 0 });
    expect(shown.get('zeros')).toMatchObject({ sizeBytes: 9000, blockOrDevice: LAYER_BLOCKS + 1 });
  });

  it('keeps attributes once that several files have', async () => {
    const pax = { 'SCHILY.xattr.security.selinux': 'system_u:object_r:container_file_t:s0' };
    const tree = await stackOf([treeOfTar(tarOf({ name: 'a', pax }, { name: 'only', pax: { ...pax, 'SCHILY.xattr.user.own': 'once' } })), treeOfTar(tarOf({ name: 'b', pax }))]);
    const { children } = tree.directory(0)!;
    expect(['a', 'b', 'only'].map((name) => tree.inodes.xattrs(children.get(name)!).entries.map((entry) => entry.shared))).toEqual([[true], [true], [true, false]]);
    expect(['a', 'b', 'only'].map((name) => tree.inodes.xattrs(children.get(name)!).inlineBytes)).toEqual([16, 16, 28]);
  });

  it('refuses more names than a limit, counted over what is shown', async () => {
    const layers = [tarOf({ name: 'a' }, { name: 'b' }), tarOf({ name: 'c' }, { name: 'a' })].map((tar) => ({ tree: treeOfTar(tar), firstBlock: 0 }));
    await expect(stackTrees(layers, { maxEntries: 2, maxNameBytes: 1000 })).rejects.toThrow(expect.objectContaining({ code: 'TOO_LARGE', details: { limit: 'maxEntries', max: 2 } }));
    await expect(stackTrees(layers, { maxEntries: 3, maxNameBytes: 2 })).rejects.toThrow(expect.objectContaining({ code: 'TOO_LARGE' }));
    expect(describeTree(await stackTrees(layers, { maxEntries: 3, maxNameBytes: 3 })).size).toBe(4);
  });

  it('refuses more whiteouts than names are allowed', async () => {
    const layers = [tarOf({ name: 'a' }), tarOf({ name: '.wh.b' }, { name: '.wh.c' })].map((tar) => ({ tree: treeOfTar(tar), firstBlock: 0 }));
    await expect(stackTrees(layers, { maxEntries: 1, maxNameBytes: 1000 })).rejects.toThrow(expect.objectContaining({ code: 'TOO_LARGE' }));
  });

  it('equals applying one layer after the other, for any layers, also repeated ones', async () => {
    const order = fc.array(fc.nat(), { minLength: 1, maxLength: 7 });
    await fc.assert(fc.asyncProperty(fc.array(arbitraryLayer, { minLength: 1, maxLength: 5 }), order, async (tars, picks) => {
      const distinct = tars.map(treeOfTar);
      const trees = picks.map((pick) => distinct[pick % distinct.length]!);
      expect(describeNames(describeTree(await stackOf(trees)))).toEqual(describeNames(naiveStack(trees)));
    }), { numRuns: 500 });
  });
});
