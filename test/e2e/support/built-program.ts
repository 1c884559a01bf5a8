import { copyFile, symlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { madeOnce } from '#database/testing';

import { run } from './programs.js';

/** Also from `dist`, where benches run. */
const HERE = fileURLToPath(new URL('../../../', import.meta.url));
const REPOSITORY = basename(HERE) === 'dist' ? dirname(HERE) : HERE;

/** The service as it is delivered, compiled from the sources as they are now, beside what is built elsewhere. */
export interface BuiltProgram extends AsyncDisposable {
  /** What `node` runs. */
  readonly main: string;
}

/** Compiles the service, once in a run of tests. Types are checked elsewhere. */
export async function buildProgram(): Promise<BuiltProgram> {
  const made = await madeOnce('program', async (folder) => {
    // `#room` imports go by the nearest package.json, to `dist` beside it.
    await copyFile(join(REPOSITORY, 'package.json'), join(folder, 'package.json'));
    await symlink(join(REPOSITORY, 'node_modules'), join(folder, 'node_modules'));
    const compiler = join(REPOSITORY, 'node_modules/typescript/bin/tsc');
    const project = join(REPOSITORY, 'apps/translocator/tsconfig.app.json');
    await run(process.execPath, [compiler, '--project', project, '--outDir', join(folder, 'dist'), '--noCheck', '--incremental', 'false', '--tsBuildInfoFile', 'null']);
  });
  return { main: join(made.path, 'dist/apps/translocator/src/main.js'), [Symbol.asyncDispose]: () => made[Symbol.asyncDispose]() };
}
