import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, utimes, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';

import { compareTrees } from './compare-trees.js';
import { expandBytes, type ExpandBytesOptions, layerOf, saveExpanded } from './expand-bytes.js';
import { checkErofs, extractTar, hasProgram, mountLayer, temporaryFolder } from './mounted-layer.js';

const run = promisify(execFile);
/** A filesystem in memory: it holds times and attributes that those on disks cannot. */
const MEMORY_FOLDER = '/dev/shm';

/** What {@link differencesFromTar} and {@link withMountedLayer} take besides the tar. */
export interface MountedComparison {
  /** The stored form; by default the tar itself. */
  readonly blob?: Uint8Array;
  /** Paths whose modification time GNU tar makes up. */
  readonly anyTime?: readonly string[];
  readonly expansion?: ExpandBytesOptions;
}

/** Expands a tar, checks it with `fsck.erofs` where there is one, and gives the folder where the kernel has mounted it, for as long as `use` runs. */
export async function withMountedLayer<Result>(tar: Uint8Array, comparison: MountedComparison, use: (mounted: string, folder: string) => Promise<Result>): Promise<Result> {
  await using folder = await temporaryFolder(existsSync(MEMORY_FOLDER) ? MEMORY_FOLDER : undefined);
  const { expanded, share } = await expandBytes(layerOf(tar, comparison.blob ?? tar), comparison.expansion);
  const file = `${folder.path}/layer.vhd`;
  const mounted = `${folder.path}/mounted`;
  await saveExpanded(share, expanded, file);
  if (hasProgram('fsck.erofs')) {
    const complaints = await checkErofs(file);
    if (complaints !== '') throw new Error(`fsck.erofs: ${complaints}`);
  }
  await mkdir(mounted);
  await using _mount = await mountLayer(file, mounted);
  return await use(mounted, folder.path);
}

/**
 * The differences between the kernel's mount of an expanded tar and GNU tar's extraction of it, one line each. A root that the tar does not list has the
 * times that a layer gives it: none.
 */
export async function differencesFromTar(tar: Uint8Array, comparison: MountedComparison = {}): Promise<string[]> {
  return withMountedLayer(tar, comparison, async (mounted, folder) => {
    const extracted = `${folder}/extracted`;
    await mkdir(extracted);
    const hasRoot = await listsRoot(tar, folder);
    await extractTar(tar, extracted, !hasRoot);
    if (!hasRoot) await utimes(extracted, new Date(0), new Date(0));
    return compareTrees(mounted, extracted, { anyTime: new Set(comparison.anyTime) });
  });
}

async function listsRoot(tar: Uint8Array, folder: string): Promise<boolean> {
  await writeFile(`${folder}/listed.tar`, tar);
  const { stdout } = await run('tar', ['--list', '--quoting-style=escape', '--file', `${folder}/listed.tar`], { maxBuffer: 64 * 2 ** 20 });
  return stdout.split('\n').some((name) => name === './' || name === '.');
}
