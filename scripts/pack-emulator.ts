/**
 * Makes the package of the file share emulator: one program without dependencies, its README, and the licenses of what is in it. Prints the path of the archive.
 *
 *   npm run pack:emulator [-- <folder for the archive>]
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { build, type Rolldown } from 'vite';

const root = join(import.meta.dirname, '..');
const app = join(root, 'apps/file-share-emulator');
const PROGRAM = 'file-share-emulator.js';

const target = resolve(process.argv[2] ?? '.');
const folder = mkdtempSync(join(tmpdir(), 'file-share-emulator-package-'));
try {
  const built = (await build({
    root, configFile: false, logLevel: 'error',
    ssr: { noExternal: true, resolve: { conditions: ['source', 'node'] } },
    build: { ssr: join(app, 'src/main.ts'), outDir: folder, emptyOutDir: true, target: 'node24', minify: false, rolldownOptions: { output: { entryFileNames: PROGRAM, codeSplitting: false } } },
  })) as Rolldown.RolldownOutput;
  chmodSync(join(folder, PROGRAM), 0o755);
  copyFileSync(join(app, 'package/package.json'), join(folder, 'package.json'));
  copyFileSync(join(app, 'README.md'), join(folder, 'README.md'));
  copyFileSync(join(root, 'LICENSE'), join(folder, 'LICENSE'));
  writeFileSync(join(folder, 'THIRD-PARTY.txt'), packagesIn(built).map(licenseOf).join('\n'));
  const [{ filename }] = JSON.parse(execFileSync('npm', ['pack', '--json', '--pack-destination', target], { cwd: folder, encoding: 'utf8' })) as [{ filename: string }];
  process.stdout.write(`${join(target, filename)}\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** Packages whose code is in the program. */
function packagesIn({ output }: Rolldown.RolldownOutput): string[] {
  const names = output.flatMap((chunk) => (chunk.type === 'chunk' ? chunk.moduleIds : [])).map((id) => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(id)?.[1]);
  return [...new Set(names)].filter((name) => name !== undefined).toSorted();
}

function licenseOf(name: string): string {
  const { version } = JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8')) as { version: string };
  return `${name} ${version}\n\n${readFileSync(join(root, 'node_modules', name, 'LICENSE'), 'utf8')}`;
}
