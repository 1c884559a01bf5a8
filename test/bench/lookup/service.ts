import { access, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { BenchError } from '../bench.js';
import { REGIONS } from './filled-database.js';
import { SERVER_CORE, ServerProgram } from './load.js';

/** The token of the environment; it opens nothing but the bench's own service. */
export const SERVICE_TOKEN = 'service-token-of-the-bench';
/** How `docs/operations.md` says that processes which only answer lookups are started. */
const NODE_FLAGS = ['--max-semi-space-size=16'] as const;
/** A cold start of the largest map, and a slow machine. */
const START_MAX_MS = 180_000;
/** The first snapshot is begun after a minute, the next one after ten times as long as that took. */
const SNAPSHOT_MAX_MS = 300_000;
const SNAPSHOT_LOOK_MS = 20;

/** A lookup process of the service as it is delivered, with 60 regions. */
export class LookupService implements AsyncDisposable {
  readonly program: ServerProgram;
  readonly port: number;
  /** From the start of the process until it had loaded everything, in seconds. */
  readonly readyAfterSeconds: number;

  readonly #partial: string;

  private constructor(program: ServerProgram, port: number, readyAfterSeconds: number, state: string) {
    this.#partial = join(state, 'lookup', 'map.snapshot.partial');
    this.program = program;
    this.port = port;
    this.readyAfterSeconds = readyAfterSeconds;
  }

  /** Starts it without a snapshot, and returns when it has loaded its map. @throws {BenchError} when it does not. */
  static async start(main: string, folder: string, databaseUrl: string, core = SERVER_CORE!): Promise<LookupService> {
    await mkdir(folder, { recursive: true });
    const region = (name: string, number: number): string =>
      `    - { name: ${name}, share: { account: acct${number}, endpoint: "http://127.0.0.1:9/acct${number}", smbHost: acct${number}.file.core.windows.net } }`;
    const path = join(folder, 'translocator.yaml');
    // No share stands behind the map: nobody looks whether they are up.
    await writeFile(path, `database: { kind: server }\nshares: { kind: azure }\nlookup: { probeEvery: 1h }\nregions:\n  home: ${REGIONS[0]}\n  list:\n${REGIONS.map(region).join('\n')}\n`);
    const state = join(folder, 'state');
    const key = Buffer.alloc(64, 'k').toString('base64');
    const startedAt = performance.now();
    const program = new ServerProgram([process.execPath, ...NODE_FLAGS, main, '--role', 'lookup'], {
      TRANSLOCATOR_CONFIG: path,
      TRANSLOCATOR_PORT: '0',
      TRANSLOCATOR_FOLDER: state,
      TRANSLOCATOR_REGISTRY_URL: 'http://127.0.0.1:9',
      TRANSLOCATOR_DATABASE_URL: databaseUrl,
      TRANSLOCATOR_ADMIN_TOKEN: 'admin-token-of-the-bench',
      TRANSLOCATOR_SERVICE_TOKEN: SERVICE_TOKEN,
      TRANSLOCATOR_NOTIFICATION_TOKEN: 'notification-token-of-the-bench',
      TRANSLOCATOR_SHARE_KEYS: REGIONS.map((_, number) => `acct${number}=${key}`).join(','),
    }, core);
    const port = await program.said((_, complaints) => complaints.map((line) => /^translocator is at \S+:(\d+)/.exec(line)?.[1]).find((found) => found !== undefined), START_MAX_MS);
    await program.said((lines) => lines.find((line) => line.includes('"kind":"loaded"')), START_MAX_MS);
    return new LookupService(program, Number(port), (performance.now() - startedAt) / 1000, state);
  }

  /** Bytes of memory that the process has now, and has had at most. */
  async memory(): Promise<{ readonly nowBytes: number; readonly mostBytes: number }> {
    const status = await readFile(`/proc/${this.program.pid}/status`, 'utf8');
    const kib = (name: string): number => Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1]) * 1024;
    return { nowBytes: kib('VmRSS'), mostBytes: kib('VmHWM') };
  }

  /** How often its old space was searched for garbage since it began, as it says itself. @throws {BenchError} when it does not say. */
  async oldSearches(): Promise<number> {
    const metrics = await (await fetch(`http://127.0.0.1:${this.port}/metrics`)).text();
    if (!metrics.includes('nodejs_gc_duration_seconds')) throw new BenchError(`the service does not tell of its searches for garbage: ${metrics.slice(0, 200)}`);
    // Absent before the first.
    return Number(/^nodejs_gc_duration_seconds_count\{.*kind="major".*\} (\d+)$/m.exec(metrics)?.[1] ?? 0);
  }

  /** Waits until it writes a snapshot that it was not writing before. @param meanwhile is done again and again until then. @throws {BenchError} when it does not. */
  async beginsSnapshot(meanwhile: () => Promise<unknown>): Promise<void> {
    await this.#snapshotIs(true, meanwhile);
  }

  /** Waits until no snapshot is being written. @throws {BenchError} when one goes on. */
  async endsSnapshot(): Promise<void> {
    await this.#snapshotIs(false, () => new Promise((resolve) => setTimeout(resolve, SNAPSHOT_LOOK_MS)));
  }

  async #snapshotIs(under: boolean, meanwhile: () => Promise<unknown>): Promise<void> {
    const until = performance.now() + SNAPSHOT_MAX_MS;
    while ((await access(this.#partial).then(() => true, () => false)) !== under) {
      if (performance.now() > until) throw new BenchError(`a snapshot was not ${under ? 'begun' : 'ended'} within ${SNAPSHOT_MAX_MS / 1000} s`);
      await meanwhile();
    }
  }

  /** Asks one lookup. */
  async ask(body: string): Promise<string> {
    const answer = await fetch(`http://127.0.0.1:${this.port}/v1/lookup`, { method: 'POST', body, headers: { 'content-type': 'application/json', authorization: `Bearer ${SERVICE_TOKEN}` } });
    return answer.text();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.program[Symbol.asyncDispose]();
  }
}
