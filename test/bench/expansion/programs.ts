import { spawn } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';

import { BenchError } from '../bench.js';

/** Output of a program that is kept of either kind, at most. */
const MAX_OUTPUT_CHARACTERS = 4_000_000;
/** Where system programs are, also when a user's path lacks them. */
const SYSTEM_FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/sbin'];
const PATH = [...(process.env.PATH ?? '').split(':'), ...SYSTEM_FOLDERS];

/** @throws {BenchError} that names every program that is missing, and the Debian package that has it. */
export async function requirePrograms(packages: Readonly<Record<string, string>>): Promise<void> {
  const missing: string[] = [];
  for (const [program, name] of Object.entries(packages)) {
    const found = await Promise.allSettled(PATH.map((folder) => access(join(folder, program), constants.X_OK)));
    if (found.every((result) => result.status === 'rejected')) missing.push(`${program} (package ${name})`);
  }
  if (missing.length > 0) throw new BenchError(`this bench measures against programs that are not here: ${missing.join(', ')}`);
}

/** What a program came to. */
export interface Run {
  readonly stdout: string;
  /** From its start to its end. */
  readonly seconds: number;
}

/** Runs a program to its end. @throws {BenchError} when it fails. */
export async function runProgram(program: string, args: readonly string[], folder?: string): Promise<Run> {
  const startedAt = performance.now();
  const child = spawn(program, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, PATH: PATH.join(':'), LC_ALL: 'C' } });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout = (stdout + text).slice(-MAX_OUTPUT_CHARACTERS)));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-MAX_OUTPUT_CHARACTERS)));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const seconds = (performance.now() - startedAt) / 1000;
  if (code !== 0) throw new BenchError(`${program} ${args.join(' ')} ended with ${code}: ${stderr.slice(-2000)}`);
  return { stdout, seconds };
}

/** Runs a script, in which the arguments are `$1`, `$2`, …; a pipe fails with any of its parts. @throws {BenchError} when it fails. */
export async function runScript(script: string, ...args: readonly string[]): Promise<Run> {
  return runProgram('bash', ['-euo', 'pipefail', '-c', script, 'bash', ...args]);
}
