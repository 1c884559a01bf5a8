import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import type { FileShareEmulatorOptions } from '../emulator-options.js';

/** Lets Node run this repository's sources as they are: its own type stripping, with `.js` in imports meaning the `.ts` beside it. */
const SOURCE_HOOKS = `
  import { registerHooks } from 'node:module';
  registerHooks({ resolve(specifier, context, next) {
    try { return next(specifier, context); }
    catch (error) { if (specifier.startsWith('.') && specifier.endsWith('.js')) return next(specifier.slice(0, -3) + '.ts', context); throw error; }
  } });`;

/** An emulator in a process of its own, to be ended in any way a process ends. */
export interface EmulatorProcess {
  readonly url: string;
  /** Ends it at once, as a crash does; returns when it is gone. */
  kill(): Promise<void>;
  /** Asks it to stop and returns its exit code. */
  stop(): Promise<number | null>;
}

/** Starts an emulator in a child process; fails with what it wrote to standard error when it does not come up. */
export async function startEmulatorProcess(options: FileShareEmulatorOptions): Promise<EmulatorProcess> {
  const program = fileURLToPath(new URL('./emulator-program.ts', import.meta.url));
  const child = spawn(process.execPath, [...sourceArguments(program), JSON.stringify(options)], { stdio: ['ignore', 'pipe', 'pipe'] });
  const exited = once(child, 'exit');
  const url = await firstLine(child);
  const end = async (signal: NodeJS.Signals): Promise<number | null> => {
    child.kill(signal);
    await exited;
    return child.exitCode;
  };
  return { url, kill: async () => void (await end('SIGKILL')), stop: () => end('SIGTERM') };
}

/** Arguments for `node` with which it runs a TypeScript program of this repository from its sources. */
export function sourceArguments(program: string): string[] {
  return ['--conditions=source', '--import', `data:text/javascript,${encodeURIComponent(SOURCE_HOOKS)}`, program];
}

async function firstLine(child: ChildProcess): Promise<string> {
  const complaints: Buffer[] = [];
  child.stderr?.on('data', (chunk: Buffer) => complaints.push(chunk));
  for await (const line of createInterface({ input: child.stdout! })) return line;
  await once(child, 'close');
  throw new Error(Buffer.concat(complaints).toString());
}
