import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

import type { MountAnswerBody } from '#contract';

import { NodeMounts } from './node-mounts.js';
import { require } from './step-runner.js';

/** What the comparison of a merged view with the overlay of its layers took. */
export interface ViewComparison {
  /** Names in the tree. */
  readonly entryCount: number;
  /** How long the one mount of the view took, its devices set up included, and all those of the layers. */
  readonly viewMs: number;
  readonly overlayMs: number;
}

/**
 * Mounts the merged view of `answer`, and the overlay of its layers beside it, and walks both.
 * @throws naming the first entry in which they differ, and {@link StepSkipped} where this machine or user cannot mount.
 */
export async function compareWithView(answer: MountAnswerBody, folder: string): Promise<ViewComparison> {
  await using mounts = new NodeMounts(answer, folder);
  const startedAt = performance.now();
  const overlay = await mounts.overlay();
  const overlaidAt = performance.now();
  const view = await mounts.view();
  const viewMs = performance.now() - overlaidAt;
  const [shown, expected] = [await entriesOf(view), await entriesOf(overlay)];
  for (const path of new Set([...shown.keys(), ...expected.keys()])) {
    require(shown.get(path) === expected.get(path), `${path} is ${shown.get(path) ?? 'missing'} in the merged view, and ${expected.get(path) ?? 'missing'} in the overlay`);
  }
  return { entryCount: expected.size, viewMs, overlayMs: overlaidAt - startedAt };
}

/** Every path below a folder with what its entry is: type and mode, owners, time, and target or contents. */
async function entriesOf(root: string): Promise<Map<string, string>> {
  const entries = new Map<string, string>();
  for (const path of await readdir(root, { recursive: true })) {
    const full = join(root, path);
    const found = await lstat(full);
    const contents = found.isFile() ? await sha256Of(full) : found.isSymbolicLink() ? await readlink(full) : '';
    entries.set(path, [found.mode.toString(8), found.uid, found.gid, found.mtimeMs, found.rdev, contents].join(' '));
  }
  return entries;
}

async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}
