import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

import pg from 'pg';

import { LOAD_CORE } from './load.js';

const execute = promisify(execFile);

/**
 * Puts a database server of this machine on the load's core, with all connections that it will take: a server whose core is its own is measured, and what the database does for it would take a third of that core.
 * Does nothing for one that is elsewhere, or that we may not move. Disposing gives it its cores back.
 */
export async function databaseBesideLoad(serverUrl: string, tell: (line: string) => void): Promise<AsyncDisposable> {
  const undo = new AsyncDisposableStack();
  try {
    for (const pid of await serverPrograms(serverUrl)) {
      const { stdout } = await execute('taskset', ['-cp', pid]);
      await execute('taskset', ['-cp', LOAD_CORE!, pid]);
      const before = stdout.slice(stdout.lastIndexOf(':') + 1).trim();
      // One of its programs may have ended meanwhile.
      undo.defer(() => execute('taskset', ['-cp', before, pid]).then(() => undefined, () => tell(`the program ${pid} of the database is gone`)));
    }
  } catch (error) {
    tell(`the database stays on the cores that it has: ${error instanceof Error ? error.message : String(error)}`);
  }
  return undo;
}

/** The one that makes the others, which inherit its cores, and those that it has made already. */
async function serverPrograms(serverUrl: string): Promise<string[]> {
  const client = new pg.Client({ connectionString: serverUrl });
  await client.connect();
  try {
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    const stat = await readFile(`/proc/${rows[0]!.pid}/stat`, 'utf8');
    if (!stat.includes('(postgres)')) throw new Error('it is on another machine');
    const [, parent = ''] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const children = await readFile(`/proc/${parent}/task/${parent}/children`, 'utf8');
    return [parent, ...children.split(' ').filter((pid) => pid !== '' && pid !== String(rows[0]!.pid))];
  } finally {
    await client.end();
  }
}
