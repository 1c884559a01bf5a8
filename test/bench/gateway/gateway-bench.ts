import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { MiB, SECOND_MS } from '#quantities';

import { type Bench, BenchError, type Figure, measured, median } from '../bench.js';
import { requirePrograms, runProgram } from '../expansion/programs.js';
import { digestOf, RegistryLoad } from './registry-load.js';

/** From `dist/test/bench/gateway`. */
const REPOSITORY = join(import.meta.dirname, '../../../..');
const BLOB_BYTES = 64 * MiB;
/** Blobs that are carried in one round, and how many of them at once. */
const DOWNLOADS = 12;
const UPLOADS = 4;
const HEADS = 2000;
const AT_ONCE = 4;
/** Rounds of each, first one way, then the other; the middle one counts. */
const ROUNDS = 5;
const START_MAX_MS = 60 * SECOND_MS;
const AGAINST = 'docker-registry alone';

/** Measures what the gateway costs: the same calls to Debian's docker-registry with and without it, on this machine. */
export const gatewayBench: Bench = {
  question: 'what does it cost to pull and push through the gateway?',
  run: async (tell) => {
    await requirePrograms({ 'docker-registry': 'docker-registry' });
    await using undo = new AsyncDisposableStack();
    const folder = await mkdtemp(join(tmpdir(), 'translocator-gateway-bench-'));
    undo.defer(() => rm(folder, { recursive: true, force: true }));
    tell('compiling the service');
    await runProgram(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'apps/translocator/tsconfig.app.json', '--outDir', 'dist', '--noCheck', '--incremental', 'false', '--tsBuildInfoFile', 'null'], REPOSITORY);
    const registryUrl = await startRegistry(undo, folder);
    const gatewayUrl = await startGateway(undo, folder, registryUrl);
    const alone = new RegistryLoad(registryUrl, AT_ONCE);
    const through = new RegistryLoad(gatewayUrl, AT_ONCE);
    undo.defer(() => alone.close());
    undo.defer(() => through.close());
    const blob = randomBytes(BLOB_BYTES);
    const digest = digestOf(blob);
    await alone.put(blob, digest);
    const figures: Figure[] = [];
    const compare = async (name: string, work: (load: RegistryLoad) => Promise<number>, perSecond: { readonly amount: number; readonly unit: string }): Promise<void> => {
      const seconds = { alone: [] as number[], through: [] as number[] };
      for (let round = 0; round <= ROUNDS; round += 1) {
        tell(`${name}: round ${round} of ${ROUNDS}`);
        const [one, other] = [await work(alone), await work(through)];
        // The first is for warming up.
        if (round > 0) seconds.alone.push(one);
        if (round > 0) seconds.through.push(other);
      }
      const [without, withIt] = [median(seconds.alone), median(seconds.through)];
      figures.push(measured(`${name}, alone`, perSecond.amount / without, perSecond.unit), measured(`${name}, through the gateway`, perSecond.amount / withIt, perSecond.unit));
      figures.push({ ...measured(`${name}: rate through the gateway`, without / withIt, 'ratio'), against: AGAINST });
    };
    await compare('blobs downloaded', (load) => load.download(digest, DOWNLOADS), { amount: (DOWNLOADS * BLOB_BYTES) / MiB, unit: 'MiB/s' });
    await compare('blobs uploaded', (load) => load.upload(BLOB_BYTES, UPLOADS), { amount: (UPLOADS * BLOB_BYTES) / MiB, unit: 'MiB/s' });
    await compare('small answers', (load) => load.head(digest, HEADS), { amount: HEADS, unit: '1/s' });
    return figures;
  },
};

async function startRegistry(undo: AsyncDisposableStack, folder: string): Promise<string> {
  const port = await freePort();
  const config = { version: 0.1, log: { level: 'error' }, storage: { filesystem: { rootdirectory: join(folder, 'registry') } }, http: { addr: `127.0.0.1:${port}` } };
  // JSON is YAML too.
  await writeFile(join(folder, 'registry.yml'), JSON.stringify(config));
  const program = spawn('docker-registry', ['serve', join(folder, 'registry.yml')], { stdio: 'ignore' });
  undo.defer(() => end(program));
  return answering(`http://127.0.0.1:${port}`, '/v2/', program);
}

async function startGateway(undo: AsyncDisposableStack, folder: string, registryUrl: string): Promise<string> {
  const port = await freePort();
  const config = { server: { port }, folder: join(folder, 'service'), log: { level: 'warn' }, registry: { url: registryUrl }, gateway: { enabled: true }, shares: { kind: 'embedded', port: 0 } };
  await writeFile(join(folder, 'translocator.yml'), JSON.stringify(config));
  const env = { ...process.env, TRANSLOCATOR_CONFIG: join(folder, 'translocator.yml') };
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
