import { randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';

import { CodedError } from '#errors';

/** Why a folder could not be locked. */
export type FolderLockErrorCode = 'FOLDER_LOCKED';

/** The folder belongs to another living process; `details` names the folder and that process. */
export class FolderLockError extends CodedError<FolderLockErrorCode> {}

/** A held lock; `release` is safe to call twice. */
export interface FolderLock {
  release(): Promise<void>;
}

interface Holder {
  readonly pid: number;
  /** When that process began, in the kernel's own count: a recycled pid is not taken for its predecessor. */
  readonly startedAt: string;
  readonly token: string;
}

/** Hidden: whoever keeps named things in the folder may call one of them `lock`. */
const LOCK_FILE = '.lock';
/** How often a dead process's lock is taken away before giving up: each try is lost only to another process that starts at the same moment. */
const TRIES_MAX = 5;
/** Tokens of the locks that this process holds. */
const HELD_HERE = new Set<string>();

/**
 * Makes this process the only one that uses `folder` (made if missing, mode 0700). The lock of a process that no longer lives, whose number
 * now belongs to another, or that was left unreadable by a crash is taken over. Only processes of one machine see each other: the folder must not be on a network share.
 * @throws {FolderLockError} `FOLDER_LOCKED` while another process, or another caller in this one, holds it.
 */
export async function lockFolder(folder: string): Promise<FolderLock> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = resolve(folder, LOCK_FILE);
  const me: Holder = { pid: process.pid, startedAt: await startOf(process.pid), token: randomUUID() };
  const draft = `${path}.${me.token}`;
  await writeFile(draft, JSON.stringify(me), { mode: 0o600 });
  try {
    for (let attempt = 0; attempt < TRIES_MAX; attempt += 1) {
      if (await linked(draft, path)) {
        HELD_HERE.add(me.token);
        return { release: () => release(path, me.token) };
      }
      const found = await readHolder(path);
      if (found === undefined) continue;
      if (await isAlive(found)) {
        throw new FolderLockError('FOLDER_LOCKED', `${folder} is in use by the process ${found.pid}`, { details: { folder, pid: found.pid } });
      }
      await takeAway(path, found.token);
    }
  } finally {
    await rm(draft, { force: true });
  }
  throw new FolderLockError('FOLDER_LOCKED', `${folder} is being locked by other processes`, { transient: true, details: { folder } });
}

/** `link` succeeds for exactly one of many callers: the atom that the lock is made of. */
async function linked(draft: string, path: string): Promise<boolean> {
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Who holds the lock; undefined when nobody does. What cannot be read is held by nobody that lives: a lock is written whole before it is put in place. */
async function readHolder(path: string): Promise<Holder | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const { pid, startedAt, token } = fieldsOf(text);
  return {
    pid: typeof pid === 'number' && Number.isSafeInteger(pid) ? pid : 0,
    startedAt: typeof startedAt === 'string' ? startedAt : '',
    token: typeof token === 'string' ? token : text,
  };
}

function fieldsOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const found: unknown = JSON.parse(text);
    return typeof found === 'object' && found !== null ? { ...found } : {};
  } catch {
    return {};
  }
}

async function isAlive(holder: Holder): Promise<boolean> {
  if (holder.pid <= 0) return false;
  // Our own number without our own hold is the number of a process before us, as in a container that was started again.
  if (holder.pid === process.pid) return HELD_HERE.has(holder.token);
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  return (await startOf(holder.pid)) === holder.startedAt;
}

/** Field 22 of `/proc/PID/stat` (proc_pid_stat(5)); empty where there is no `/proc`, so that only the pid counts. */
async function startOf(pid: number): Promise<string> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}

/** Moves a dead process's lock aside. If someone was quicker and the file is already theirs, it is put back. */
async function takeAway(path: string, deadToken: string): Promise<void> {
  const aside = `${path}.${randomUUID()}`;
  try {
    await rename(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  const moved = await readHolder(aside);
  if (moved !== undefined && moved.token !== deadToken) await linked(aside, path);
  await rm(aside, { force: true });
}

async function release(path: string, token: string): Promise<void> {
  const holder = await readHolder(path);
  if (holder?.token === token) await rm(path, { force: true });
  HELD_HERE.delete(token);
}
