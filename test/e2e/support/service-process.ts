import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { eventually } from './eventually.js';
import { end } from './programs.js';
import { ServiceClient } from './service-client.js';
import { configText, environmentOf, type Overrides } from './start-service.js';

/** How long a service may take to come up or to give up, in milliseconds: a new database alone takes some seconds. */
const START_MAX_MS = 120_000;

/** How the program is called. */
export interface ProcessOptions {
  /** What `node` runs. */
  readonly main: string;
  /** Where the service keeps everything. */
  readonly folder: string;
  readonly registryUrl: string;
  readonly overrides?: Overrides;
  /** The whole configuration file, instead of `overrides`. */
  readonly config?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
}

/** What a process that has ended leaves. */
export interface EndedProcess {
  readonly code: number | null;
  readonly output: string;
  readonly complaints: string;
}

/** The service in a process of its own, to be ended in any way a process ends. */
export class ServiceProcess implements AsyncDisposable {
  readonly client: ServiceClient;
  readonly #child: ChildProcess;
  readonly #lines: readonly string[];
  /** It has ended, and all that it wrote was read: that may be later. */
  readonly #closed: Promise<unknown>;

  private constructor(child: ChildProcess, url: string, lines: readonly string[]) {
    this.#child = child;
    this.client = new ServiceClient(url);
    this.#lines = lines;
    this.#closed = new Promise((resolve) => child.once('close', resolve));
  }

  /** Starts it, and returns when it answers. @throws with everything it said when it ends before that. */
  static async start(options: ProcessOptions): Promise<ServiceProcess> {
    const child = await launch(options);
    const [lines, complaints] = [linesOf(child, 'stdout'), linesOf(child, 'stderr')];
    try {
      const url = await eventually(
        'the service has started',
        () => {
          if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}: ${complaints.join('\n')}`);
          return complaints.map((line) => /^translocator is at (\S+)/.exec(line)?.[1]).find((found) => found !== undefined);
        },
        { withinMs: START_MAX_MS },
      );
      return new ServiceProcess(child, url, lines);
    } catch (error) {
      await end(child, 'SIGKILL');
      throw error;
    }
  }

  /** Runs it until it ends by itself, and returns what it said. */
  static async runToEnd(options: ProcessOptions): Promise<EndedProcess> {
    const child = await launch(options);
    const [lines, complaints] = [linesOf(child, 'stdout'), linesOf(child, 'stderr')];
    const tooLate = setTimeout(() => child.kill('SIGKILL'), START_MAX_MS);
    await once(child, 'close');
    clearTimeout(tooLate);
    return { code: child.exitCode, output: lines.join('\n'), complaints: complaints.join('\n') };
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** What it logged, as far as that has been read, each line as an object: all of it once it was killed or has stopped. While it runs, a line may come later than the answers by which its cause was seen. */
  log(): Record<string, unknown>[] {
    return this.#lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  /** Has it stand still, as a machine that is suspended or starved does, until {@link resume}. */
  pause(): void {
    this.#child.kill('SIGSTOP');
  }

  /** Has it go on from where it stood. */
  resume(): void {
    this.#child.kill('SIGCONT');
  }

  /** Ends it as a crash does. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Asks it to stop. @returns its exit code. */
  stop(): Promise<number | null> {
    return this.#end('SIGTERM');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  async #end(signal: NodeJS.Signals): Promise<number | null> {
    const code = await end(this.#child, signal);
    await this.#closed;
    return code;
  }
}

async function launch({ main, folder, registryUrl, overrides = {}, config, environment = {}, args = [] }: ProcessOptions): Promise<ChildProcess> {
  // What a killed process leaves in the system's temporary folder goes with the rest, too.
  const temporary = join(folder, 'tmp');
  await mkdir(temporary, { recursive: true });
  const path = join(folder, 'translocator.yaml');
  await writeFile(path, config ?? configText(overrides));
  const own = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('TRANSLOCATOR_')));
  const env = { ...own, ...environmentOf(join(folder, 'state'), registryUrl), TMPDIR: temporary, TRANSLOCATOR_CONFIG: path, ...environment };
  return spawn(process.execPath, [main, ...args], { env, cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
}

function linesOf(child: ChildProcess, stream: 'stdout' | 'stderr'): readonly string[] {
  const lines: string[] = [];
  createInterface({ input: child[stream]! }).on('line', (line) => lines.push(line));
  return lines;
}
