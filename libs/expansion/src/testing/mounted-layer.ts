import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Output of a program that is kept, at most. */
const MAX_OUTPUT_BYTES = 64 * 2 ** 20;

/** True when a program stands in one of the usual folders. */
export function hasProgram(name: string): boolean {
  return ['/usr/bin', '/usr/sbin', '/bin', '/sbin', '/usr/local/bin'].some((folder) => existsSync(`${folder}/${name}`));
}

/** True when this machine can mount expanded layers and read everything back: Linux, root, EROFS in the kernel, loop devices, python3, GNU tar. */
export function canMountLayers(): boolean {
  if (process.platform !== 'linux' || process.getuid?.() !== 0 || !existsSync('/dev/loop-control')) return false;
  return readFileSync('/proc/filesystems', 'utf8').includes('\terofs\n') && hasProgram('python3') && hasProgram('tar');
}

/** A folder below the given one, or the system's temporary one; goes with everything in it when it is disposed. */
export async function temporaryFolder(below: string = tmpdir()): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(below, 'expansion-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** Mounts a file that begins with a filesystem on `folder`, read-only; disposing unmounts it and frees its loop device. */
export async function mountLayer(file: string, folder: string): Promise<AsyncDisposable> {
  await run('mount', ['-t', 'erofs', '-o', 'ro,loop', file, folder]);
  return {
    [Symbol.asyncDispose]: async () => {
      await run('umount', ['--detach-loop', folder]);
    },
  };
}

/** What `fsck.erofs` says against a file, and the files that are its further devices: empty when it is clean. */
export async function checkErofs(file: string, devices: readonly string[] = []): Promise<string> {
  try {
    const { stdout, stderr } = await run('fsck.erofs', [...devices.map((device) => `--device=${device}`), file], { maxBuffer: MAX_OUTPUT_BYTES });
    return stdout.includes('No errors found') ? '' : stdout + stderr;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/**
 * Extracts a tar as root with everything that GNU tar can restore.
 * @param replacing lets a later file replace an earlier folder with all that is in it; the folder `.` then loses its time.
 */
export async function extractTar(tar: Uint8Array, folder: string, replacing = false): Promise<void> {
  const file = `${folder}.tar`;
  await writeFile(file, tar);
  await run('tar', ['--extract', '--file', file, '--directory', folder, '--preserve-permissions', '--same-owner', '--numeric-owner',
    '--xattrs', '--xattrs-include=*', '--delay-directory-restore', '--warning=no-timestamp', ...(replacing ? ['--recursive-unlink'] : [])], { maxBuffer: MAX_OUTPUT_BYTES });
}
