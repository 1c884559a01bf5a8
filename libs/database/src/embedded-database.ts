import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';

import { lockFolder } from '#claims';

import { DatabaseError } from './database-error.js';
import type { PgliteWorkerOptions, PgliteWorkerReport } from './pglite-worker.js';

/** A running embedded database. It has one session: whoever connects uses a pool of one. */
export interface EmbeddedDatabase {
  /** The folder of its unix socket, as PostgreSQL clients take it for `host`. */
  readonly socketFolder: string;
  /** The port number in the socket's name. */
  readonly port: number;
  /** Rejects when the worker ends by itself; never resolves. */
  readonly failed: Promise<never>;
  /** Closes the data folder cleanly and frees it for other processes. Works also after the database has failed. */
  close(): Promise<void>;
}

/** Where the embedded database lives. */
export interface EmbeddedDatabaseOptions {
  /** Its data folder, created with mode 0700; undefined keeps everything in memory. */
  readonly folder?: string | undefined;
  /** A `tar` of a data folder, or a `tar.gz`, to begin with instead of an empty database; only for a new one. */
  readonly snapshot?: string | undefined;
}

/** The number in the socket's name; the folder is ours alone, so it never collides. */
const SOCKET_PORT = 5432;
/** An empty database takes 2 to 4 seconds to begin; beyond this something is wrong. */
const START_MAX_MS = 60_000;

/**
 * Starts PGlite, a PostgreSQL in WebAssembly, in a worker thread behind a unix socket, so that its work does not hold up the event loop
 * and ordinary PostgreSQL clients can use it. It survives the death of this process, but not the loss of power: it never asks the disk to flush.
 * @throws {FolderLockError} when another process uses the folder.
 * @throws {DatabaseError} `DATABASE_START_FAILED`
 */
export async function startEmbeddedDatabase(options: EmbeddedDatabaseOptions): Promise<EmbeddedDatabase> {
  const lock = options.folder === undefined ? undefined : await lockFolder(options.folder);
  const socketFolder = await mkdtemp(join(tmpdir(), 'translocator-db-'));
  const free = async (): Promise<void> => {
    await rm(socketFolder, { recursive: true, force: true });
    await lock?.release();
  };
  let worker: Worker | undefined;
  try {
    await chmod(socketFolder, 0o700);
    worker = startWorker({
      dataFolder: options.folder === undefined ? undefined : join(options.folder, 'data'),
      snapshot: options.snapshot,
      socketPath: join(socketFolder, `.s.PGSQL.${SOCKET_PORT}`),
    });
    const running = worker;
    // Heard from now on: a worker that ended by itself must not be waited for when it is closed.
    const exited = new Promise<void>((resolve) => running.once('exit', () => resolve()));
    const failed = failureOf(running);
    await Promise.race([started(running), failed]);
    return {
      socketFolder,
      port: SOCKET_PORT,
      failed,
      close: async () => {
        running.postMessage('close');
        await exited;
        await free();
      },
    };
  } catch (error) {
    await worker?.terminate();
    await free();
    throw error;
  }
}

function startWorker(workerData: PgliteWorkerOptions): Worker {
  // Run from source, the worker is TypeScript too; Node strips its types by itself.
  const script = import.meta.url.endsWith('.ts') ? './pglite-worker.ts' : './pglite-worker.js';
  return new Worker(new URL(script, import.meta.url), { workerData, name: 'database' });
}

function started(worker: Worker): Promise<void> {
  return new Promise((resolve, reject) => {
    const tooLate = setTimeout(() => {
      reject(new DatabaseError('DATABASE_START_FAILED', `the embedded database did not begin within ${START_MAX_MS} ms`));
      void worker.terminate();
    }, START_MAX_MS);
    worker.once('message', (report: PgliteWorkerReport) => {
      clearTimeout(tooLate);
      if (report.kind === 'ready') resolve();
      else reject(new DatabaseError('DATABASE_START_FAILED', `the embedded database did not begin: ${report.reason}`));
    });
  });
}

function failureOf(worker: Worker): Promise<never> {
  const failed = new Promise<never>((_resolve, reject) => {
    worker.once('error', (cause) => reject(new DatabaseError('DATABASE_START_FAILED', 'the embedded database failed', { cause })));
    worker.once('exit', (code) => {
      if (code !== 0) reject(new DatabaseError('DATABASE_START_FAILED', `the embedded database ended with code ${code}`));
    });
  });
  // Whoever cares awaits it; without this line nobody caring would end the whole process.
  failed.catch(() => undefined);
  return failed;
}
