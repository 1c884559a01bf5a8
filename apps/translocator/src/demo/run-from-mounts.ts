import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import type { MountAnswerBody } from '#contract';

import { COMMAND, RUNS_HERE } from './images/demo-images.js';
import { require, StepSkipped } from './step-runner.js';

const run = promisify(execFile);
/** Mounting or running longer than this is a failure. */
const COMMAND_MAX_MS = 30_000;

/** What a program said that ran from mounted layers. */
export interface MountedRun {
  readonly output: Readonly<Record<string, unknown>>;
  readonly mountMs: number;
  readonly runMs: number;
}

/**
 * Does what a node does: mounts every layer of `answer` read-only by a loop device from the share's folder, stacks them with overlayfs, the lowest
 * last, and runs the image's program from that root. Everything is unmounted again, whatever happens.
 * @throws {StepSkipped} where this machine or user cannot mount.
 */
export async function runFromMounts(answer: MountAnswerBody, folder: string): Promise<MountedRun> {
  if (!RUNS_HERE || process.getuid?.() !== 0) throw new StepSkipped('mounting takes Linux and root');
  const mounted: string[] = [];
  try {
    const startedAt = performance.now();
    for (const [index, layer] of answer.layers.entries()) {
      require(layer.kind === 'mount', `layer ${layer.digest} is no mount`);
      const source = layer.mounts.find((mount) => mount.type === 'file')?.source;
      require(source !== undefined, `layer ${layer.digest} has no local file among its mounts`);
      await mount(['-t', layer.filesystem, '-o', 'ro,loop', source], join(folder, `layer-${index}`), mounted);
    }
    // overlayfs takes the uppermost layer first.
    const lower = mounted.toReversed().join(':');
    const root = join(folder, 'root');
    await mount(['-t', 'overlay', '-o', `ro,lowerdir=${lower}`, 'overlay'], root, mounted);
    const mountMs = performance.now() - startedAt;
    const ranAt = performance.now();
    const { stdout } = await run('chroot', [root, ...COMMAND], { timeout: COMMAND_MAX_MS });
    return { output: JSON.parse(stdout) as Record<string, unknown>, mountMs, runMs: performance.now() - ranAt };
  } finally {
    for (const target of mounted.toReversed()) await run('umount', [target], { timeout: COMMAND_MAX_MS });
  }
}

async function mount(args: readonly string[], target: string, mounted: string[]): Promise<void> {
  await mkdir(target, { recursive: true });
  await run('mount', [...args, target], { timeout: COMMAND_MAX_MS });
  mounted.push(target);
}
