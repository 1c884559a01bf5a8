import { randomUUID } from 'node:crypto';
import { access, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Names the folder of one run of tests, in which its files find what was made for all of them; its setup sets it. */
export const TEST_RUN_FOLDER = 'TRANSLOCATOR_TEST_RUN_FOLDER';

/** A folder that nobody changes any more. Disposing it removes it where it is not kept for the rest of a run. */
export interface MadeFolder extends AsyncDisposable {
  readonly path: string;
}

/**
 * A folder as `make` fills it, made once in a run of tests, by whoever needs it first; outside of a run each time. Two processes that need it at the same time
 * may both make it, and one of the two is kept: nobody waits for another, or sees half of it.
 * @param name of what is in it, the same for all who need the same.
 */
export async function madeOnce(name: string, make: (folder: string) => Promise<void>): Promise<MadeFolder> {
  const run = process.env[TEST_RUN_FOLDER];
  const remove = (path: string): Promise<void> => rm(path, { recursive: true, force: true });
  if (run === undefined) {
    const path = await mkdtemp(join(tmpdir(), `translocator-${name}-`));
    const made = { path, [Symbol.asyncDispose]: () => remove(path) };
    await filled(path, make, remove);
    return made;
  }
  const path = join(run, name);
  if (!(await exists(path))) {
    const own = `${path}-${randomUUID()}`;
    await mkdir(own);
    await filled(own, make, remove);
    // Onto a folder with something in it nothing is renamed.
    await rename(own, path).catch(async (error: unknown) => {
      await remove(own);
      if (!(await exists(path))) throw error;
    });
  }
  return { path, [Symbol.asyncDispose]: () => Promise.resolve() };
}

async function filled(path: string, make: (folder: string) => Promise<void>, remove: (path: string) => Promise<void>): Promise<void> {
  try {
    await make(path);
  } catch (error) {
    await remove(path);
    throw error;
  }
}

function exists(path: string): Promise<boolean> {
  return access(path).then(() => true, () => false);
}
