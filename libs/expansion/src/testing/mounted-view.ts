import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { release } from 'node:os';
import { promisify } from 'node:util';

import { canMountLayers } from './mounted-layer.js';

const run = promisify(execFile);
/** Mounts with as many settings as there are: mount(2) has room for a page of them. Linux's numbers of the calls are the same on every architecture. */
const MOUNT = `
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    result = libc.syscall(number, *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(number))
    return result
FSOPEN, FSCONFIG, FSMOUNT, MOVE_MOUNT = 430, 431, 432, 429
FLAG, STRING, CREATE = 0, 1, 6
READ_ONLY, FROM_EMPTY_PATH, HERE = 1, 4, -100
filesystem, folder, *settings = [os.fsencode(a) for a in sys.argv[1:]]
fs = call(FSOPEN, filesystem, 0)
call(FSCONFIG, fs, FLAG, b'ro', None, 0)
for setting in settings:
    name, value = setting.split(b'=', 1)
    call(FSCONFIG, fs, STRING, name, value, 0)
call(FSCONFIG, fs, CREATE, None, None, 0)
mount = call(FSMOUNT, fs, 0, READ_ONLY)
call(MOVE_MOUNT, mount, b'', HERE, folder, FROM_EMPTY_PATH)
`;

/** True when this machine can mount merged views on loop devices, and overlays of many layers: besides what {@link canMountLayers} takes, Linux 6.7. */
export function canMountViews(): boolean {
  return canMountLayers() && existsSync('/sys/fs/erofs/features/device_table') && isKernelAtLeast(6, 7);
}

/** True when the kernel reads filesystems from files without loop devices: from those of most filesystems, tmpfs is none of them. */
export function canMountThroughFiles(): boolean {
  return canMountViews() && isKernelAtLeast(6, 12);
}

function isKernelAtLeast(major: number, minor: number): boolean {
  const [ours = 0, oursMinor = 0] = release().split('.').map(Number);
  return ours > major || (ours === major && oursMinor >= minor);
}

/** A merged view and the layers' files that it is a view of. */
export interface ViewToMount {
  readonly file: string;
  /** In the order of the view's devices. */
  readonly devices: readonly string[];
  /** `files`: the kernel reads the files itself (Linux 6.12 and newer); `loops`: through loop devices (5.16 and newer). */
  readonly through: 'files' | 'loops';
}

/** Mounts a merged view on `folder`, read-only; disposing unmounts it and frees its loop devices. */
export async function mountView({ file, devices, through }: ViewToMount, folder: string): Promise<AsyncDisposable> {
  await using undo = new AsyncDisposableStack();
  const sources: string[] = [];
  for (const source of [file, ...devices]) {
    if (through === 'files') {
      sources.push(source);
      continue;
    }
    const loop = (await run('losetup', ['--find', '--show', '--read-only', source])).stdout.trim();
    sources.push(loop);
    undo.defer(async () => {
      await run('losetup', ['--detach', loop]);
    });
  }
  const [primary, ...further] = sources;
  await run('python3', ['-c', MOUNT, 'erofs', folder, `source=${primary}`, ...further.map((device) => `device=${device}`)]);
  undo.defer(async () => {
    await run('umount', [folder]);
  });
  return undo.move();
}

/**
 * Has overlayfs stack folders on `folder`, read-only (Linux 6.7 and newer for many); disposing unmounts it.
 * @param layers the lowest first; no folder twice.
 */
export async function mountOverlay(layers: readonly string[], folder: string): Promise<AsyncDisposable> {
  await run('python3', ['-c', MOUNT, 'overlay', folder, 'source=overlay', ...layers.toReversed().map((layer) => `lowerdir+=${layer}`)]);
  return {
    [Symbol.asyncDispose]: async () => {
      await run('umount', [folder]);
    },
  };
}
