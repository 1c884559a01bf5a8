import { copyFile, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { run } from './programs.js';

/** Also from `dist`, where benches run. */
const HERE = fileURLToPath(new URL('../../../', import.meta.url));
const REPOSITORY = basename(HERE) === 'dist' ? dirname(HERE) : HERE;

/** The service as it is delivered, compiled from the sources as they are now into a folder of its own: whatever else is being built is not disturbed. */
export interface BuiltProgram extends AsyncDisposable {
  /** What `node` runs. */
  readonly main: string;
}

/** Compiles the service. Types are checked elsewhere. */
export async function buildProgram(): Promise<BuiltProgram> {
  const folder = await mkdtemp(join(tmpdir(), 'translocator-build-'));
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
  try {
    // `#room` imports go by the nearest package.json, to `dist` beside it.
    await copyFile(join(REPOSITORY, 'package.json'), join(folder, 'package.json'));
    await symlink(join(REPOSITORY, 'node_modules'), join(folder, 'node_modules'));
    const compiler = join(REPOSITORY, 'node_modules/typescript/bin/tsc');
    const project = join(REPOSITORY, 'apps/translocator/tsconfig.app.json');
    await run(process.execPath, [compiler, '--project', project, '--outDir', join(folder, 'dist'), '--noCheck', '--incremental', 'false', '--tsBuildInfoFile', 'null']);
  } catch (error) {
    await remove();
    throw error;
  }
  return { main: join(folder, 'dist/apps/translocator/src/main.js'), [Symbol.asyncDispose]: remove };
}
