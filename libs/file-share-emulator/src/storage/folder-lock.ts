import { randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';

import { failedWith, unlessAbsent } from './atomic-file.js';

/** Thrown when another live process, or this one, has the folder open. */
export class FolderLockedError extends Error {
  override readonly name = 'FolderLockedError';
}

/** How often a stale lock is taken away before giving up: each round is lost only to another process that starts at the same moment. */
const TAKEOVER_ROUNDS = 5;
const HELD_HERE = new Set<string>();

/**
 * Makes this process the only one that works in `folder`, until the returned function is called. A lock left by a process that
 * is gone, or whose number now belongs to another process, is taken over.
 * @throws {FolderLockedError}
 */
export async function lockFolder(folder: string): Promise<() => Promise<void>> {
  await mkdir(folder, { recursive: true });
  const path = resolve(join(folder, '.lock'));
  if (HELD_HERE.has(path)) throw new FolderLockedError(`${folder} is already open in this process`);
  HELD_HERE.add(path);
  const mine = `${path}.${randomUUID()}`;
  try {
    await writeFile(mine, await processMark(process.pid), { flag: 'wx' });
    await acquire(path, mine);
  } catch (error) {
    HELD_HERE.delete(path);
    throw error;
  } finally {
    await rm(mine, { force: true });
  }
  return async () => {
    await rm(path, { force: true });
    HELD_HERE.delete(path);
  };
}

async function acquire(path: string, mine: string): Promise<void> {
  for (let round = 0; round < TAKEOVER_ROUNDS; round += 1) {
    try {
      return await link(mine, path);
    } catch (error) {
      if (!failedWith(error, 'EEXIST')) throw error;
    }
    const mark = await unlessAbsent(readFile(path, 'utf8'));
    if (mark !== undefined && (await isAlive(mark))) throw new FolderLockedError(`${path} is held by process ${mark.split(' ')[0]}`);
    const aside = `${mine}.stale`;
    await unlessAbsent(rename(path, aside));
    const taken = await unlessAbsent(readFile(aside, 'utf8'));
    // Between reading and renaming, another process may have taken the stale lock over: then its fresh one is given back.
    if (taken !== undefined && taken !== mark) await link(aside, path);
    await rm(aside, { force: true });
  }
  throw new FolderLockedError(`${path} changes hands all the time`);
}

async function isAlive(mark: string): Promise<boolean> {
  const pid = Number(mark.split(' ')[0]);
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    return failedWith(error, 'EPERM');
  }
  // Our own number without our own hold is the number of a process before us, as in a container that was restarted.
  return pid !== process.pid && (await processMark(pid)) === mark;
}

/** The process number and, where the system tells, the instant of its start: together they name one process for good. */
async function processMark(pid: number): Promise<string> {
  const status = await unlessAbsent(readFile(`/proc/${pid}/stat`, 'utf8'));
  const startedAt = status?.slice(status.lastIndexOf(')') + 2).split(' ')[19] ?? 'unknown';
  return `${pid} ${startedAt}`;
}
