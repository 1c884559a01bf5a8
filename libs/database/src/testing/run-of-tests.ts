import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { TestProject } from 'vitest/node';

import { TEST_RUN_FOLDER } from './made-once.js';

/** Gives a run of tests its folder, empties it before they run again, since what was made is made of sources that have changed, and takes it away at the end. */
export default async function beginRun(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'translocator-run-'));
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
  process.env[TEST_RUN_FOLDER] = folder;
  project.onTestsRerun(async () => {
    await remove();
    await mkdir(folder);
  });
  return remove;
}
