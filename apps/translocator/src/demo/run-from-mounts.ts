import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import type { MountAnswerBody } from '#contract';

import { COMMAND } from './images/demo-images.js';
import { NodeMounts } from './node-mounts.js';

const run = promisify(execFile);
/** Running longer than this is a failure. */
const COMMAND_MAX_MS = 30_000;

/** What a program said that ran from mounted layers. */
export interface MountedRun {
  readonly output: Readonly<Record<string, unknown>>;
  readonly mountMs: number;
  readonly runMs: number;
}

/**
 * Does what a node does: mounts every layer of `answer`, stacks them, and runs the image's program from that root. Everything is unmounted again,
 * whatever happens.
 * @throws {StepSkipped} where this machine or user cannot mount.
 */
export async function runFromMounts(answer: MountAnswerBody, folder: string): Promise<MountedRun> {
  await using mounts = new NodeMounts(answer, folder);
  const startedAt = performance.now();
  const root = await mounts.overlay();
  const mountMs = performance.now() - startedAt;
  const ranAt = performance.now();
  const { stdout } = await run('chroot', [root, ...COMMAND], { timeout: COMMAND_MAX_MS });
  return { output: JSON.parse(stdout) as Record<string, unknown>, mountMs, runMs: performance.now() - ranAt };
}
