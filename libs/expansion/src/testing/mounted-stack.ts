import { execFile } from 'node:child_process';
import { copyFile, mkdir } from 'node:fs/promises';
import { promisify } from 'node:util';

import type { ExpandedLayer } from '../expanded-layer.js';
import { compareTrees } from './compare-trees.js';
import { saveExpanded } from './expand-bytes.js';
import { checkErofs, hasProgram, mountLayer, temporaryFolder } from './mounted-layer.js';
import { canMountThroughFiles, mountOverlay, mountView, type ViewToMount } from './mounted-view.js';
import { type ExpandedStack, expandViewOf } from './stacked-layers.js';

const run = promisify(execFile);
const WAYS: readonly ViewToMount['through'][] = ['files', 'loops'];

/** The layers of an image, mounted one by one and stacked, and the files that its merged view is mounted from. */
export interface MountedStack {
  readonly view: ExpandedLayer;
  /** Where the kernel's overlay of the layers is mounted. */
  readonly overlay: string;
  /** The view's file. */
  readonly file: string;
  /** The distinct layers' files, in the order of the view's devices. */
  readonly devices: readonly string[];
  /** For whatever else there is to mount. */
  readonly folder: string;
  /** Milliseconds that the mounts of the layers and of their overlay took together. */
  readonly overlayMs: number;
}

/** Mounts each layer of a stack, and the kernel's overlay of them, and makes the view of them, for as long as `use` runs. */
export async function withMountedStack<Result>(stack: ExpandedStack, use: (mounted: MountedStack) => Promise<Result>): Promise<Result> {
  await using folder = await temporaryFolder();
  await using mounts = new AsyncDisposableStack();
  const at = folder.path;
  const files = new Map<string, string>();
  const sources: string[] = [];
  for (const [index, layer] of stack.layers.entries()) {
    const known = files.get(layer.digest);
    const source = known === undefined ? `${at}/${files.size + 1}.vhd` : `${at}/again-${index}.vhd`;
    // A layer that comes twice is mounted from two files: overlayfs takes no folder twice, and a file is mounted once only.
    if (known === undefined) await saveExpanded(stack.share, layer, source);
    else await copyFile(known, source);
    if (known === undefined) files.set(layer.digest, source);
    sources.push(source);
  }
  const folders = sources.map((_, index) => `${at}/layer-${index}`);
  for (const each of [...folders, `${at}/overlay`]) await mkdir(each);
  const began = performance.now();
  for (const [index, source] of sources.entries()) mounts.use(await mountLayer(source, folders[index]!));
  mounts.use(await mountOverlay(folders, `${at}/overlay`));
  const overlayMs = performance.now() - began;
  const file = `${at}/view.vhd`;
  const view = await expandViewOf(stack);
  await saveExpanded(stack.share, view, file);
  return await use({ view, overlay: `${at}/overlay`, file, devices: [...files.values()], folder: at, overlayMs });
}

/** The differences between the view of a stack, mounted in every way that the kernel knows, and the overlay, one line each; and what `fsck.erofs` has to say. */
export async function differencesFromOverlay(stack: ExpandedStack): Promise<string[]> {
  return withMountedStack(stack, async (mounted) => {
    const found = hasProgram('fsck.erofs') ? (await checkErofs(mounted.file, mounted.devices)).split('\n').filter((line) => line !== '') : [];
    for (const through of WAYS) if (through === 'loops' || canMountThroughFiles()) found.push(...(await compareView(mounted, through)).differences);
    return found;
  });
}

/** Mounts the view of a stack in one way. @returns its differences from the overlay, and the milliseconds that mounting it took. */
export async function compareView({ file, devices, folder, overlay }: MountedStack, through: ViewToMount['through']): Promise<{ readonly differences: string[]; readonly mountMs: number }> {
  const at = `${folder}/${through}`;
  await mkdir(at);
  const began = performance.now();
  await using _view = await mountView({ file, devices, through }, at);
  const mountMs = performance.now() - began;
  return { differences: [...await compareTrees(at, overlay), ...await wrongLinkCounts(at)], mountMs };
}

/** Files that say of themselves that they have more or fewer names than they have. */
async function wrongLinkCounts(folder: string): Promise<string[]> {
  const { stdout } = await run('find', [folder, '!', '-type', 'd', '-printf', '%i %n\\n'], { maxBuffer: 64 * 2 ** 20 });
  const counts = new Map<string, number>();
  for (const line of stdout.split('\n').filter((one) => one !== '')) counts.set(line, (counts.get(line) ?? 0) + 1);
  return [...counts].filter(([line, count]) => Number(line.split(' ')[1]) !== count).map(([line, count]) => `inode ${line}: ${count} names`);
}
