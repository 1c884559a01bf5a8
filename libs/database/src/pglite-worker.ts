import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { parentPort, workerData } from 'node:worker_threads';

import { PGlite } from '@electric-sql/pglite';
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';

/** What the embedded database's thread is told. */
export interface PgliteWorkerOptions {
  /** Undefined: in memory. */
  readonly dataFolder: string | undefined;
  /** A data folder as `tar` or `tar.gz` to begin with. */
  readonly snapshot: string | undefined;
  readonly socketPath: string;
}

/** What the thread answers, once. */
export type PgliteWorkerReport = { readonly kind: 'ready' } | { readonly kind: 'failed'; readonly reason: string };

if (parentPort !== null) await serve(workerData as PgliteWorkerOptions, parentPort);

async function serve(options: PgliteWorkerOptions, port: NonNullable<typeof parentPort>): Promise<void> {
  const report = (message: PgliteWorkerReport): void => port.postMessage(message);
  try {
    const snapshot = options.snapshot === undefined ? undefined : new Blob([await readFile(options.snapshot)]);
    const database = await PGlite.create({
      ...(options.dataFolder === undefined ? {} : { dataDir: options.dataFolder }),
      ...(snapshot === undefined ? {} : { loadDataDir: snapshot }),
    });
    const server = new PGLiteSocketServer({ db: database, path: options.socketPath, maxConnections: 1 });
    await server.start();
    const asked = once(port, 'message');
    report({ kind: 'ready' });
    await asked;
    await server.stop();
    await database.close();
    process.exit(0);
  } catch (error) {
    report({ kind: 'failed', reason: error instanceof Error ? error.message : String(error) });
    process.exit(1);
  }
}
