import { execFile, type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

import { BenchError } from '../bench.js';

const execute = promisify(execFile);
/** The server's core and the load's. */
export const [SERVER_CORE, LOAD_CORE] = ['0', '1'];

/** What is asked: one body for each request, and the headers that go with all of them. */
export interface Questions {
  readonly method: 'POST' | 'HEAD';
  readonly path: (body: string) => string;
  readonly headers: Readonly<Record<string, string>>;
  readonly bodies: readonly string[];
}

/** What a paced load came to; times in milliseconds since each request was due. */
export interface PacedOutcome {
  readonly count: number;
  /** Requests without an answer at the end of the load and its patience: the server was not that fast. */
  readonly missing: number;
  readonly failed: number;
  /** How many for each reason. */
  readonly failures: Readonly<Record<string, number>>;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
  /** For how long requests were due, and not sent though a connection was free: the load's own part of the times above. */
  readonly ownP99: number;
  readonly ownMax: number;
  readonly perSecond: number;
}

/** Requests as they go over the wire. */
function wireOf({ method, path, headers, bodies }: Questions): string[] {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('');
  return bodies.map((body) => `${method} ${path(body)} HTTP/1.1\r\nHost: bench\r\n${lines}${method === 'HEAD' ? '' : `Content-Length: ${body.length}\r\n`}\r\n${method === 'HEAD' ? '' : body}`);
}

/** Writes requests where `wrk` and the paced program read them. */
export async function writeQuestions(folder: string, name: string, questions: Questions): Promise<string> {
  const path = join(folder, `${name}.requests`);
  await writeFile(path, wireOf(questions).join('\0'), 'latin1');
  await writeFile(
    join(folder, 'wrk.lua'),
    `local requests = {}
init = function(args)
  local text = io.open(args[1], "rb"):read("*a")
  for each in (text .. "\\0"):gmatch("([^%z]*)%z") do if #each > 0 then requests[#requests + 1] = each end end
end
local at = 0
request = function() at = at % #requests + 1; return requests[at] end
`,
  );
  return path;
}

/** Requests a second that come back with 2xx, from \`wrk\` on a core of its own, as many as there can be. @throws {BenchError} when any fails. */
export async function mostPerSecond(folder: string, requests: string, port: number, seconds: number): Promise<number> {
  const { stdout } = await execute('taskset', ['-c', LOAD_CORE!, 'wrk', '-t1', '-c32', `-d${seconds}s`, '-s', join(folder, 'wrk.lua'), `http://127.0.0.1:${port}`, '--', requests]);
  if (/Non-2xx|Socket errors/.test(stdout)) throw new BenchError(`requests failed:\n${stdout}`);
  const perSecond = Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]);
  if (!(perSecond > 0)) throw new BenchError(`no request was answered:\n${stdout}`);
  return perSecond;
}

/** The program that sends at a pace, compiled into that folder. @throws {BenchError} when there is no compiler. */
export async function buildPaced(folder: string): Promise<string> {
  const program = join(folder, 'paced');
  // Beside this file's source: the compiler of TypeScript leaves it there.
  const source = join(import.meta.dirname, '../../../../test/bench/lookup/paced.c');
  await execute('cc', ['-O2', '-std=gnu17', '-o', program, source]).catch((cause: unknown) => Promise.reject(new BenchError('the program that sends at a pace could not be compiled', { cause })));
  return program;
}

/** What is sent at a pace, and by which program. */
export interface PacedLoad {
  /** From {@link buildPaced}. */
  readonly program: string;
  readonly requests: string;
  readonly port: number;
  readonly perSecond: number;
  readonly seconds: number;
  readonly mayFallBehind?: boolean;
}

/** The same load at a pace. @throws {BenchError} when any fails; or is not answered, unless the server may fall behind. */
export async function paced({ program, requests, port, perSecond, seconds, mayFallBehind = false }: PacedLoad): Promise<PacedOutcome> {
  const { stdout } = await execute('taskset', ['-c', LOAD_CORE!, program, String(port), String(Math.round(perSecond)), String(seconds), requests]);
  const outcome = JSON.parse(stdout) as PacedOutcome;
  if (outcome.failed > 0) throw new BenchError(`${outcome.failed} of ${outcome.failed + outcome.count} requests failed: ${JSON.stringify(outcome.failures)}`);
  if (outcome.missing > 0 && !mayFallBehind) throw new BenchError(`${outcome.missing} of ${outcome.missing + outcome.count} requests were not answered in time`);
  return outcome;
}

/** HEAD requests a second, as many as there can be, and how busy the server was with them: of a core, 0 to 1. @throws {BenchError} when any fails, or none is answered. */
export async function mostHeadsPerSecond(requests: string, port: number, { pid, seconds }: { readonly pid: number; readonly seconds: number }): Promise<{ readonly perSecond: number; readonly busyRatio: number }> {
  const before = await processorSeconds(pid);
  const startedAt = performance.now();
  const { stdout } = await execute('taskset', ['-c', LOAD_CORE!, process.execPath, join(import.meta.dirname, 'heads-program.js'), String(port), String(seconds), requests]);
  const busyRatio = ((await processorSeconds(pid)) - before) / ((performance.now() - startedAt) / 1000);
  const { perSecond, failed, failures } = JSON.parse(stdout) as Pick<PacedOutcome, 'perSecond' | 'failed' | 'failures'>;
  if (failed > 0 || !(perSecond > 0)) throw new BenchError(`${failed} requests failed: ${JSON.stringify(failures)}; ${perSecond} a second were answered`);
  return { perSecond, busyRatio };
}

/** Seconds of a processor that a process has used. */
export async function processorSeconds(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  // After the name, which may have spaces: the twelfth and thirteenth fields are user and system time, in hundredths (proc(5)).
  const [user = 0, system = 0] = stat.slice(stat.lastIndexOf(')') + 2).split(' ').slice(11, 13).map(Number);
  return (user + system) / 100;
}

/** A program of ours on a core, the server's if none is named. Disposing ends it. */
export class ServerProgram implements AsyncDisposable {
  readonly pid: number;
  readonly lines: string[] = [];
  readonly complaints: string[] = [];
  readonly #child: ChildProcess;

  constructor(command: readonly string[], env: Readonly<Record<string, string>> = {}, core = SERVER_CORE!) {
    this.#child = spawn('taskset', ['-c', core, ...command], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
    this.pid = this.#child.pid ?? 0;
    createInterface({ input: this.#child.stdout! }).on('line', (line) => this.lines.push(line));
    createInterface({ input: this.#child.stderr! }).on('line', (line) => this.complaints.push(line));
  }

  /** Waits until it has said something. @throws {BenchError} when it ends before, or takes longer than `withinMs`. */
  async said<Found>(find: (lines: readonly string[], complaints: readonly string[]) => Found | undefined, withinMs: number): Promise<Found> {
    for (const until = performance.now() + withinMs; performance.now() < until; ) {
      const found = find(this.lines, this.complaints);
      if (found !== undefined) return found;
      if (this.#child.exitCode !== null) break;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new BenchError(`a server did not come up: ${[...this.lines, ...this.complaints].slice(-20).join('\n')}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    const tooLate = setTimeout(() => this.#child.kill('SIGKILL'), 30_000);
    await exited;
    clearTimeout(tooLate);
  }
}
