import { execFile } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import {
  arbitraryLayer, canMountThroughFiles, canMountViews, compareTrees, describeTree, differencesFromOverlay, expandStack, expandViewOf, hasProgram, mountLayer, mountView, type RawTarEntry,
  readExpanded, saveExpanded, tarOf, temporaryFolder, treeOfTar, withMountedStack,
} from '#expansion/testing';

import { FILE_TYPE, FILE_TYPE_MASK } from './erofs-structures.js';
import { DEFAULT_EXPANSION_LIMITS } from './expansion-limits.js';
import { stackTrees } from './stack-trees.js';

const run = promisify(execFile);
const DEB_FOLDER = '/var/cache/apt/archives';
const MAX_DEB_BYTES = 1_000_000;
const PACKAGE_COUNT = 16;
/** What stands on top of the packages, twice over. */
const CHANGES = ['overwrite', 'whiteOut', 'makeOpaque', 'directoriesToFiles', 'filesToDirectories', 'rewriteAttributes'] as const;

function packages(): string[] {
  try {
    const all = readdirSync(DEB_FOLDER).filter((name) => name.endsWith('.deb')).sort();
    return all.filter((name) => statSync(`${DEB_FOLDER}/${name}`).size <= MAX_DEB_BYTES).slice(0, PACKAGE_COUNT);
  } catch {
    return [];
  }
}

async function dataOf(deb: string): Promise<Buffer> {
  const { stdout } = await run('dpkg-deb', ['--fsys-tarfile', `${DEB_FOLDER}/${deb}`], { encoding: 'buffer', maxBuffer: 256 * 2 ** 20 });
  return stdout;
}

/** A layer that changes what the layers below it show, in one way, at places that follow from `seed`. */
async function changing(below: readonly Buffer[], how: (typeof CHANGES)[number], seed: number): Promise<Buffer> {
  const shown = describeTree(await stackTrees(below.map((tar) => ({ tree: treeOfTar(tar), firstBlock: 0 })), DEFAULT_EXPANSION_LIMITS));
  const ofType = (type: number): string[] => [...shown].filter(([path, { mode }]) => path !== '' && path.length < 80 && (mode & FILE_TYPE_MASK) === type).map(([path]) => path);
  const some = (paths: readonly string[], every: number): string[] => paths.filter((_, index) => index % every === seed % every);
  const files = ofType(FILE_TYPE.regular);
  // None within another, and none that holds half of everything.
  const folders = ofType(FILE_TYPE.directory).filter((path) => path.split('/').length > 3).filter((path, _, all) => !all.some((other) => path.startsWith(`${other}/`)));
  const split = (path: string): readonly [folder: string, name: string] => [path.slice(0, path.lastIndexOf('/') + 1), path.slice(path.lastIndexOf('/') + 1)];
  switch (how) {
    case 'overwrite':
      return tarOf(...some(files, 5).flatMap((name, index): RawTarEntry[] => [
        { name, contents: `${seed} `.repeat(index * 7), mode: 0o4755, uid: index, mtime: seed + index },
        { name: `${name}.hard`, type: '1', linkName: name },
        { name: `linked/${index}\xff`, type: '1', linkName: name },
        { name: `linked/device-${index}`, type: '4', major: 7, minor: index * 100 },
      ]), { name: 'linked/zeros', contents: Buffer.alloc(100_000) });
    case 'whiteOut':
      return tarOf(...[...some(files, 6), ...some(ofType(FILE_TYPE.symlink), 3), ...some(folders, 7)].map((path) => ({ name: split(path).join('.wh.') })), { name: 'linked/.wh.0\xff' });
    case 'makeOpaque':
      return tarOf(...some(folders, 4).flatMap((path): RawTarEntry[] => [{ name: `${path}/.wh..wh..opq` }, { name: `${path}/new-${seed}`, contents: 'new' }]));
    case 'directoriesToFiles':
      return tarOf(...some(folders, 6).map((name): RawTarEntry => ({ name, contents: 'no longer a directory' })));
    case 'filesToDirectories':
      return tarOf(...some(files, 8).flatMap((path): RawTarEntry[] => [{ name: `${path}/`, type: '5', mode: 0o711 }, { name: `${path}/in-${seed}`, contents: 'in', type: seed % 2 === 0 ? '0' : '6' }]));
    case 'rewriteAttributes':
      return tarOf(
        ...some(ofType(FILE_TYPE.directory).filter((path) => !/[\x80-\xff]/.test(path)), 3).map((path): RawTarEntry => ({ name: `${path}/`, type: '5', mode: 0o1700 + (seed % 8), uid: seed, pax: { 'SCHILY.xattr.trusted.seed': String(seed) } })),
        ...some(files, 9).map((name): RawTarEntry => ({ name, contents: 'labelled', pax: { 'SCHILY.xattr.security.label': 'l'.repeat(40), 'SCHILY.xattr.user.large': 'v'.repeat(3000) } })),
      );
  }
}

describe.skipIf(!canMountViews())('a merged view, mounted', () => {
  it('equals the overlay of a few layers that do everything to each other', async () => {
    const stack = await expandStack([
      tarOf({ name: 'a', contents: 'A'.repeat(5000) }, { name: 'd/', type: '5', mode: 0o700, uid: 3 }, { name: 'd/x', contents: 'dx' }, { name: 'd/y', type: '2', linkName: 'to' }, { name: 'f/g/h', contents: 'deep' }),
      tarOf({ name: 'b', contents: 'B' }, { name: 'c', type: '1', linkName: 'b' }, { name: 'd/.wh.x' }, { name: 'd/z', contents: 'z'.repeat(100_000), pax: { 'SCHILY.xattr.trusted.k': 'v' } }, { name: 'f', contents: 'file' }),
      tarOf({ name: 'e' }, { name: '.wh.c' }, { name: 'zeros', contents: Buffer.alloc(8192), pax: { 'SCHILY.xattr.trusted.k': 'v' } }, { name: 'f/new', contents: 'new' }, { name: 'only/.wh.nothing' }),
    ]);
    expect(await differencesFromOverlay(stack)).toEqual([]);
  });

  it('equals the overlay also on one device that holds the view and the layers in a row', async () => {
    const stack = await expandStack([tarOf({ name: 'low', contents: 'l'.repeat(9000) }, { name: 'both', contents: 'lower' }), tarOf({ name: 'up', contents: 'u'.repeat(70_000) }, { name: 'both', contents: 'upper' })]);
    expect(await withMountedStack(stack, async ({ overlay, folder, view }) => {
      const filesystems = await Promise.all([view, ...stack.layers].map(async (file) => (await readExpanded(stack.share, file)).subarray(0, file.verity!.hashOffset)));
      await writeFile(`${folder}/row`, Buffer.concat(filesystems));
      await mkdir(`${folder}/one`);
      await using _one = await mountLayer(`${folder}/row`, `${folder}/one`);
      return await compareTrees(`${folder}/one`, overlay);
    })).toEqual([]);
  });

  it('has more devices than mount(2) has room for', { timeout: 120_000 }, async () => {
    const stack = await expandStack(Array.from({ length: 130 }, (_, index) => tarOf({ name: `file-${index}`, contents: `contents ${index}` }, { name: 'all', contents: `${index}` })));
    await using folder = await temporaryFolder();
    const view = await expandViewOf(stack);
    await saveExpanded(stack.share, view, `${folder.path}/view`);
    const devices = stack.layers.map((_, index) => `${folder.path}/${'long'.repeat(20)}-${index}`);
    for (const [index, layer] of stack.layers.entries()) await saveExpanded(stack.share, layer, devices[index]!);
    await mkdir(`${folder.path}/mounted`);
    await using _view = await mountView({ file: `${folder.path}/view`, devices, through: canMountThroughFiles() ? 'files' : 'loops' }, `${folder.path}/mounted`);
    const names = await readdir(`${folder.path}/mounted`);
    expect(names).toHaveLength(131);
    for (const name of names) expect(await readFile(`${folder.path}/mounted/${name}`, 'utf8')).toBe(name === 'all' ? '129' : name.replace('file-', 'contents '));
  });

  it('equals the overlay of any layers', { timeout: 300_000 }, async () => {
    await fc.assert(fc.asyncProperty(fc.array(arbitraryLayer, { minLength: 2, maxLength: 5 }), async (tars) => {
      const stack = await expandStack(tars);
      if (new Set(stack.layers.map((layer) => layer.digest)).size < 2) return;
      expect(await differencesFromOverlay(stack)).toEqual([]);
    }), { numRuns: 12 });
  });

  it.skipIf(packages().length < PACKAGE_COUNT || !hasProgram('dpkg-deb'))('equals the overlay of an image of 29 layers of packages and changes to them', { timeout: 300_000 }, async () => {
    const tars = await Promise.all(packages().map(dataOf));
    for (const [seed, how] of [...CHANGES, ...CHANGES].entries()) tars.push(await changing(tars, how, seed));
    tars.push(tars[3]!);
    expect(tars).toHaveLength(29);
    expect(await differencesFromOverlay(await expandStack(tars))).toEqual([]);
  });
});
