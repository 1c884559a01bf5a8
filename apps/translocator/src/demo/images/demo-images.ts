import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

import { type BuiltLayer, buildLayer } from './build-layer.js';

/** An image as it is pushed: its layers from the bottom up, and the config that names them. */
export interface DemoImage {
  readonly repository: string;
  readonly tag: string;
  readonly layers: readonly BuiltLayer[];
  readonly config: Readonly<Record<string, unknown>>;
}

/** The demo's images: two that share a base, and a later tag of the first. */
export interface DemoImages {
  readonly api: DemoImage;
  readonly batch: DemoImage;
  readonly apiNext: DemoImage;
}

const require = createRequire(import.meta.url);

/**
 * Builds real, runnable images from what this machine has: its Node binary with the libraries it is linked to, and npm packages.
 * Each has five layers and more than 100 MB; gzip, zstd and plain layers, links, devices and a whiteout are in them.
 */
export async function buildDemoImages(folder: string): Promise<DemoImages> {
  const base = [await system(folder), await libraries(folder), await runtime(folder)];
  const apiPackages = await packages(folder, 'api-packages', ['zod', 'rxjs', 'tslib']);
  const batchPackages = await packages(folder, 'batch-packages', ['yaml']);
  return {
    api: image('team/api', '1.0', [...base, apiPackages, await program(folder, 'api-1.0', apiProgram('1.0'))]),
    batch: image('team/batch', '1.0', [...base, batchPackages, await program(folder, 'batch-1.0', BATCH_PROGRAM)]),
    apiNext: image('team/api', '1.1', [...base, apiPackages, await program(folder, 'api-1.1', apiProgram('1.1'))]),
  };
}

/** Whether an image's program can run on this machine: the images hold this machine's own binary, which only Linux mounts and runs. */
export const RUNS_HERE = process.platform === 'linux';

/** Where a program of the demo stands in its image's root, and what runs it. */
export const COMMAND: readonly string[] = ['/usr/local/bin/node', '/app/main.mjs'];

function system(folder: string): Promise<BuiltLayer> {
  return buildLayer(folder, {
    name: 'system',
    compression: 'gzip',
    fill: async (layer) => {
      for (const name of ['app', 'dev', 'etc', 'lib', 'lib64', 'proc', 'root', 'usr', 'usr/lib', 'usr/local', 'usr/local/bin']) await layer.folder(name);
      await layer.folder('tmp', 0o1777);
      await layer.device('dev/null', 1, 3);
      await layer.device('dev/urandom', 1, 9);
      await layer.text('etc/passwd', 'root:x:0:0:root:/root:/bin/sh\n');
      await layer.text('etc/motd', 'This line is hidden by every layer that knows better.\n');
      await layer.text('etc/nsswitch.conf', 'hosts: files dns\n');
    },
  });
}

/** The shared objects that this process is running on, under the names by which the loader looks for them. */
function libraries(folder: string): Promise<BuiltLayer> {
  const report = process.report.getReport() as { sharedObjects?: string[] };
  const objects = (report.sharedObjects ?? []).filter((path) => RUNS_HERE && path.startsWith('/') && /\.so(\.|$)/.test(path));
  return buildLayer(folder, {
    name: 'libraries',
    compression: 'none',
    fill: async (layer) => {
      for (const path of new Set(objects)) {
        const parents = dirname(path).split('/').slice(1);
        for (let depth = 1; depth <= parents.length; depth += 1) await layer.folder(parents.slice(0, depth).join('/'));
        await layer.file(path.slice(1), path, 0o755);
      }
    },
  });
}

function runtime(folder: string): Promise<BuiltLayer> {
  return buildLayer(folder, {
    name: 'runtime',
    compression: 'gzip',
    fill: async (layer) => {
      await layer.file('usr/local/bin/node', process.execPath, 0o755);
      await layer.hardLink('usr/local/bin/nodejs', 'usr/local/bin/node');
      await layer.link('usr/local/bin/js', 'node');
    },
  });
}

function packages(folder: string, name: string, names: readonly string[]): Promise<BuiltLayer> {
  return buildLayer(folder, {
    name,
    compression: 'zstd',
    fill: async (layer) => {
      await layer.folder('app/node_modules');
      for (const each of names) await layer.tree(`app/node_modules/${each}`, packageFolder(each));
    },
  });
}

/** The folder of an installed package: the nearest one above its entry that is called like it. */
function packageFolder(name: string): string {
  let folder = dirname(require.resolve(name));
  while (!folder.endsWith(join('node_modules', name))) folder = dirname(folder);
  return folder;
}

function program(folder: string, name: string, source: string): Promise<BuiltLayer> {
  return buildLayer(folder, {
    name,
    compression: 'gzip',
    fill: async (layer) => {
      await layer.text('app/main.mjs', source);
      await layer.whiteout('etc/motd');
    },
  });
}

const apiProgram = (version: string): string => `import { existsSync } from 'node:fs';
import { from, map } from 'rxjs';
import { z } from 'zod';

const greeting = z.object({ name: z.string() }).parse({ name: 'api' });
from([greeting]).pipe(map((each) => ({ ...each, version: '${version}', node: process.version, motd: existsSync('/etc/motd') })))
  .subscribe((each) => console.log(JSON.stringify(each)));
`;

const BATCH_PROGRAM = `import { existsSync } from 'node:fs';
import { parse } from 'yaml';

console.log(JSON.stringify({ ...parse('name: batch'), version: '1.0', node: process.version, motd: existsSync('/etc/motd') }));
`;

function image(repository: string, tag: string, layers: readonly BuiltLayer[]): DemoImage {
  return {
    repository,
    tag,
    layers,
    config: {
      created: '2026-01-02T03:04:05Z',
      architecture: process.arch === 'x64' ? 'amd64' : process.arch,
      os: 'linux',
      config: { Cmd: COMMAND, WorkingDir: '/app', Env: ['PATH=/usr/local/bin'] },
      rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.diffId) },
    },
  };
}
