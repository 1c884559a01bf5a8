import { execFile, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** No program that these tests wait for takes longer, in milliseconds. */
const PROGRAM_MAX_MS = 180_000;
/** How long a process may take to end by itself, in milliseconds. */
const END_MAX_MS = 60_000;

/** Runs a program to its end. @returns what it wrote to standard output, without white space at the ends. @throws with both outputs when it fails. */
export async function run(program: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<string> {
  const { stdout } = await execute(program, [...args], { timeout: PROGRAM_MAX_MS, env: { ...process.env, ...env } });
  return stdout.trim();
}

/** Ends a process of our own: politely, and by force when that takes too long. Returns its exit code; null when a signal ended it. */
export async function end(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const exited = once(child, 'exit');
  const tooLate = setTimeout(() => child.kill('SIGKILL'), END_MAX_MS);
  child.kill(signal);
  await exited;
  clearTimeout(tooLate);
  return child.exitCode;
}
