import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';

import { SECOND_MS } from '#quantities';

import { BenchError } from '../bench.js';
import { runProgram } from '../expansion/programs.js';

/** From `dist/test/bench/gateway`. */
const REPOSITORY = join(import.meta.dirname, '../../../..');
const START_MAX_MS = 60 * SECOND_MS;
/** What the admin API of a gateway is opened by. */
export const ADMIN_TOKEN = 'admin-token-for-benches';

/** Compiles the service. */
export async function compileService(): Promise<void> {
  await runProgram(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'apps/translocator/tsconfig.app.json', '--outDir', 'dist', '--noCheck', '--incremental', 'false', '--tsBuildInfoFile', 'null'], REPOSITORY);
}

/** Starts Debian's registry over a folder. @returns its URL. */
export async function startRegistry(undo: AsyncDisposableStack, folder: string): Promise<string> {
  const port = await freePort();
  const config = { version: 0.1, log: { level: 'error' }, storage: { filesystem: { rootdirectory: join(folder, 'registry') } }, http: { addr: `127.0.0.1:${port}` } };
  // JSON is YAML too.
  await writeFile(join(folder, 'registry.yml'), JSON.stringify(config));
  const program = spawn('docker-registry', ['serve', join(folder, 'registry.yml')], { stdio: 'ignore' });
  undo.defer(() => end(program));
  return answering(`http://127.0.0.1:${port}`, '/v2/', program);
}

/** Starts the compiled service as a gateway to it, with further settings. @returns its URL. */
export async function startGateway(undo: AsyncDisposableStack, folder: string, registryUrl: string, { gateway = {}, ...settings }: Readonly<Record<string, object>> = {}): Promise<string> {
  const port = await freePort();
  const config = { server: { port }, folder: join(folder, 'service'), log: { level: 'warn' }, registry: { url: registryUrl }, shares: { kind: 'embedded', port: 0 }, ...settings, gateway: { enabled: true, ...gateway } };
  await writeFile(join(folder, 'translocator.yml'), JSON.stringify(config));
  const env = { ...process.env, TRANSLOCATOR_CONFIG: join(folder, 'translocator.yml'), TRANSLOCATOR_ADMIN_TOKEN: ADMIN_TOKEN };
  const program = spawn(process.execPath, [join(REPOSITORY, 'dist/apps/translocator/src/main.js')], { stdio: 'ignore', env });
  undo.defer(() => end(program));
  return answering(`http://127.0.0.1:${port}`, '/readyz', program);
}

async function answering(url: string, path: string, program: ChildProcess): Promise<string> {
  const endsAt = performance.now() + START_MAX_MS;
  for (;;) {
    const answer = await fetch(`${url}${path}`).catch(() => undefined);
    await answer?.body?.cancel();
    if (answer?.ok === true) return url;
    if (program.exitCode !== null || performance.now() > endsAt) throw new BenchError(`${program.spawnfile} did not begin to answer at ${url}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function end(program: ChildProcess): Promise<void> {
  if (program.exitCode !== null || program.signalCode !== null) return;
  const exited = once(program, 'exit');
  program.kill();
  await exited;
}

async function freePort(): Promise<number> {
  const socket = createServer().listen(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address() as AddressInfo;
  await new Promise((resolve) => socket.close(resolve));
  return port;
}
